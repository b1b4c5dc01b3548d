package plan

import (
	"fmt"
	"slices"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Input is everything that a plan for one app follows from.
type Input struct {
	App string
	// Ledger is the value of the ledger's label.
	Ledger string
	// Inputs is the digest of what the set was rendered from.
	Inputs string
	// Want is the desired set, with our marks on each object. Digests holds the
	// digest of each object, to be compared with that of the inventory; an object
	// whose digest proves nothing (a Secret) has none.
	Want      object.Set
	SetDigest string
	Digests   map[object.ID]string
	// CreateOnly are desired objects that are made when absent and otherwise left
	// to whoever owns them: the namespace of createNamespace.
	CreateOnly map[object.ID]bool
	// AsIs are desired objects of which only the name is known: what is live stays.
	AsIs map[object.ID]bool
	// SameInputs: these very inputs were fully applied before, so that what
	// differs is drift. It tells where no digest can.
	SameInputs bool
	// Hooks are desired objects that are not in Want. HookKey names what the app
	// wants, and Hooked which hooks ended for it.
	Hooks   []Hook
	HookKey string
	Hooked  *state.Hooks
	// Owned is the app's inventory, Live what was observed of all these objects.
	Owned state.Inventory
	Live  Live
	Rules Rules
	// NewCluster: no run of the app succeeded in this cluster yet, which another
	// one took the place of. Nothing is pruned until one did.
	NewCluster bool
	// Left says whether the configuration wants the app no more.
	Left Left
	// Others tells of the other apps of the ledger.
	Others Others
	// Coming are the kinds whose definition some plan of this run creates.
	Coming map[object.GroupKind]bool
	// Self are the objects that this run itself runs from.
	Self map[object.ID]bool
	// Descent tells how the wanted revision came after the one applied last.
	Descent Descent
	// Approved are plan hashes that may pass guards that ask for approval.
	Approved map[string]bool

	// redefined are the kinds whose definition the plan itself makes or changes, so
	// that what the server says against their objects is about the old one.
	redefined map[object.GroupKind]bool
}

// Others is what a plan must know of the other apps of the ledger.
type Others struct {
	// Wants tells which other app wants an object in this run. What another
	// app would only create (CreateOnly) is not in it, unless both would and the
	// other one goes first.
	Wants map[object.ID]string
	// Owns tells which other app has an object in its inventory.
	Owns map[object.ID]Holder
	// Inhabits gives, for a namespace that this app owns and does not want any
	// more, an object that another app wants in it.
	Inhabits map[string]object.ID
	// Rendered are the apps whose set is known in this run.
	Rendered map[string]bool
	// Left are the apps that the configuration wants no more: they give what they
	// only created too.
	Left map[string]bool
	// Unknown are the other apps of this run whose set is not known, since they
	// could not be rendered: they may want anything.
	Unknown []string
}

// Holder is the app whose inventory holds an object, and how it came there.
type Holder struct {
	App    string
	Origin state.Origin
}

// Make decides what one run does for one app. It is pure, and the plan it gives
// is signed.
func Make(in Input) Plan {
	p := Plan{App: in.App, Inputs: in.Inputs, SetDigest: in.SetDigest}
	for _, o := range in.Want.Objects() {
		if _, _, defines := Defines(o); defines {
			p.want(in, o)
		}
	}
	in.redefined = p.Redefines(in.Want)
	for _, o := range in.Want.Objects() {
		if _, _, defines := Defines(o); !defines {
			p.want(in, o)
		}
	}
	for _, h := range in.Hooks {
		for _, stage := range h.Stages {
			p.hook(in, h, stage)
		}
	}
	uids := in.wantedUIDs()
	for _, member := range in.Owned.Members {
		if member.Hook && in.Left != LeftRemoved {
			p.leaveHook(in, member)
			continue
		}
		if p.runs(member.ID) {
			continue
		}
		if _, wanted := in.Want.Get(member.ID); !wanted {
			p.leave(in, member, uids)
		}
	}
	places := in.places()
	for i, c := range p.Changes {
		if c.IsHook() {
			continue
		}
		at := places[c.ID]
		p.Changes[i].Wave, p.Changes[i].Step, p.Changes[i].Needs = at.wave, at.step, at.needs
	}
	slices.SortStableFunc(p.Changes, order)
	p = p.Sign()
	p.guard(in)
	return p
}

// wantedUIDs are those of the live objects that the set names: an object that is
// served under two IDs must not be pruned under the one that left the set.
func (in Input) wantedUIDs() map[string]bool {
	uids := map[string]bool{}
	for _, o := range in.Want.Objects() {
		if live := in.Live[o.ID]; live.State == Present && live.UID != "" {
			uids[live.UID] = true
		}
	}
	return uids
}

// want decides about one desired object.
func (p *Plan) want(in Input, o object.Object) {
	if in.CreateOnly[o.ID] && p.yield(in, o.ID) {
		return
	}
	if other, twice := in.Others.Wants[o.ID]; twice {
		p.refuseObject(RefusedWantedTwice, o.ID, "%s is wanted by the apps %s and %s: an object belongs to one app", o.ID, in.App, other)
		return
	}
	member, owned := in.Owned.Lookup(o.ID)
	if holder, elsewhere := in.Others.Owns[o.ID]; elsewhere && !owned && !in.Others.Rendered[holder.App] {
		p.refuseObject(RefusedOwnedElsewhere, o.ID, "%s belongs to the app %s, which was not rendered in this run: whether it still wants the object is not known", o.ID, holder.App)
		return
	}
	if p.handsOff(in, o) {
		return
	}
	c := Change{ID: o.ID, Version: o.Version}
	live := in.Live[o.ID]
	c.UID, c.ResourceVersion, c.Generation = live.UID, live.ResourceVersion, live.Generation
	if in.AsIs[o.ID] && live.State != Unknown && live.State != Terminating {
		if live.State == Present {
			p.Unchanged++
			return
		}
		c.Action, c.Reason, c.Note = Defer, ReasonNoData, "it is absent, and its data was not kept"
		p.Changes = append(p.Changes, c)
		return
	}
	switch live.State {
	case Unknown:
		p.wantUnknown(in, o, live, c)
	case Absent:
		p.wantAbsent(in, o, member, live, c)
	case Terminating:
		c.Action, c.Reason, c.Note = Defer, ReasonTerminating, "it is being deleted and is made again when it is gone"
		p.Changes = append(p.Changes, c)
	case Present:
		p.wantPresent(in, o, member, owned, live, c)
	}
}

// yield leaves an object that is only to be created to another app of the ledger
// that wants it, or that has it, and says whether it did.
func (p *Plan) yield(in Input, id object.ID) bool {
	member, owned := in.Owned.Lookup(id)
	_, wanted := in.Others.Wants[id]
	holder, elsewhere := in.Others.Owns[id]
	switch {
	case wanted && owned:
		p.leave(in, member, nil)
		return true
	case wanted:
		return true
	case elsewhere && !owned && !in.Others.Left[holder.App]:
		return in.Live[id].State != Absent
	}
	return false
}

func (p *Plan) wantUnknown(in Input, o object.Object, live Observed, c Change) {
	switch {
	case live.NoKind && in.Coming[o.ID.GroupKind()]:
		c.Action, c.Reason, c.Note = Create, ReasonKindComes, "not validated: its kind is defined by this run"
		c.Origin = state.Created
	case live.NoKind:
		c.Action, c.Reason, c.Note = Defer, ReasonNoKind, "the server does not serve "+o.ID.GroupKind().String()+" "+o.Version
	default:
		c.Action, c.Reason, c.Note = Defer, ReasonNoProof, live.Why
	}
	p.Changes = append(p.Changes, c)
}

func (p *Plan) wantAbsent(in Input, o object.Object, member state.Member, live Observed, c Change) {
	c.Action, c.Reason, c.Origin = Create, ReasonNew, state.Created
	if member.UID != "" {
		c.Reason = ReasonDeleted
		if in.Digests[o.ID] != member.Digest {
			c.Reason = ReasonDesired
		} else if Expires(o) {
			// The control plane removed a finished Job; that it ran is what was wanted.
			p.Unchanged++
			return
		}
	}
	switch drift := in.Rules.drift(o); {
	case c.Reason == ReasonDeleted && drift == DriftOff:
		p.overlook(o.ID)
		return
	case c.Reason == ReasonDeleted && drift == DriftReport:
		p.report(c, live.DryRun)
		return
	}
	if p.rejected(in, o, live.DryRun, &c) {
		return
	}
	p.Changes = append(p.Changes, c)
}

// Expires says whether the control plane removes the object by itself once it
// has done its work.
func Expires(o object.Object) bool {
	if o.ID.GroupKind() != (object.GroupKind{Group: "batch", Kind: "Job"}) {
		return false
	}
	spec, _ := o.Content()["spec"].(map[string]any)
	return spec["ttlSecondsAfterFinished"] != nil
}

func (p *Plan) wantPresent(in Input, o object.Object, member state.Member, owned bool, live Observed, c Change) {
	owner, tool, mark := OwnerFor(in.Owned, o.ID, live.Meta, in.Ledger)
	if in.CreateOnly[o.ID] && !owned && owner != Ours {
		return
	}
	holder, handedOver := in.Others.Owns[o.ID]
	var before state.Member
	moved := false
	if !owned { // it looks at every member
		before, moved = renamed(in.Owned, o.ID, live.Meta)
	}
	c.Origin = state.Adopted
	switch {
	case owner == Foreign && !slices.Contains(in.Rules.Adopt, tool):
		hint := "let the app adopt it (adopt: [" + tool + "]) or remove it from the repository"
		if tool == "controller" {
			hint = "remove it from the repository"
		}
		p.refuseObject(RefusedForeign, o.ID, "%s (%s) exists and is another owner's (%s): %s", o.ID, o.Origin, mark, hint)
		return
	case owner == Copied && live.Controller != "":
		p.refuseObject(RefusedForeign, o.ID, "%s (%s) exists and is controlled by %s: remove it from the repository", o.ID, o.Origin, live.Controller)
		return
	case owner == Copied:
		p.refuseObject(RefusedForeign, o.ID, "%s (%s) exists and is a copy of an object of this ledger, made by somebody else: delete it or remove it from the repository", o.ID, o.Origin)
		return
	case owner == Ours && owned:
		c.Action, c.Reason, c.Origin = Update, in.reasonOf(o.ID, member, live), ""
	case owner == Ours && handedOver:
		c.Action, c.Reason, c.Origin = Adopt, ReasonWanted, holder.Origin
	case owner == Ours && moved:
		c.Action, c.Reason, c.Origin, c.Note = Adopt, ReasonRenamed, before.Origin, "the inventory knows it as "+before.ID.String()
	case owner == Ours:
		c.Action, c.Reason = Adopt, ReasonMarked
	case owner == Foreign:
		c.Action, c.Reason, c.Note = Adopt, ReasonForeign, "takes over from "+mark
	default:
		c.Action, c.Reason = Adopt, ReasonUnmanaged
	}
	drift := in.Rules.drift(o)
	if c.Reason == ReasonDrift && drift == DriftOff {
		p.overlook(o.ID)
		return
	}
	if drift == DriftReport && c.Reason == ReasonDrift && live.DryRun != nil && live.DryRun.Rejected != "" {
		p.report(c, live.DryRun)
		return
	}
	if p.replaces(in, o, live, c) || p.rejected(in, o, live.DryRun, &c) {
		return
	}
	if !p.differs(in, o, member, live, &c) && c.Action == Update {
		p.Unchanged++
		return
	}
	if drift == DriftReport && c.Reason == ReasonDrift {
		c.Action = Report
	}
	if in.Rules.RefuseConflicts && len(c.Losers) > 0 && c.Action != Report {
		c.Action, c.Reason, c.Note = Defer, ReasonConflict, "another manager owns fields of it, and the app says conflicts: refuse"
	}
	p.Changes = append(p.Changes, c)
}

// reasonOf says why an object of ours differs from what is wanted. Where there
// is no digest to tell, it is drift only when nothing that is wanted can have
// changed: a change in the repository must never be taken for drift, which some
// apps leave in place.
func (in Input) reasonOf(id object.ID, member state.Member, live Observed) Reason {
	digest := in.Digests[id]
	if digest != member.Digest || digest == "" && (!in.SameInputs || !live.Drifted(member)) {
		return ReasonDesired
	}
	return ReasonDrift
}

// report adds drift that is left in place, whatever the server would say to
// putting it right.
func (p *Plan) report(c Change, dry *DryRun) {
	c.Action, c.Origin = Report, ""
	if dry != nil && dry.Rejected != "" {
		c.Note = "the server would refuse to put it right: " + dry.Rejected
	}
	p.Changes = append(p.Changes, c)
}

// Drifted says whether the object is another than the one last applied, or was
// touched since.
func (o Observed) Drifted(member state.Member) bool {
	return !o.Certain || o.UID != member.UID
}

// differs fills in what the change would do and says whether that is anything.
func (p *Plan) differs(in Input, o object.Object, member state.Member, live Observed, c *Change) bool {
	if live.DryRun == nil {
		// Not looked at: certain, and the digest is the one last applied; or the
		// dry run was left out, and the digest is all there is.
		return !live.Certain || in.Digests[o.ID] != member.Digest
	}
	if live.DryRun.NotValidated != "" || live.DryRun.Rejected != "" {
		return true
	}
	c.Losers = live.DryRun.Conflicts
	if len(live.DryRun.Conflicts) > 0 && live.DryRun.Content == nil {
		return true
	}
	c.Diff = Diff(live.Content, live.DryRun.Content, o.IsSecret(), nil)
	if c.Reason == ReasonDrift {
		c.Diff = blame(c.Diff, live.Content)
	}
	return len(c.Diff) > 0
}

// rejected notes what the server said against the object.
func (p *Plan) rejected(in Input, o object.Object, dry *DryRun, c *Change) bool {
	switch {
	case dry == nil:
	case dry.Rejected != "" && in.redefined[o.ID.GroupKind()]:
		c.Note = "not validated: its definition changes with this run; by the one before the server says: " + dry.Rejected
	case dry.Rejected != "":
		p.Invalid = append(p.Invalid, fmt.Sprintf("%s: %s: %s", o.Origin, o.ID, dry.Rejected))
		return true
	case dry.NotValidated != "":
		c.Note = "not validated: " + dry.NotValidated
	}
	return false
}
