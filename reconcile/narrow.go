package reconcile

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// narrow gives an app's inventory after the run: what is proven to be gone, or
// another's, is left out; everything else stays a member.
func narrow(a *app, l *ledger, ttl time.Duration, apps []*app) state.Inventory {
	if a.untouched {
		return a.owned.Narrow(adoptedElsewhere(a, apps)...)
	}
	if !a.planned {
		return a.owned
	}
	last, pending := a.outcomes(), a.pending()
	var gone []object.ID
	var updated []state.Member
	for _, member := range a.owned.Members {
		o, acted := last[member.ID]
		switch {
		case acted && leaves(o, member, l, ttl, apps):
			gone = append(gone, member.ID)
			continue
		case acted:
			member = after(member, o, a, l, ttl)
		case !a.blocked() && !pending[member.ID]:
			if live := a.live[member.ID]; live.State == plan.Present && member.Unsettled == nil {
				member = settledMember(member, a, live.UID)
			}
		}
		updated = append(updated, member)
	}
	return a.owned.Update(updated...).Narrow(gone...)
}

// adoptedElsewhere lists the kept members of an app of which nothing moved that
// another app of this run took over: that one wants them again.
func adoptedElsewhere(a *app, apps []*app) []object.ID {
	var gone []object.ID
	for _, member := range a.owned.Members {
		if !member.Kept {
			continue
		}
		for _, other := range apps {
			if o, acted := other.outcomes()[member.ID]; other != a && acted && o.Verdict == apply.Adopted {
				gone = append(gone, member.ID)
			}
		}
	}
	return gone
}

// pending holds what the plan means to change. Where it was not carried out,
// nothing follows from it.
func (a *app) pending() map[object.ID]bool {
	pending := map[object.ID]bool{}
	for _, c := range a.plan.Changes {
		pending[c.ID] = true
	}
	return pending
}

// leaves says whether an outcome proves that a member is not ours to remember
// any more.
func leaves(o apply.Outcome, member state.Member, l *ledger, ttl time.Duration, apps []*app) bool {
	switch o.Verdict {
	case apply.Pruned:
		return o.Gone
	case apply.Forgotten:
		return o.Change.Reason == plan.ReasonTaken || member.Forgettable(l.head.Stamp.Now, ttl)
	case apply.HandedOver:
		for _, other := range apps {
			if _, has := other.owned.Lookup(member.ID); has && other.Name == o.Change.To {
				return true
			}
		}
		return false
	case apply.TakenFirst:
		// One that an earlier request of ours may have made is not another's for sure.
		return member.UID == "" && member.Ghost == nil && member.Unsettled == nil
	case apply.Created, apply.Changed, apply.Adopted, apply.Fenced, apply.Kept, apply.Reported, apply.Deferred,
		apply.Failed, apply.Moved, apply.Unknown, apply.Unsent, apply.Held:
	}
	return false
}

// after gives a member as the outcome of this run leaves it.
func after(member state.Member, o apply.Outcome, a *app, l *ledger, ttl time.Duration) state.Member {
	if a.fencedOff[member.ID] {
		member.Unsettled = nil // whatever became of what was planned for it
	}
	switch o.Verdict {
	case apply.Fenced:
		return settledMember(member, a, o.Meta.UID)
	case apply.Created, apply.Changed, apply.Adopted:
		member.Version = o.Change.Version
		return settledMember(member, a, o.Meta.UID)
	case apply.Kept:
		member.Kept = member.Kept || slices.Contains([]plan.Reason{plan.ReasonOptedOut, plan.ReasonSystem, plan.ReasonDisagrees}, o.Change.Reason)
	case apply.Unknown:
		// The request may be on its way until the lease that it was sent under is
		// long over; the head's stamp may be one renewal old.
		since := l.tenure.Head().Stamp.Now.Add(ttl)
		switch {
		case o.Change.Action == plan.Create && member.Ghost == nil:
			member.Ghost = &since
		case o.Change.Action != plan.Create:
			member.Unsettled = &since
		}
	case apply.Pruned, apply.HandedOver, apply.Forgotten, apply.Reported, apply.Deferred, apply.Failed,
		apply.Moved, apply.TakenFirst, apply.Unsent, apply.Held:
	}
	return member
}

// settledMember gives a member that is live as the app wants it.
func settledMember(member state.Member, a *app, uid string) state.Member {
	member.UID, member.Ghost, member.Unsettled = uid, nil, nil
	if want, ok := a.want.Get(member.ID); ok {
		member.Kept, member.Version, member.Digest = false, want.Version, a.digests[member.ID]
	}
	return member
}

// observed stores what this run saw, for the next one to compare with; nil when
// that is what the last run saw.
func (r *runner) observed(ctx context.Context, l *ledger, apps []*app) (*state.Ref, error) {
	if l.lists == nil {
		return nil, nil
	}
	fresh := map[string]*app{}
	for _, a := range apps {
		if a.err == nil && !a.blocked() {
			fresh[a.Name] = a
		}
	}
	var seen []state.Seen
	for _, old := range l.seen.Objects {
		if owner := l.owners[old.ID].App; owner != "" && fresh[owner] == nil {
			seen = append(seen, old)
		}
	}
	for _, a := range apps { // in their order: an object may be in two inventories
		if fresh[a.Name] != nil {
			seen = append(seen, a.seen(l)...)
		}
	}
	data, err := state.NewObservation(seen).Encode()
	if err != nil {
		return nil, err
	}
	if before, err := l.seen.Encode(); err == nil && string(before) == string(data) {
		return nil, nil
	}
	ref, err := r.job.Ledger.Put(ctx, "observed", data)
	return &ref, err
}

// seen lists the objects of an app that are as they should be. Whatever is
// missing is suspect in the next run.
func (a *app) seen(l *ledger) []state.Seen {
	var seen []state.Seen
	last, pending := a.outcomes(), a.pending()
	for _, member := range a.owned.Members {
		id := member.ID
		o, acted := last[id]
		_, wanted := a.want.Get(id)
		live := a.live[id]
		switch {
		case a.untouched:
			if meta, listed := l.lists.objects[id]; listed {
				seen = append(seen, seenOf(id, meta))
			} else if old, known := l.seen.Lookup(id); known {
				seen = append(seen, old)
			}
		case acted && o.Verdict.Done() && o.Meta.UID != "" && o.Verdict != apply.Pruned:
			seen = append(seen, seenOf(id, o.Meta))
		case acted || pending[id] || !wanted:
		case live.State == plan.Present:
			seen = append(seen, seenOf(id, live.Meta))
		case live.State == plan.Absent && member.UID != "":
			// A finished Job that the control plane removed: it may stay away.
			seen = append(seen, state.Seen{ID: id})
		}
	}
	return seen
}
