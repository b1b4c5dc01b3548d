package reconcile_test

import (
	"context"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// A run that ends between plan and apply has changed nothing: the next one must
// carry the change out, and not take what was only planned for applied.
func TestRunAppliesWhatAnInterruptedRunPlanned(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "old")
	w := newWorld(t, web)
	w.sync(0)

	web.configMap("one", "new")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	job := w.open()
	job.Progress = func(e reconcile.Event) {
		if e.Stage == "claim" {
			stop()
		}
	}
	report, err := reconcile.Run(ctx, job)
	if report.Record.Exit != 16 || err == nil {
		t.Fatalf("exit = %d, %v; want 16 and why\n%s", report.Record.Exit, err, show(report))
	}
	if got := web.get(t, "one"); got != "old" {
		t.Fatalf("one = %q, want it as it was", got)
	}
	counts(t, w.sync(0), state.Counts{Changed: 1, Unchanged: 1})
	if got := web.get(t, "one"); got != "new" {
		t.Errorf("one = %q, want new", got)
	}
}
