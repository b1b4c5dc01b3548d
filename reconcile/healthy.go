package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// found is what a run found of an app after it was applied.
type found struct {
	state.AppHealth
	message string
	// unseen: of what is not known to be healthy nothing could be looked at.
	unseen bool
}

// unproven says whether the app waits, and was not seen to be healthy as it is:
// it is taken up by each run until it was.
func (a *app) unproven() bool { return a.Wait.On() && a.prior.Health != state.Healthy }

// proves says whether the run has to see how an app is, and may.
func (a *app) proves() bool {
	return a.Wait.On() && a.err == nil && a.planned && !a.blocked() && a.plan.Waits == "" && (a.acts() || a.unproven())
}

// well says whether the app was seen to be healthy as it is, if it waits at all.
func (a *app) well() bool {
	return !a.Wait.On() || a.untouched || a.found != nil && a.found.Verdict == state.Healthy
}

// heed looks how an app is, once everything of it was applied, unless somebody
// has.
func (r *runner) heed(ctx context.Context, l *ledger, a *app) {
	if a.found != nil || !a.proves() {
		return
	}
	for _, o := range a.outcomes() {
		if o.Change.Action != plan.Prune && !o.Verdict.Done() {
			return
		}
	}
	r.find(ctx, l, a)
}

// find waits until the app is healthy, and says why nothing may be pruned yet.
// What it applied may be new, but what it only waits for has had its time since
// the run that did.
func (r *runner) find(ctx context.Context, l *ledger, a *app) (hold string) {
	ids := a.awaited(l.kinds)
	if !a.Wait.On() {
		return ""
	}
	began := r.job.Now()
	since := began
	if !a.acts() && !a.prior.Waiting.IsZero() {
		since = a.prior.Waiting
	}
	until := since.Add(a.Wait.timeout())
	r.tell(Event{Stage: "wait", App: a.Name, Message: fmt.Sprintf("until all that is looked at is healthy (%d)", len(ids))})
	statuses := r.await(ctx, l, a, ids, until)
	a.found = r.judge(l, statuses, since, until)
	switch {
	case a.found.Verdict == state.Healthy && l.watches.isOutdated():
		return "what is wanted moved on meanwhile, and may hold it again"
	case a.found.Verdict == state.Healthy:
		return ""
	}
	if a.found.Verdict == state.Unhealthy {
		r.seekEvidence(ctx, l, a, a.found)
	}
	return a.found.message
}

// judge makes one verdict of many.
func (r *runner) judge(l *ledger, statuses []health.Status, since, until time.Time) *found {
	f := &found{AppHealth: state.AppHealth{Verdict: state.Healthy, Since: since.UTC(), Total: len(statuses)}}
	var ill []health.Status
	for _, s := range statuses {
		if s.State == health.Current {
			f.Current++
		} else {
			ill = append(ill, s)
		}
	}
	if len(ill) == 0 {
		return f
	}
	slices.SortStableFunc(ill, func(a, b health.Status) int { return rank(a.State) - rank(b.State) })
	for _, s := range ill[:min(len(ill), tellIll)] {
		f.Objects = append(f.Objects, state.ObjectHealth{ID: s.ID, State: string(s.State), Message: s.Message})
	}
	f.unseen = !slices.ContainsFunc(ill, func(s health.Status) bool { return s.State != health.Unknown })
	first := fmt.Sprintf("%s: %s", ill[0].ID, ill[0].Message)
	if len(ill) > 1 {
		first += fmt.Sprintf(", and %d more", len(ill)-1)
	}
	switch {
	case ill[0].State == health.Failed:
		f.Verdict, f.message = state.Unhealthy, "not healthy: "+first
	case !r.job.Now().Before(until):
		f.Verdict, f.message = state.Unhealthy, fmt.Sprintf("not healthy within %s: %s", until.Sub(since), first)
	case l.watches.isOutdated():
		f.Verdict, f.message = state.Pending, "not healthy yet when what is wanted moved on: "+first
	default:
		f.Verdict, f.message = state.Pending, "not healthy yet: "+first
	}
	return f
}

// tellIll is how many objects that are not healthy a record names.
const tellIll = 20

// rank puts what tells most first.
func rank(s health.State) int {
	return slices.Index([]health.State{health.Failed, health.Unknown, health.NotFound, health.Terminating, health.InProgress}, s)
}

// annotationIgnoreHealth is Argo CD's word for an object that nobody waits for.
const annotationIgnoreHealth = "argocd.argoproj.io/ignore-healthcheck"

// awaited lists what the app waits for.
func (a *app) awaited(kinds plan.Kinds) []object.ID {
	var ids []object.ID
	if a.Wait.All {
		for _, o := range a.want.Objects() {
			if o.Annotation(annotationIgnoreHealth) != "true" && !plan.HandsOff(o) {
				ids = append(ids, o.ID)
			}
		}
	}
	for _, id := range a.Wait.For {
		if id.Namespace == "" && kinds.Served[id.GroupKind()].Namespaced {
			id.Namespace = a.Namespace
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// pending tells the head, before anything is done, of whom it is not known whether
// they are healthy until they were looked at; since the run may end before that.
func (r *runner) pending(apps []*app, edit func(*state.Head)) func(*state.Head) {
	return func(head *state.Head) {
		edit(head)
		for _, a := range apps {
			if !a.proves() {
				continue
			}
			known := head.Apps[a.Name]
			known.Health = state.Pending
			if a.acts() || known.Waiting.IsZero() {
				known.Waiting = r.job.Now().UTC()
			}
			head.Apps[a.Name] = known
		}
	}
}

// doubtHealth forgets that apps are healthy when the configuration says by now
// something else, maybe what healthy is.
func (r *runner) doubtHealth(l *ledger, apps []*app) {
	if r.config.Partial || l.head.Config == r.config.Digest {
		return
	}
	for _, a := range apps {
		a.prior.Health = ""
	}
}

// foundInto tells the head how the app is.
func (a *app) foundInto(head *state.App) {
	switch {
	case !a.Wait.On():
		head.Health, head.Waiting = "", time.Time{}
	case a.found != nil && a.found.Verdict == state.Healthy:
		head.Health, head.Waiting = state.Healthy, time.Time{}
	case a.found != nil:
		head.Health, head.Waiting = a.found.Verdict, a.found.Since
	}
}
