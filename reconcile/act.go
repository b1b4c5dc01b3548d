package reconcile

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// apply carries the plans out, side by side. Afterwards it tries again what was
// put off because the server did not know the kind yet.
func (r *runner) apply(ctx context.Context, l *ledger, apps []*app) error {
	defer r.stage("apply")()
	options := apply.Options{Sending: r.sending(l), Sleep: sleep, Applied: &apply.Applied{}}
	acting := slices.DeleteFunc(slices.Clone(apps), func(a *app) bool { return !a.acts() })
	working := slices.DeleteFunc(slices.Clone(apps), func(a *app) bool { return !a.acts() && !a.proves() })
	var stop func()
	l.watches, stop = r.watching(ctx, apps)
	defer stop()
	for _, a := range acting {
		for _, c := range a.plan.Changes {
			if c.Action == plan.Update || c.Action == plan.Adopt {
				// Whichever app comes first: what one keeps, no other prunes.
				options.Applied.Add(c.UID)
			}
		}
	}
	turns := newTurns(l, working)
	free := slices.DeleteFunc(slices.Clone(acting), func(a *app) bool { return !turns.free(a) })
	base := newFoundations(len(free))
	abreast(working, 0, func(a *app) {
		defer turns.end(a)
		if !a.acts() {
			r.heed(ctx, l, a)
			return
		}
		options := options
		options.Pruning = func(ctx context.Context) string { return r.find(ctx, l, a) }
		options.HooksEnded = r.hooksEnded(l, a)
		options.Healthy = func(ctx context.Context, ids []object.ID) map[object.ID]apply.Unhealthy {
			return r.heal(ctx, l, a, ids)
		}
		founded := sync.OnceFunc(func() { base.wait(ctx) })
		if !turns.free(a) {
			founded = func() {}
			turns.await(ctx, a)
			if ctx.Err() != nil {
				return
			}
			if a.plan.Waits = l.unready(a, apps, func(*app) bool { return false }); a.plan.Waits != "" {
				return
			}
		}
		options.Founded = founded
		result := r.do(ctx, l, a, a.plan, options)
		founded()
		a.results = append(a.results, result)
		r.heed(ctx, l, a)
	})
	deadline := r.job.Now().Add(r.config.DeferTimeout)
	for {
		again, err := r.retryDeferred(ctx, l, apps, options)
		if err != nil {
			return err
		}
		if !again || !r.job.Now().Before(deadline) || ctx.Err() != nil {
			abreast(working, 0, func(a *app) { r.heed(ctx, l, a) })
			if err := r.revert(ctx, l, working, options); err != nil {
				return err
			}
			return context.Cause(ctx)
		}
		if err := sleep(ctx, 2*time.Second); err != nil {
			return err
		}
	}
}

// sending gives the context for one request to the cluster: bounded by the lease,
// and a little longer than ctx, so that what was sent when a signal came may be
// answered. A lost lease ends it at once.
func (l *ledger) sending(ctx context.Context) (context.Context, context.CancelFunc, error) {
	longer, finish := lasting(ctx)
	bounded, done, err := l.tenure.Sending(longer)
	if err != nil {
		finish()
		return nil, nil, err
	}
	return bounded, func() { done(); finish() }, nil
}

// sending is the ledger's, for requests that pass the gate.
func (r *runner) sending(l *ledger) func(context.Context) (context.Context, context.CancelFunc, error) {
	return func(ctx context.Context) (context.Context, context.CancelFunc, error) {
		select {
		case r.gate <- struct{}{}:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
		bounded, done, err := l.sending(ctx)
		if err != nil {
			<-r.gate
			return nil, nil, err
		}
		return bounded, func() { done(); <-r.gate }, nil
	}
}

// send sends one request under the lease.
func (l *ledger) send(ctx context.Context, request func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	bounded, done, err := l.sending(ctx)
	if err != nil {
		return err
	}
	defer done()
	return request(bounded)
}

// collect deletes what no run needs any more. What goes wrong there harms
// nothing.
func (r *runner) collect(ctx context.Context, l *ledger) {
	if _, err := l.tenure.Collect(ctx, r.config.Retention); err != nil {
		r.warn("old blobs were not all collected: " + err.Error())
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
	if a.sent == nil {
		a.sent = map[object.ID]plan.Meta{}
	}
	options.Progress = func(o apply.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		done++
		if o.Verdict.Done() && o.Meta.UID != "" {
			a.sent[o.Change.ID] = o.Meta
		}
		r.tell(Event{Stage: "apply", App: a.Name, Change: &o.Change, Outcome: string(o.Verdict), Message: o.Message, Done: done, Total: len(p.Changes)})
	}
	work := apply.Work{
		Plan: p, Want: a.want, Hook: a.hookOf, Live: a.live,
		Force: !a.Rules.RefuseConflicts, Propagation: a.Rules.Propagation, Ledger: l.label,
	}
	return apply.Do(ctx, r.job.Cluster, work, options)
}
