package plan

import (
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// leave decides about one member of the inventory that is not wanted any more.
// uids are those of objects that are still wanted.
func (p *Plan) leave(in Input, member state.Member, uids map[string]bool) {
	live := in.Live[member.ID]
	c := Change{ID: member.ID, Version: member.Version, UID: live.UID, ResourceVersion: live.ResourceVersion, Generation: live.Generation}
	owner, _, mark := OwnerOf(member.ID, live.Meta, in.Ledger)
	to, wanted := in.Others.Wants[member.ID]
	switch {
	case live.State == Absent || live.NoKind: // no kind, no object
		c.Action, c.Reason = Forget, ReasonGone
	case live.State == Unknown:
		c.Action, c.Reason, c.Note = Keep, ReasonNoProof, live.Why
	case wanted && owner == Ours:
		c.Action, c.Reason, c.To = HandOver, ReasonWanted, to
	case owner == Foreign:
		c.Action, c.Reason, c.Note = Forget, ReasonTaken, mark
	case live.State == Terminating:
		c.Action, c.Reason = Keep, ReasonTerminating
	case uids[live.UID]:
		c.Action, c.Reason, c.Note = Forget, ReasonRenamed, "the set names the same object otherwise"
	case systemNamespace(member.ID):
		c.Action, c.Reason = Keep, ReasonSystem
	case owner != Ours || live.Labels[object.LabelApp] != in.App:
		c.Action, c.Reason, c.Note = Keep, ReasonDisagrees, "the inventory holds it, but it does not carry this app's marks"
	case in.Left == LeftStays:
		c.Action, c.Reason, c.Note = Keep, ReasonLeft, "its app left the configuration"
	case member.Kept:
		c.Action, c.Reason, c.Note = Keep, ReasonOptedOut, "it was kept when it left the set, and stays until it is detached"
	case in.Rules.KeepAll:
		c.Action, c.Reason, c.Note = Keep, ReasonOptedOut, "the app says prune: false"
	case optedOut(live.Meta) != "":
		c.Action, c.Reason, c.Note = Keep, ReasonOptedOut, optedOut(live.Meta)
	case len(in.Others.Unknown) > 0:
		c.Action, c.Reason, c.Note = Keep, ReasonNoProof, "it is not pruned yet: whether it is wanted by "+strings.Join(in.Others.Unknown, ", ")+" is not known, which could not be rendered"
	case in.NewCluster:
		c.Action, c.Reason, c.Note = Keep, ReasonNewCluster, "the first run in another cluster prunes nothing, the next one does"
	default:
		c.Action, c.Reason = Prune, ReasonRemoved
	}
	p.Changes = append(p.Changes, c)
}

func systemNamespace(id object.ID) bool {
	return id.GroupKind() == object.GroupKind{Kind: "Namespace"} &&
		slices.Contains([]string{"kube-system", "kube-public", "kube-node-lease", "default"}, id.Name)
}
