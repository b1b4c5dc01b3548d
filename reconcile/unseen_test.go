package reconcile_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/state"
)

// unseeing is a Watcher without the rights to look at anything.
type unseeing struct{ reconcile.Watcher }

func (unseeing) Watch(_ context.Context, of health.Scope, _ func(health.Sight)) error {
	return fmt.Errorf("watch %s: %w", of.Kind, apply.ErrForbidden)
}

func (unseeing) Everything(_ context.Context, of health.Scope) ([]map[string]any, error) {
	return nil, fmt.Errorf("list %s: %w", of.Kind, apply.ErrForbidden)
}

// Without the right to watch, a run applies, does not wait in vain, prunes
// nothing, and says what it lacks. When the time is over the app counts as
// unhealthy, which nobody has seen: it is not taken back for that.
func TestRunWithoutTheRightsThatHealthNeeds(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait = reconcile.Wait{All: true, Timeout: time.Hour}
	web.app.AutoRollback = true
	web.deployment("front", "one")
	web.configMap("old", "1")
	w := newWorld(t, web)
	job := w.keeping(nil)
	whenWaiting(&job, func(string) { web.becomes(t, "front", 1, rolledOut) })
	w.run(job, 0) // it is healthy, and its set is kept

	web.configMap("new", "1")
	delete(web.files, "old.yaml")
	began := time.Now()
	blind := func() reconcile.Job {
		job := w.keeping(nil)
		job.Watcher = unseeing{job.Watcher}
		return job
	}
	report := w.run(blind(), reconcile.ExitPartial)
	if took := time.Since(began); took > 10*time.Minute {
		t.Errorf("the run took %s: it waited for what it may not see", took)
	}
	app := report.Record.Apps[0]
	if app.Health == nil || app.Health.Verdict != state.Pending || !strings.Contains(app.Message+show(report), "forbidden") {
		t.Errorf("health = %+v, want it pending, and why\n%s", app.Health, show(report))
	}
	if web.get(t, "old") != "1" || web.get(t, "new") != "1" {
		t.Errorf("old = %q, new = %q: want the one applied and the other not pruned", web.get(t, "old"), web.get(t, "new"))
	}

	web.app.Wait.Timeout = time.Nanosecond
	report = w.run(blind(), reconcile.ExitPartial)
	if app := report.Record.Apps[0]; app.Health == nil || app.Health.Verdict != state.Unhealthy {
		t.Errorf("health = %+v, want it unhealthy when the time is over\n%s", app.Health, show(report))
	}
	if head := w.head().Apps["web"]; head.Quarantine != nil || web.get(t, "new") != "1" {
		t.Errorf("what nobody saw was taken back: %+v, new = %q", head.Quarantine, web.get(t, "new"))
	}
}
