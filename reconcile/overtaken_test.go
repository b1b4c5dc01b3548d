package reconcile_test

import (
	"context"
	"fmt"
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
