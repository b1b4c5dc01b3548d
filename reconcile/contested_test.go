package reconcile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile"
)

// An object that drifts back three runs in a row is contested, and told with both
// managers, until a run finds it as it should be.
func TestContested(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	app.configMap("two", "x")
	w := newWorld(t, app)
	w.sync(0)
	edit := func() {
		t.Helper()
		if _, err := server.Patch(t.Context(), app.path("one"), []byte(`{"data":{"key":"theirs"}}`)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, report reconcile.Report, runs int) {
		t.Helper()
		got := report.Record.Apps[0].Contested
		if runs == 0 && len(got) == 0 {
			return
		}
		if len(got) != 1 || got[0].ID.Name != "one" || got[0].Runs != runs || len(got[0].Managers) != 2 || got[0].Managers[0] != "tidemark" {
			t.Fatalf("%s: contested %+v, want one, %d runs in a row, by tidemark and another", what, got, runs)
		}
		if !slices.ContainsFunc(report.Record.Apps[0].Warnings, func(text string) bool { return strings.Contains(text, got[0].Text()) }) {
			t.Errorf("%s: warnings %q, want %q in them", what, report.Record.Apps[0].Warnings, got[0].Text())
		}
	}
	for range 2 {
		edit()
		expect("at first", w.sync(0), 0)
	}
	edit()
	plan := w.open()
	plan.Mode = reconcile.PlanOnly
	expect("a plan", w.run(plan, 0), 3)
	expect("the third run", w.sync(0), 3)
	if got := w.head().Apps["app"].Contests; len(got) != 1 || !got[0].Contested() {
		t.Errorf("the head knows %+v, want the contested one", got)
	}
	edit()
	app.fails = reconcile.Unreachable(errors.New("away"))
	w.sync(15)
	app.fails = nil
	expect("a run that failed between", w.sync(0), 4)
	w.verdicts(w.sync(0), "unchanged")
	if got := w.head().Apps["app"].Contests; got != nil {
		t.Errorf("after an unchanged run the head knows %+v, want none", got)
	}
	edit()
	expect("after that", w.sync(0), 0)

	app.app.Rules.Drift = "report" // nobody fights
	for range 4 {
		edit()
		expect("only told", w.sync(0), 0)
	}
	if got := w.head().Apps["app"].Contests; len(got) != 0 {
		t.Errorf("of drift that is only told, the head knows %+v", got)
	}
}
