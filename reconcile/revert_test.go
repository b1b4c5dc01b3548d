package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// An unhealthy app goes back in the same run; what made it ill is not tried again
// until it changes.
func TestRunTakesAnUnhealthyAppBack(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait, web.app.AutoRollback = reconcile.Wait{All: true, Timeout: time.Minute}, true
	web.deployment("front", "good")
	web.configMap("old", "1")
	w := newWorld(t, web)
	job := w.keeping(nil)
	whenWaiting(&job, func(string) { web.becomes(t, "front", 1, rolledOut) })
	good := w.run(job, 0).Record.Apps[0].Revision.Commit

	delete(web.files, "old.yaml")
	web.configMap("new", "1")
	web.deployment("front", "bad")
	bad := web.commit()
	job = w.keeping(nil)
	generation := 1
	whenWaiting(&job, func(string) {
		if generation++; generation == 2 {
			web.becomes(t, "front", 2, stuck)
			return
		}
		web.becomes(t, "front", 3, rolledOut)
	})
	report := w.run(job, 18)
	app := report.Record.Apps[0]
	if report.Record.Verdict != state.RolledBack || app.Verdict != state.RolledBack || app.Health == nil || app.Health.Verdict != state.Unhealthy ||
		!strings.Contains(app.Message, "front") || !strings.Contains(app.Message, "quarantined: "+bad[:10]) {
		t.Fatalf("got %s, want it rolled back, with what was wrong", show(report))
	}
	if old, added := web.get(t, "old"), web.get(t, "new"); old != "1" || added != "" {
		t.Errorf("old = %q, new = %q, want the set before\n%s", old, added, show(report))
	}
	answer, err := server.Get(t.Context(), "/apis/apps/v1/namespaces/"+web.app.Namespace+"/deployments/front")
	if err != nil || !strings.Contains(string(answer), `"image":"good"`) {
		t.Errorf("got %s, %v, want the good image", answer, err)
	}
	head := w.head().Apps["web"]
	if head.Quarantine == nil || head.Quarantine.Commit != bad || head.Revision.Commit != good {
		t.Errorf("head = %+v, want the bad commit quarantined, at the good one", head)
	}

	// No run tries it again; a commit that touches nothing of it changes nothing.
	for i, want := range []int{0, 0, 1, 0} {
		if i == 2 {
			web.files["README.md"] = "# Web"
		}
		renders := web.renders
		report = w.run(w.keeping(nil), 0)
		if report.Record.Verdict != state.Unchanged || !strings.Contains(report.Record.Apps[0].Message, "quarantined: ") {
			t.Fatalf("run %d: got %s, want it unchanged and quarantined", i, show(report))
		}
		if got := web.renders - renders; got != want {
			t.Errorf("run %d: %d renderings, want %d", i, got, want)
		}
	}

	// The fix is.
	web.deployment("front", "better")
	job = w.keeping(nil)
	whenWaiting(&job, func(string) { web.becomes(t, "front", 4, rolledOut) })
	report = w.run(job, 0)
	if head := w.head().Apps["web"]; head.Quarantine != nil || web.get(t, "new") != "1" || web.get(t, "old") != "" {
		t.Errorf("head = %+v, want the fix applied and nothing quarantined\n%s", head, show(report))
	}
}

func TestRunHasNothingToGoBackTo(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait, web.app.AutoRollback = reconcile.Wait{All: true, Timeout: time.Minute}, true
	web.deployment("front", "bad")
	w := newWorld(t, web)
	job := w.keeping(nil)
	whenWaiting(&job, func(string) { web.becomes(t, "front", 1, stuck) })
	if text := show(w.run(job, 11)); !strings.Contains(text, "not rolled back: no other set is kept") {
		t.Errorf("got %s, want it to say so", text)
	}
}
