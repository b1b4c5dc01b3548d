package reconcile

import (
	"context"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
)

// heal waits until objects are healthy that something else of the app comes
// after, as long as the app may take, and gives those that are not.
func (r *runner) heal(ctx context.Context, l *ledger, a *app, ids []object.ID) map[object.ID]apply.Unhealthy {
	if l.watches == nil {
		return nil // nobody can look
	}
	ill := map[object.ID]apply.Unhealthy{}
	for _, s := range r.await(ctx, l, a, ids, r.deadline(a)) {
		if s.State != health.Current {
			ill[s.ID] = apply.Unhealthy{Failed: s.State == health.Failed, Message: s.Message}
		}
	}
	return ill
}

// deadline is until when the app is waited for in this run.
func (r *runner) deadline(a *app) time.Time {
	if a.began.IsZero() {
		a.began = r.job.Now()
	}
	return a.began.Add(a.Wait.timeout())
}
