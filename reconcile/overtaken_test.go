package reconcile_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// mute is a cluster that stops answering when it is asked to validate.
type mute struct{ reconcile.Cluster }

func (m mute) DryRun(context.Context, object.Object, apply.Target, bool) (plan.DryRun, error) {
	return plan.DryRun{}, fmt.Errorf("dry run: %w", apply.ErrUnreachable)
}

func TestRunActsOnNothingThatTheServerDidNotValidate(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	w := newWorld(t, web)
	job := w.open()
	job.Cluster = mute{job.Cluster}
	report := w.run(job, 15)
	if got := web.get(t, "one"); got != "" {
		t.Errorf("one = %q, want nothing written\n%s", got, show(report))
	}
	counts(t, w.sync(0), state.Counts{Created: 1})
}

// The commit that a run looked up must not be applied over one that another
// run applied meanwhile.
func TestRunLooksAgainAfterAnotherRunActed(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)

	web.configMap("one", "2")
	slow := w.open()
	overtaken := false
	slow.Cluster = &overtaking{Cluster: slow.Cluster, first: func() {
		overtaken = true
		web.configMap("one", "3")
		w.sync(0)
	}}
	report := w.run(slow, 0)
	if !overtaken {
		t.Fatal("nothing overtook the run: the test shows nothing")
	}
	if got := web.get(t, "one"); got != "3" {
		t.Errorf("one = %q, want 3, the newest commit\n%s", got, show(report))
	}
}

// overtaking is a cluster in whose first dry run another run happens.
type overtaking struct {
	reconcile.Cluster
	first func()
}

func (o *overtaking) DryRun(ctx context.Context, want object.Object, at apply.Target, force bool) (plan.DryRun, error) {
	if first := o.first; first != nil {
		o.first = nil
		first()
	}
	return o.Cluster.DryRun(ctx, want, at, force)
}

// Of two first runs each draws a lineage. The one that comes late sees objects of
// a ledger that it does not know: that is the other run at work, and no reason
// to refuse.
func TestRunIsSkippedWhereAnotherOneInstalls(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	made, finished := make(chan struct{}), make(chan struct{})
	first, late := w.open(), w.open()
	first.Cluster = &lingering{Cluster: first.Cluster, made: made, until: finished}
	var installing sync.WaitGroup
	late.Cluster = &arriving{Cluster: late.Cluster, first: func() {
		installing.Go(func() {
			if report, err := reconcile.Run(t.Context(), first); report.Record.Exit != 0 {
				t.Errorf("the first run: exit = %d (error %v)\n%s", report.Record.Exit, err, show(report))
			}
		})
		<-made
	}}
	report := w.run(late, 0)
	if report.Record.Verdict != state.Skipped {
		t.Errorf("verdict = %s, want skipped\n%s", report.Record.Verdict, show(report))
	}
	close(finished)
	installing.Wait()
}

// arriving is a cluster that something happens to before it is looked at.
type arriving struct {
	reconcile.Cluster
	first func()
}

func (a *arriving) Identity(ctx context.Context) (string, error) {
	a.first()
	return a.Cluster.Identity(ctx)
}

// lingering is a cluster whose run stays at work after its first object.
type lingering struct {
	reconcile.Cluster
	made  chan struct{}
	until <-chan struct{}
}

func (l *lingering) Apply(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.Meta, error) {
	meta, err := l.Cluster.Apply(ctx, o, at, force)
	if o.ID.Kind == "ConfigMap" {
		close(l.made)
		<-l.until
	}
	return meta, err
}
