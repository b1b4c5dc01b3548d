package reconcile

import (
	"context"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// doubtful lists the members of an app that a request of a run before this one
// may still change or delete, although they are as planned now: that run died,
// or its request was never answered. What is absent, or not ours, has nothing
// that a fence could hold.
func (a *app) doubtful(l *ledger) []state.Member {
	if a.err != nil || !a.planned || a.blocked() {
		return nil
	}
	var doubtful []state.Member
	for _, member := range a.owned.Members {
		live := a.live[member.ID]
		if member.Unsettled == nil || live.State != plan.Present {
			continue
		}
		if owner, _, _ := plan.OwnerFor(a.owned, member.ID, live.Meta, l.label); owner == plan.Ours {
			doubtful = append(doubtful, member)
		}
	}
	return doubtful
}

// doubts says whether any app has such members.
func doubts(l *ledger, apps []*app) bool {
	for _, a := range apps {
		if len(a.doubtful(l)) > 0 {
			return true
		}
	}
	return false
}

// fence touches every member in doubt, so that the preconditions of late
// requests fail, before anything else is sent. An object that moved since it was
// observed is left to the next run, like a change that meets one.
func (r *runner) fence(ctx context.Context, l *ledger, apps []*app) {
	options := apply.Options{Sending: l.sending, Sleep: sleep, Applied: &apply.Applied{}}
	for _, a := range apps {
		var changes []plan.Change
		for _, member := range a.doubtful(l) {
			live := a.live[member.ID]
			changes = append(changes, plan.Change{
				ID: member.ID, Version: member.Version, Action: plan.Fence, Reason: plan.ReasonDoubt,
				UID: live.UID, ResourceVersion: live.ResourceVersion, Generation: live.Generation,
			})
		}
		if len(changes) == 0 {
			continue
		}
		result := apply.Result{App: a.Name, Outcomes: apply.Fence(ctx, r.job.Cluster, changes, a.live, l.tenure.Epoch(), options)}
		for _, o := range result.Outcomes {
			if o.Verdict != apply.Fenced {
				continue
			}
			for _, other := range apps { // it may be on its way from one to another
				other.fenced(o.Change.ID, o.Meta)
			}
		}
		a.results = append(a.results, result)
	}
}

// fenced goes on with an object as the fence left it.
func (a *app) fenced(id object.ID, meta plan.Meta) {
	live, looked := a.live[id]
	if !looked || live.UID != meta.UID {
		return
	}
	live.Meta = meta
	a.live[id] = live
	if a.fencedOff == nil {
		a.fencedOff = map[object.ID]bool{}
	}
	a.fencedOff[id] = true
	for i, c := range a.plan.Changes {
		if c.ID == id {
			a.plan.Changes[i].ResourceVersion = meta.ResourceVersion
		}
	}
}
