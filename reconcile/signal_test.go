package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// A signal ends the sending. What is on its way may be answered; then the run
// settles what it knows and frees the lease.
func TestRunLetsWhatIsOnItsWayFinish(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)

	job := w.open()
	slow := &held{Cluster: job.Cluster, entered: make(chan struct{}), leave: make(chan struct{})}
	job.Cluster = slow
	ctx, interrupt := context.WithCancelCause(t.Context())
	done := make(chan reconcile.Report, 1)
	go func() {
		report, _ := reconcile.Run(ctx, job)
		done <- report
	}()
	<-slow.entered
	interrupt(errors.Join(errors.New("the signal terminated"), context.Canceled))
	close(slow.leave) // only now does the request reach the server
	report := <-done
	if report.Record.Exit != 16 || report.Record.Verdict != state.Interrupted || !report.Recorded {
		t.Fatalf("got %s (recorded %v), want an interrupted run with a record", show(report), report.Recorded)
	}
	var outcomes []string
	for _, c := range report.Record.Apps[0].Changes {
		outcomes = append(outcomes, c.ID.Kind+" "+c.Outcome)
	}
	if want := []string{"Namespace created", "ConfigMap unsent"}; !slices.Equal(outcomes, want) {
		t.Errorf("outcomes = %q, want %q", outcomes, want)
	}
	head, err := w.open().Ledger.Load(t.Context())
	if err != nil || !head.Idle() {
		t.Errorf("lease = %+v, %v; want it free", head.Lease, err)
	}
	for _, member := range w.inventory("web").Members {
		if member.ID.Kind == "Namespace" && (member.UID == "" || member.Ghost != nil || member.Unsettled != nil) {
			t.Errorf("%+v; want it known, and in no doubt", member)
		}
	}
	counts(t, w.sync(0), state.Counts{Created: 1, Unchanged: 1})
}
