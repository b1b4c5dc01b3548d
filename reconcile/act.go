package reconcile

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
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
