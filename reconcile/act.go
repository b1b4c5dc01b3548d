package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// apply carries the plans out, app by app. Afterwards it tries again what was
// put off because the server did not know the kind yet.
func (r *runner) apply(ctx context.Context, l *ledger, apps []*app) error {
	defer r.stage("apply")()
	options := apply.Options{Gate: l.tenure.Check, Sleep: sleep, Applied: &apply.Applied{}}
	for _, a := range apps {
		if a.acts() {
			a.results = append(a.results, r.do(ctx, l, a, a.plan, options))
		}
	}
	deadline := r.job.Now().Add(r.config.DeferTimeout)
	for {
		again, err := r.retryDeferred(ctx, l, apps, options)
		if err != nil {
			return err
		}
		if !again || !r.job.Now().Before(deadline) || ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := sleep(ctx, 2*time.Second); err != nil {
			return err
		}
	}
}

// sleep waits, or returns early with the context's cause.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// do carries out one plan of an app.
func (r *runner) do(ctx context.Context, l *ledger, a *app, p plan.Plan, options apply.Options) apply.Result {
	var mu sync.Mutex
	done := 0
	options.Progress = func(o apply.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		done++
		r.tell(Event{Stage: "apply", App: a.Name, Change: &o.Change, Outcome: string(o.Verdict), Message: o.Message, Done: done, Total: len(p.Changes)})
	}
	work := apply.Work{
		Plan: p, Want: a.want, Live: a.live,
		Force: !a.Rules.RefuseConflicts, Propagation: a.Rules.Propagation, Ledger: l.label,
	}
	return apply.Do(ctx, r.job.Cluster, work, options)
}

// retryDeferred plans and applies what was put off because the server did not
// serve its kind, if it does now. The plan is committed before it is carried
// out, like the first. It says whether anything is still put off.
func (r *runner) retryDeferred(ctx context.Context, l *ledger, apps []*app, options apply.Options) (waiting bool, err error) {
	for _, a := range apps {
		if len(deferred(a)) > 0 {
			waiting = true
		}
	}
	if !waiting {
		return false, nil
	}
	if l.kinds, err = r.job.Cluster.Discover(ctx, true); err != nil {
		return false, fmt.Errorf("discover the server's kinds: %w", within(ctx, err))
	}
	waiting = false
	for _, a := range apps {
		ids := deferred(a)
		served := slices.DeleteFunc(slices.Clone(ids), func(id object.ID) bool {
			_, known := l.kinds.Served[id.GroupKind()]
			return !known
		})
		waiting = waiting || len(served) < len(ids)
		if len(served) > 0 {
			if err := r.again(ctx, l, a, apps, served, options); err != nil {
				return false, err
			}
		}
	}
	return waiting, nil
}

// again plans some objects of an app anew and applies them.
func (r *runner) again(ctx context.Context, l *ledger, a *app, apps []*app, ids []object.ID, options apply.Options) error {
	var objects []object.Object
	for _, id := range ids {
		if o, ok := a.want.Get(id); ok {
			objects = append(objects, r.rescope(l, a, o))
		}
	}
	part := *a
	var err error
	if part.want, err = object.NewSet(objects, false); err != nil {
		return err
	}
	part.owned.Members = nil
	for _, id := range ids {
		if member, ok := a.owned.Lookup(id); ok {
			part.owned = part.owned.Update(member)
		}
	}
	part.results = nil
	i := &inspector{runner: r, ledger: l, coming: map[string]bool{}}
	part.live = i.app(ctx, &part)
	part.plan = plan.Make(r.input(l, &part, others(l, a, apps), nil))
	// The server's objections come late here: the rest is applied already.
	for _, invalid := range part.plan.Invalid {
		a.plan.Warnings = append(a.plan.Warnings, invalid)
	}
	for _, refusal := range part.plan.Refusals {
		a.plan.Warnings = append(a.plan.Warnings, "not applied: "+refusal.Message)
	}
	if len(part.plan.Refusals) > 0 || !part.plan.Acts() {
		return nil
	}
	owned := part
	owned.owned = a.owned
	a.owned = widen(&owned)
	commit, err := r.commitment(ctx, a.Name, part.plan, a.owned)
	if err != nil {
		return err
	}
	if err := l.tenure.Commit(ctx, r.edit(l, []committed{commit})); err != nil {
		return err
	}
	for id, seen := range part.live {
		a.live[id] = seen
	}
	a.results = append(a.results, r.do(ctx, l, &part, part.plan, options))
	return nil
}

// rescope corrects an object's namespace, and the mark that names it, by what
// the server now says of its kind.
func (r *runner) rescope(l *ledger, a *app, o object.Object) object.Object {
	if kind := l.kinds.Served[o.ID.GroupKind()]; !kind.Namespaced && o.ID.Namespace != "" {
		return mark(o.WithNamespace(""), l.label, a.Name)
	}
	return o
}

// deferred lists the objects of an app that are put off because of their kind.
func deferred(a *app) []object.ID {
	last := map[object.ID]apply.Outcome{}
	for _, result := range a.results {
		for _, o := range result.Outcomes {
			last[o.Change.ID] = o
		}
	}
	var ids []object.ID
	for id, o := range last {
		if o.Verdict == apply.Deferred && (o.Change.Reason == plan.ReasonNoKind || o.Change.Reason == plan.ReasonKindComes) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, object.ID.Compare)
	return ids
}
