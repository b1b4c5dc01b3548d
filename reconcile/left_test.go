package reconcile_test

import (
	"context"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// renamed gives the same app under another name.
func (a *repo) renamed(name string) *repo {
	other := *a
	other.app.Name = name
	return &other
}

func TestRunHandsARenamedAppOver(t *testing.T) {
	t.Parallel()
	old := newApp(t, "old")
	delete(old.files, "namespace.yaml")
	old.app.CreateNamespace = true
	old.configMap("one", "1")
	old.configMap("two", "2")
	w := newWorld(t, old)
	w.sync(0)
	one, two := old.uid(t, "one"), old.uid(t, "two")

	w.apps = []*repo{old.renamed("young")}
	report := w.sync(0)
	if a, b := old.uid(t, "one"), old.uid(t, "two"); a != one || b != two {
		t.Errorf("UIDs are %s and %s, want %s and %s: nothing is made anew\n%s", a, b, one, two, show(report))
	}
	head := w.head()
	if _, still := head.Apps["old"]; still || head.Apps["young"].Inventory == nil {
		t.Errorf("apps of the head = %v, want young alone\n%s", head.Apps, show(report))
	}
	again := w.sync(0)
	counts(t, again, state.Counts{Unchanged: 3})
	if again.Record.Verdict != state.Unchanged {
		t.Errorf("got %s, want unchanged", show(again))
	}
	// What came over is the new owner's to prune.
	delete(w.apps[0].files, "two.yaml")
	counts(t, w.sync(0), state.Counts{Unchanged: 2, Pruned: 1})
}

func TestRunLeavesADepartedAppAlone(t *testing.T) {
	t.Parallel()
	old, other := newApp(t, "old"), newApp(t, "other")
	old.configMap("one", "1")
	other.configMap("own", "1")
	w := newWorld(t, old, other)
	w.sync(0)

	w.apps = []*repo{other}
	report := w.sync(0)
	entry := report.Record.Apps[1]
	if entry.Name != "old" || entry.Verdict != state.Unchanged || !strings.Contains(entry.Message, "it left the configuration: 2 objects of it stay") {
		t.Fatalf("got %s, want the app old reported", show(report))
	}
	if old.get(t, "one") != "1" || !w.head().Apps["old"].Left {
		t.Errorf("head = %+v, want the object and the app to stay, noted", w.head().Apps["old"])
	}
	// It costs no closer look.
	fetches := other.fetches
	again := w.sync(0)
	counts(t, again, state.Counts{Unchanged: 2})
	if got := again.Record.Cost.KubernetesRequests["get"]; got != 1 || other.fetches != fetches {
		t.Errorf("%d reads and %d fetches, want 1 (the cluster's identity) and none", got, other.fetches-fetches)
	}
	if got := again.Record.Apps[1].Counts; got != (state.Counts{Kept: 2}) {
		t.Errorf("counts = %+v, want 2 kept", got)
	}

	// Nobody puts right what is done to it meanwhile.
	if _, err := server.Patch(t.Context(), old.path("one"), []byte(`{"data":{"key":"edited"}}`)); err != nil {
		t.Fatal(err)
	}
	w.sync(0)
	if got := old.get(t, "one"); got != "edited" {
		t.Errorf("one = %q, want it left alone", got)
	}

	// It comes back, and is looked at as a whole.
	w.apps = []*repo{old, other}
	counts(t, w.sync(0), state.Counts{Changed: 1, Drifted: 1, Unchanged: 1})
	if got := old.get(t, "one"); got != "1" {
		t.Errorf("one = %q, want it put right", got)
	}
	if w.head().Apps["old"].Left {
		t.Error("the head still says that the app left")
	}
}

// What was seen of an app while nobody wanted it says nothing of what it should be.
func TestRunMendsAnAppThatComesBack(t *testing.T) {
	t.Parallel()
	old, other := newApp(t, "old"), newApp(t, "other")
	old.configMap("one", "1")
	w := newWorld(t, old, other)
	w.sync(0)
	w.apps = []*repo{other}
	w.sync(0)
	if _, err := server.Patch(t.Context(), old.path("one"), []byte(`{"data":{"key":"by hand"}}`)); err != nil {
		t.Fatal(err)
	}
	w.sync(0) // it is seen
	w.sync(0)

	w.apps = []*repo{old, other}
	report := w.sync(0)
	if got := old.get(t, "one"); got != "1" {
		t.Errorf("the object holds %q, want what the app that is back wants\n%s", got, show(report))
	}
}

func TestRunForgetsWhatADepartedAppLost(t *testing.T) {
	t.Parallel()
	old, other := newApp(t, "old"), newApp(t, "other")
	delete(old.files, "namespace.yaml")
	old.makeNamespace(t)
	old.configMap("one", "1")
	w := newWorld(t, old, other)
	w.sync(0)
	w.apps = []*repo{other}
	w.sync(0)
	if err := server.Delete(t.Context(), old.path("one")); err != nil {
		t.Fatal(err)
	}
	report := w.sync(0)
	if _, still := w.head().Apps["old"]; still {
		t.Errorf("got %s, want the app to leave the ledger with its last object", show(report))
	}
}

func TestRunRemovesAnAbsentApp(t *testing.T) {
	t.Parallel()
	old, other := newApp(t, "old"), newApp(t, "other")
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		old.configMap(name, name)
	}
	w := newWorld(t, old, other)
	w.sync(0)
	job := func(approve ...string) reconcile.Job {
		job := w.open()
		job.Approve, job.Reason = approve, "it is retired"
		job.Configure = func(context.Context, *reconcile.Committed) (reconcile.Config, error) {
			app := other.app
			app.Source, app.Renderer = other, other
			return reconcile.Config{Digest: "config", Apps: []reconcile.App{{Name: "old", Absent: true}, app}}, nil
		}
		return job
	}
	// The namespace is protected, and holds back the whole list.
	report := w.run(job(), 10)
	text := show(report)
	if !strings.Contains(text, "refused protected") || strings.Contains(text, "budget") || strings.Contains(text, "no-survivor") || old.get(t, "a") != "a" {
		t.Fatalf("got %s, want the namespace protected, and no other refusal", text)
	}
	w.run(job(report.Record.Apps[0].PlanHash), 0)
	if old.get(t, "a") != "" {
		t.Errorf("a is still there")
	}
}

func TestRunRemovesADepartedAppOnApproval(t *testing.T) {
	t.Parallel()
	old, other := newApp(t, "old"), newApp(t, "other")
	delete(old.files, "namespace.yaml")
	old.makeNamespace(t)
	old.configMap("one", "1")
	w := newWorld(t, old, other)
	w.sync(0)
	w.apps = []*repo{other}
	hash := w.sync(0).Record.Apps[1].PlanHash
	if old.get(t, "one") != "1" {
		t.Fatal("the object was pruned")
	}
	if _, err := reconcile.Approve(t.Context(), w.open().Ledger, reconcile.Approval{Hash: hash, Reason: "it is retired", Actor: "tester", Now: now}); err != nil {
		t.Fatal(err)
	}
	report := w.sync(0)
	if _, still := w.head().Apps["old"]; still || old.get(t, "one") != "" {
		t.Errorf("got %s, want the app and its object gone", show(report))
	}
}
