package reconcile

import (
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
				member = a.settled(member, live.UID, l, ttl)
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
	for member := range a.held() {
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
		// A create that is still on its way would make it again.
		return o.Gone && (member.Ghost == nil || member.Forgettable(l.head.Stamp.Now, ttl))
	case apply.Forgotten:
		return o.Change.Reason == plan.ReasonTaken || member.Forgettable(l.head.Stamp.Now, ttl)
	case apply.HandedOver:
		for _, other := range apps {
			if _, has := other.holds(member.ID); has && other.Name == o.Change.To {
				return true
			}
		}
		return false
	case apply.TakenFirst:
		// One that an earlier request of ours may have made is not another's for sure.
		return member.UID == "" && member.Ghost == nil && member.Unsettled == nil
	case apply.Ran, apply.Failed:
		// A hook whose delete policy says so.
		return o.Change.IsHook() && o.Gone && member.Forgettable(l.head.Stamp.Now, ttl)
	case apply.Spared:
		return member.UID == "" && member.Ghost == nil && member.Unsettled == nil // nothing was sent
	case apply.Created, apply.Changed, apply.Adopted, apply.Replaced, apply.Fenced, apply.Kept, apply.Reported, apply.Deferred, apply.Pending,
		apply.Moved, apply.Unknown, apply.Unsent, apply.Held:
	}
	return false
}

// after gives a member as the outcome of this run leaves it.
func after(member state.Member, o apply.Outcome, a *app, l *ledger, ttl time.Duration) state.Member {
	if a.fencedOff[member.ID] {
		member.Unsettled = nil // whatever became of what was planned for it
	}
	if uid := o.Meta.UID; o.Change.IsHook() && uid != "" && !o.Gone {
		return a.settled(member, uid, l, ttl)
	}
	switch o.Verdict {
	case apply.Fenced:
		return a.settled(member, o.Meta.UID, l, ttl)
	case apply.Created, apply.Changed, apply.Adopted, apply.Replaced:
		member.Version = o.Change.Version
		return a.settled(member, o.Meta.UID, l, ttl)
	case apply.Pruned:
		if o.Gone {
			member.UID = ""
		}
	case apply.Kept:
		member.Kept = member.Kept || slices.Contains([]plan.Reason{plan.ReasonHook, plan.ReasonOptedOut, plan.ReasonSystem, plan.ReasonDisagrees}, o.Change.Reason)
	case apply.Unknown:
		// The request may be on its way until the lease that it was sent under is
		// long over; the head's stamp may be one renewal old.
		since := l.tenure.Head().Stamp.Now.Add(ttl)
		switch {
		case o.Change.Action == plan.Create, o.Change.Action == plan.Run:
			member.Ghost, member.UID = &since, ""
		case o.Change.Action == plan.Replace: // it is not known whether its create was sent
			member.Ghost, member.UID, member.Unsettled = &since, "", &since
		default:
			member.Unsettled = &since
		}
	case apply.HandedOver, apply.Forgotten, apply.Reported, apply.Deferred, apply.Failed, apply.Ran, apply.Spared, apply.Pending,
		apply.Moved, apply.TakenFirst, apply.Unsent, apply.Held:
	}
	return member
}

// settled gives a member that is live as the app wants it. That it was a ghost is
// not forgotten before its time: should it be pruned, the create that was never
// answered could still make it again.
func (a *app) settled(member state.Member, uid string, l *ledger, ttl time.Duration) state.Member {
	if member.Forgettable(l.head.Stamp.Now, ttl) {
		member.Ghost = nil
	}
	member.UID, member.Unsettled = uid, nil
	if want, ok := a.want.Get(member.ID); ok {
		member.Kept, member.Version, member.Digest = false, want.Version, a.digests[member.ID]
	}
	return member
}
