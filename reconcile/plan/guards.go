package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// The reasons of refusals.
const (
	// RefusedWantedTwice: two apps of the ledger want one object.
	RefusedWantedTwice = "wanted-twice"
	// RefusedOwnedElsewhere: another app owns an object and could not be asked.
	RefusedOwnedElsewhere = "owned-elsewhere"
	// RefusedForeign: an object exists and is another owner's.
	RefusedForeign = "foreign"
	// RefusedBudget: more would be pruned than a slip may cost.
	RefusedBudget = "budget"
	// RefusedProtected: an object would be pruned that data or other objects
	// hang on.
	RefusedProtected = "protected"
	// RefusedNoSurvivor: nothing of what the app owns would remain.
	RefusedNoSurvivor = "no-survivor"
	// RefusedInhabited: a namespace would be pruned that wanted objects are in.
	RefusedInhabited = "inhabited"
	// RefusedRewind: the revision is not known to descend from the one applied last.
	RefusedRewind = "rewind"
	// RefusedImmutable: a field cannot be changed, and nobody opted in to replace
	// the object.
	RefusedImmutable = "immutable"
	// RefusedStale: a saved plan was to be carried out, and this is another.
	RefusedStale = "stale"
	// RefusedNondeterministic: the chart renders differently each time.
	RefusedNondeterministic = "nondeterministic"
)

// The prune budget (DESIGN §7): a prune list may always hold budgetFree
// objects, and more only below these shares.
const (
	budgetFree      = 5
	budgetShare     = 5 // a fifth of the app's live members
	budgetKindShare = 2 // half of those of one kind
)

// refuseObject adds a refusal because of one object, which no approval lets
// pass.
func (p *Plan) refuseObject(reason string, id object.ID, format string, args ...any) {
	p.Refusals = append(p.Refusals, Refusal{Reason: reason, Message: fmt.Sprintf(format, args...), ID: id})
}

// refuse adds a refusal of the whole plan, which an approval lets pass.
func (p *Plan) refuse(reason, format string, args ...any) {
	p.Refusals = append(p.Refusals, Refusal{Reason: reason, Message: fmt.Sprintf(format, args...), Approvable: true})
}

// guard adds the refusals that hang on the plan as a whole, and drops those
// that the approval of this very plan lets pass.
func (p *Plan) guard(in Input) {
	pruned := p.pruned()
	if in.Left != LeftRemoved { // that all of it goes is what was asked for
		p.guardBudget(in, pruned)
		p.guardSurvivors(in, pruned)
	}
	p.guardProtected(in, pruned)
	p.guardInhabited(in, pruned)
	p.guardReplaced(in)
	p.guardRewind(in)
	asked := in.Rules.RequireApproval && p.Acts()
	p.NeedsApproval = asked && !in.Approved[p.Hash]
	if in.Approved[p.Hash] {
		p.Approved = asked || slices.ContainsFunc(p.Refusals, func(r Refusal) bool { return r.Approvable })
		p.Refusals = slices.DeleteFunc(p.Refusals, func(r Refusal) bool { return r.Approvable })
	}
}

func (p *Plan) pruned() []Change {
	var pruned []Change
	for _, c := range p.Changes {
		if c.Action == Prune && !c.IsHook() {
			pruned = append(pruned, c)
		}
	}
	return pruned
}

func (p *Plan) guardBudget(in Input, pruned []Change) {
	live, liveOf, prunedOf := 0, map[object.GroupKind]int{}, map[object.GroupKind]int{}
	for _, member := range in.Owned.Members {
		if in.Live[member.ID].State == Present {
			live++
			liveOf[member.ID.GroupKind()]++
		}
	}
	for _, c := range pruned {
		prunedOf[c.ID.GroupKind()]++
	}
	if limit := max(budgetFree, live/budgetShare); len(pruned) > limit {
		p.refuse(RefusedBudget, "%d of the app's %d live objects would be pruned, and the budget is %d", len(pruned), live, limit)
		return
	}
	for _, kind := range slices.SortedFunc(maps.Keys(prunedOf), object.GroupKind.Compare) {
		if limit := max(budgetFree, liveOf[kind]/budgetKindShare); prunedOf[kind] > limit {
			p.refuse(RefusedBudget, "%d of the app's %d live %s objects would be pruned, and the budget is %d", prunedOf[kind], liveOf[kind], kind, limit)
		}
	}
}

// protectedKinds are never pruned without approval: data, or the objects of
// others, go with them.
var protectedKinds = map[object.GroupKind]string{ //nolint:gochecknoglobals // a table
	{Kind: "Namespace"}: "everything in it goes with it",
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:               "every object of its kind goes with it",
	{Kind: "PersistentVolume"}:                                                      "its data may go with it",
	{Kind: "PersistentVolumeClaim"}:                                                 "its data may go with it",
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:                           "an API goes with it",
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:   "admission rules go with it",
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}: "admission rules go with it",
}

func (p *Plan) guardProtected(in Input, pruned []Change) {
	var held []string
	for _, c := range pruned {
		why, protected := protectedKinds[c.ID.GroupKind()]
		member, _ := in.Owned.Lookup(c.ID)
		switch {
		case protected:
		case in.Self[c.ID]:
			why = "this run runs from it"
		case retainsClaims(c.ID, in.Live[c.ID]):
			why = "its volume claims stay behind"
		case asksFirst(in.Live[c.ID].Meta):
			why = "its annotation says Prune=confirm"
		case member.Origin == state.Adopted:
			why = "it existed before this app adopted it"
		default:
			continue
		}
		held = append(held, fmt.Sprintf("%s (%s)", c.ID, why))
	}
	if len(held) > 0 {
		p.refuse(RefusedProtected, "pruning needs approval: %s", strings.Join(held, ", "))
	}
}

// retainsClaims says whether a StatefulSet leaves PersistentVolumeClaims behind
// when it is deleted, which is what Kubernetes does unless told otherwise. One
// that was not looked at closely is taken to do so.
func retainsClaims(id object.ID, live Observed) bool {
	if id.GroupKind() != (object.GroupKind{Group: "apps", Kind: "StatefulSet"}) {
		return false
	}
	if live.Content == nil {
		return true
	}
	spec, _ := live.Content["spec"].(map[string]any)
	if templates, _ := spec["volumeClaimTemplates"].([]any); len(templates) == 0 {
		return false
	}
	policy, _ := spec["persistentVolumeClaimRetentionPolicy"].(map[string]any)
	return policy["whenDeleted"] != "Delete"
}

// guardSurvivors refuses a set in which nothing of a non-empty inventory is
// left: more likely the wrong path or a broken overlay than a wish. A namespace
// that Tidemark itself adds to the set speaks for nothing.
func (p *Plan) guardSurvivors(in Input, pruned []Change) {
	if len(pruned) == 0 {
		return
	}
	for _, member := range in.Owned.Members {
		if _, wanted := in.Want.Get(member.ID); wanted && !in.CreateOnly[member.ID] {
			return
		}
	}
	p.refuse(RefusedNoSurvivor, "none of the app's %d objects is in the new set", len(in.Owned.Members))
}
