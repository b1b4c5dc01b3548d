package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
)

// slowDelete is a cluster on whose way a delete is held up, longer than its
// sender has the lease.
type slowDelete struct {
	reconcile.Cluster
	sent    chan struct{}
	deliver chan struct{}
	outcome chan error
}

func (s *slowDelete) Delete(ctx context.Context, id object.ID, version string, at apply.Target, propagation string) error {
	close(s.sent)
	go func() {
		<-s.deliver
		s.outcome <- s.Cluster.Delete(context.WithoutCancel(ctx), id, version, at, propagation)
	}()
	<-ctx.Done()
	return apply.ErrUnanswered
}

// A delete of a dead run arrives when the run that took over has long found the
// object as it should be: it must not take effect.
func TestRunFencesWhatADeadRunSent(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	web.configMap("two", "1")
	w := newWorld(t, web)
	w.sync(0)

	two := web.files["two.yaml"]
	delete(web.files, "two.yaml")
	dead := false
	store := w.store
	w.store = deaf{Store: store, dead: &dead}
	w.ttl = 3 * time.Second
	job := w.open()
	slow := &slowDelete{Cluster: job.Cluster, sent: make(chan struct{}), deliver: make(chan struct{}), outcome: make(chan error, 1)}
	job.Cluster = slow
	ended := make(chan reconcile.Report, 1)
	go func() {
		report, _ := reconcile.Run(t.Context(), job)
		ended <- report
	}()
	<-slow.sent
	dead = true
	if report := <-ended; report.Record.Exit != 14 {
		t.Fatalf("the cut-off run ended with %d, want 14: it could not renew its lease", report.Record.Exit)
	}

	w.store = store
	web.files["two.yaml"] = two
	report := w.sync(0)
	close(slow.deliver)
	if err := <-slow.outcome; !errors.Is(err, apply.ErrConflict) {
		t.Errorf("the late delete: got %v, want %v", err, apply.ErrConflict)
	}
	if got := web.get(t, "two"); got != "1" {
		t.Errorf("two = %q, want it to be there\n%s", got, show(report))
	}
	for _, member := range w.inventory("web").Members {
		if member.Unsettled != nil {
			t.Errorf("%s is in doubt, want it settled: it is fenced", member.ID)
		}
	}
	if got := w.sync(0).Record.Cost.KubernetesRequests; got["patch"]+got["apply"]+got["delete"] > 0 {
		t.Errorf("the run after it sent %v, want no write", got)
	}
}

// loseDelete is a cluster that answers no delete, and does none in time.
type loseDelete struct {
	reconcile.Cluster
	late func() error
}

func (l *loseDelete) Delete(ctx context.Context, id object.ID, version string, at apply.Target, propagation string) error {
	l.late = func() error { return l.Cluster.Delete(context.WithoutCancel(ctx), id, version, at, propagation) }
	return apply.ErrUnanswered
}

// The same without a death: an answer is lost, the run settles, and the next one
// wants the object again.
func TestRunFencesWhatWasNeverAnswered(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	web.configMap("two", "1")
	w := newWorld(t, web)
	w.sync(0)
	two := web.files["two.yaml"]
	delete(web.files, "two.yaml")
	job := w.open()
	lossy := &loseDelete{Cluster: job.Cluster}
	job.Cluster = lossy
	w.run(job, 11)

	web.files["two.yaml"] = two
	report := w.sync(0)
	if err := lossy.late(); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("the late delete: got %v, want %v\n%s", err, apply.ErrConflict, show(report))
	}
	if got := web.get(t, "two"); got != "1" {
		t.Errorf("two = %q, want it to be there", got)
	}
}
