package reconcile_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// saved gives the plan that would be carried out now, as it comes back from a file.
func (w *world) saved() reconcile.Saved {
	w.t.Helper()
	job := w.open()
	job.Mode, job.Keep = reconcile.PlanOnly, true
	report := w.run(job, 0)
	data, err := report.Saved.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if report.Kept == nil {
		w.t.Fatalf("the plan is not in the ledger: %q", report.Record.Warnings)
	}
	if kept, err := w.open().Ledger.Read(w.t.Context(), *report.Kept); err != nil || string(kept) != string(data) {
		w.t.Fatalf("the ledger holds %q, %v, want the saved plan", kept, err)
	}
	saved, err := reconcile.DecodeSaved(data)
	if err != nil {
		w.t.Fatal(err)
	}
	return saved
}

func (w *world) exactly(saved reconcile.Saved, exit int) reconcile.Report {
	w.t.Helper()
	job := w.open()
	job.Exactly = &saved
	return w.run(job, exit)
}

// A saved plan is carried out as a whole or not at all: when one app moved, the
// other is left alone too.
func TestSavedPlanAsAWhole(t *testing.T) {
	t.Parallel()
	one, two := newApp(t, "one"), newApp(t, "two")
	one.configMap("cm", "x")
	two.configMap("cm", "x")
	w := newWorld(t, one, two)
	saved := w.saved()
	two.configMap("cm", "y")
	report := w.exactly(saved, reconcile.ExitRefused)
	for _, app := range report.Record.Apps {
		if app.Verdict != state.Refused || len(app.Refusals) != 1 || app.Refusals[0].Reason != plan.RefusedStale || !strings.Contains(app.Refusals[0].Message, "two: what it is rendered from") {
			t.Errorf("%s: %s %+v, want both refused since two moved", app.Name, app.Verdict, app.Refusals)
		}
	}
	if one.get(t, "cm") != "" {
		t.Error("one was applied although the plan as a whole is stale")
	}
	two.configMap("cm", "x")
	w.exactly(saved, 0)
	if one.get(t, "cm") != "x" || two.get(t, "cm") != "x" {
		t.Errorf("the ConfigMaps hold %q and %q, want what the plan says", one.get(t, "cm"), two.get(t, "cm"))
	}

	// An app that the plan says nothing of must have nothing to do either.
	one.configMap("cm", "y")
	saved = w.saved()
	two.configMap("cm", "z")
	report = w.exactly(saved, reconcile.ExitRefused)
	if got := report.Record.Apps[1].Refusals; len(got) != 1 || !strings.Contains(got[0].Message, "nothing was to be done there") {
		t.Errorf("two: %+v, want it refused", got)
	}
	if one.get(t, "cm") != "x" {
		t.Error("one was applied")
	}

	// A plan for another ledger is none for this.
	other := w.saved()
	other.Lineage = strings.Repeat("0", len(other.Lineage))
	w.exactly(other, reconcile.ExitRefused)
}

// The first plan of a ledger, all creates, would fit any empty cluster.
func TestSavedPlanNamesItsCluster(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	w := newWorld(t, app)
	saved := w.saved()
	saved.Cluster = "another"
	report := w.exactly(saved, reconcile.ExitRefused)
	if got := report.Record.Apps[0].Refusals; len(got) != 1 || !strings.Contains(got[0].Message, "it was made for another cluster") {
		t.Errorf("refused: %+v, want a word about the cluster", got)
	}
	if app.get(t, "one") != "" {
		t.Error("the plan was carried out")
	}
}

// The cluster moves: the plan is stale, and says where.
func TestSavedPlanOfAnotherCluster(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	app.configMap("two", "x")
	w := newWorld(t, app)
	w.sync(0)
	app.configMap("one", "y")
	saved := w.saved()
	app.byHand(t, "two")
	report := w.exactly(saved, reconcile.ExitRefused)
	if got := report.Record.Apps[0].Refusals; len(got) != 1 || !strings.Contains(got[0].Message, "the cluster moved: ConfigMap") || !strings.Contains(got[0].Message, "two") {
		t.Errorf("refused: %+v, want the object that moved", got)
	}
	if app.get(t, "one") != "x" {
		t.Error("the plan was carried out")
	}
}

// byHand changes a ConfigMap of the app.
func (a *repo) byHand(t *testing.T, name string) {
	t.Helper()
	if _, err := server.Patch(t.Context(), a.path(name), []byte(`{"data":{"key":"by hand"}}`)); err != nil {
		t.Fatal(err)
	}
}
