package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

func TestRunFollowsTheRepository(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	web.configMap("two", "2")
	w := newWorld(t, web)

	first := w.sync(0)
	counts(t, first, state.Counts{Created: 3})

	second := w.sync(0)
	counts(t, second, state.Counts{Unchanged: 3})
	if got := second.Record.Verdict; got != state.Unchanged {
		t.Errorf("verdict of the second run = %s, want unchanged", got)
	}
	if web.renders != 1 {
		t.Errorf("the app was rendered %d times, want once: nothing changed", web.renders)
	}
	requests := second.Record.Cost.KubernetesRequests
	for verb := range requests {
		switch verb {
		case "get", "list", "discover", "version":
		default:
			t.Errorf("the unchanged run sent %v, want reads only", requests)
		}
	}
	if requests["list"] != 2 || requests["get"] > 1 {
		t.Errorf("the unchanged run sent %v, want one LIST for each of two kinds and one GET of kube-system", requests)
	}

	web.configMap("one", "1b")
	delete(web.files, "two.yaml")
	third := w.sync(0)
	counts(t, third, state.Counts{Changed: 1, Pruned: 1, Unchanged: 1})
	if got := web.get(t, "one"); got != "1b" {
		t.Errorf("one = %q, want 1b", got)
	}
	if got := web.get(t, "two"); got != "" {
		t.Errorf("two = %q, want it pruned", got)
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
}

func TestRunFindsDriftThoughTheRevisionStandsStill(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("edited", "wanted")
	web.configMap("deleted", "wanted")
	web.configMap("noise", "wanted")
	w := newWorld(t, web)
	w.sync(0)

	if _, err := server.Patch(t.Context(), web.path("edited"), []byte(`{"data":{"key":"by hand"}}`)); err != nil {
		t.Fatal(err)
	}
	if err := server.Delete(t.Context(), web.path("deleted")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Patch(t.Context(), web.path("noise"), []byte(`{"metadata":{"annotations":{"other":"noise"}}}`)); err != nil {
		t.Fatal(err)
	}
	report := w.sync(0)
	counts(t, report, state.Counts{Created: 1, Changed: 1, Unchanged: 2, Drifted: 2})
	for _, name := range []string{"edited", "deleted"} {
		if got := web.get(t, name); got != "wanted" {
			t.Errorf("%s = %q, want it put back", name, got)
		}
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 4})
}

func TestRunReportsDriftWhenToldTo(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Rules.Drift = plan.DriftReport
	web.configMap("edited", "wanted")
	w := newWorld(t, web)
	w.sync(0)
	if _, err := server.Patch(t.Context(), web.path("edited"), []byte(`{"data":{"key":"by hand"}}`)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		counts(t, w.sync(0), state.Counts{Unchanged: 1, Drifted: 1})
	}
	if got := web.get(t, "edited"); got != "by hand" {
		t.Errorf("edited = %q, want it left as it is", got)
	}
	// What the repository changes is applied nevertheless.
	web.configMap("edited", "newer")
	counts(t, w.sync(0), state.Counts{Unchanged: 1, Changed: 1})
}

func TestRunSettlesControllersNoise(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	// Another manager's annotation moves the resourceVersion of what we own.
	if _, err := server.Patch(t.Context(), web.path("one"), []byte(`{"metadata":{"annotations":{"controller/revision":"1"}}}`)); err != nil {
		t.Fatal(err)
	}
	report := w.sync(0)
	counts(t, report, state.Counts{Unchanged: 2})
	if web.renders != 1 {
		t.Errorf("rendered %d times, want once: an annotation of others is not drift", web.renders)
	}
}

func TestRunRefusesAndTakesApproval(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	for i := range 8 {
		web.configMap(fmt.Sprintf("cm-%d", i), "x")
	}
	w := newWorld(t, web)
	w.sync(0)
	for i := range 6 {
		delete(web.files, fmt.Sprintf("cm-%d.yaml", i))
	}
	refused := w.sync(10)
	if got := refused.Record.Apps[0].Refusals; len(got) != 1 || got[0].Reason != "budget" || got[0].PlanHash == "" {
		t.Fatalf("refusals = %+v, want one of the budget, with the plan's hash", got)
	}
	if got := web.get(t, "cm-0"); got != "x" {
		t.Fatal("the refused run pruned")
	}
	hash := refused.Record.Apps[0].Refusals[0].PlanHash
	if again := w.sync(10); again.Record.Apps[0].PlanHash != hash {
		t.Fatalf("the plan's hash moved from %s to %s though nothing changed", hash, again.Record.Apps[0].PlanHash)
	}

	job := w.open()
	record, err := reconcile.Approve(t.Context(), job.Ledger, reconcile.Approval{Hash: hash[:12], Reason: "cleaning up", Actor: "tester", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(record.Message, "cleaning up") || !strings.Contains(record.Message, hash) {
		t.Errorf("the record of the approval says %q, want the hash and the reason", record.Message)
	}
	counts(t, w.sync(0), state.Counts{Pruned: 6, Unchanged: 3})

	// The approval holds once.
	for i := range 6 {
		web.configMap(fmt.Sprintf("cm-%d", i), "x")
	}
	counts(t, w.sync(0), state.Counts{Created: 6, Unchanged: 3})
	for i := range 6 {
		delete(web.files, fmt.Sprintf("cm-%d.yaml", i))
	}
	w.sync(10)
}

func TestRunConfirmsInOneGo(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	web.files["annex.yaml"] = strings.ReplaceAll(web.files["namespace.yaml"], web.app.Namespace, web.app.Namespace+"-annex")
	w := newWorld(t, web)
	w.sync(0)
	delete(web.files, "annex.yaml")
	refused := w.sync(10)
	if got := refused.Record.Apps[0].Refusals; len(got) != 1 || got[0].Reason != "protected" {
		t.Fatalf("refusals = %+v, want the namespace protected", got)
	}
	job := w.open()
	job.Approve, job.Reason = []string{refused.Record.Apps[0].PlanHash[:8]}, "it is empty"
	report := w.run(job, 0)
	// Without a namespace controller the namespace stays terminating.
	counts(t, report, state.Counts{Pruned: 1, Unchanged: 2})
	if warnings := strings.Join(report.Record.Apps[0].Warnings, "\n"); !strings.Contains(warnings, "it is empty") {
		t.Errorf("warnings = %q, want who confirmed and why", warnings)
	}
}

func TestRunRefusesAnEmptySetAndNoSurvivor(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)

	files := web.files
	web.files = map[string]string{}
	if report := w.sync(12); !strings.Contains(report.Record.Apps[0].Message, "empty set") {
		t.Errorf("message = %q, want the empty set named", report.Record.Apps[0].Message)
	}
	web.files = map[string]string{"other.yaml": strings.ReplaceAll(files["one.yaml"], "name: one,", "name: other,")}
	report := w.sync(10)
	if text := show(report); !strings.Contains(text, "no-survivor") {
		t.Errorf("got %s, want the refusal no-survivor", text)
	}
	if got := web.get(t, "one"); got != "1" {
		t.Error("something was pruned")
	}
	web.files = files
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
}

func TestRunKeepsOneAppsTroubleItsOwn(t *testing.T) {
	t.Parallel()
	good, bad := newApp(t, "good"), newApp(t, "bad")
	good.configMap("one", "1")
	bad.fails = errors.New("no such branch")
	w := newWorld(t, bad, good)
	report := w.sync(12)
	if got := good.get(t, "one"); got != "1" {
		t.Errorf("the good app was not applied\n%s", show(report))
	}
	if got := report.Record.Apps[0]; got.Verdict != state.Failed || !strings.Contains(got.Message, "no such branch") {
		t.Errorf("bad app = %+v, want it failed with its reason", got)
	}
	bad.fails = reconcile.Unreachable(errors.New("no route to host"))
	w.sync(15)
}

func TestRunLeavesARecordOfABadConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.open()
	job.Only = []string{"nobody"}
	report, err := reconcile.Run(t.Context(), job)
	if err == nil || report.Record.Exit != 12 || !report.Recorded {
		t.Fatalf("Run = %+v, %v; want exit 12, recorded, and an error", report.Record, err)
	}
	records, err := w.open().Ledger.History(t.Context(), 5)
	if err != nil || len(records) != 1 || records[0].Verdict != state.Failed {
		t.Fatalf("history = %+v, %v; want the one failed run", records, err)
	}
}

func TestRunRemembersACommittedConfiguration(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	var given []*reconcile.Committed
	run := func(commit string) {
		t.Helper()
		job := w.open()
		inner := job.Configure
		job.Configure = func(ctx context.Context, last *reconcile.Committed) (reconcile.Config, error) {
			given = append(given, last)
			config, err := inner(ctx, last)
			config.Committed = &reconcile.Committed{Repo: "r", Commit: commit, Path: "tidemark.yaml", Text: []byte("text of " + commit)}
			return config, err
		}
		w.run(job, 0)
	}
	run("a")
	run("a")
	run("b")
	run("b")
	var got []string
	for _, g := range given {
		if g == nil {
			got = append(got, "nothing")
			continue
		}
		got = append(got, g.Commit+": "+string(g.Text))
	}
	want := []string{"nothing", "a: text of a", "a: text of a", "b: text of b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what each run was given (-want +got):\n%s", diff)
	}
}

func TestRunKeepsAnApprovalOverCommitsThatChangeNothing(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	delete(web.files, "namespace.yaml")
	hash := w.sync(10).Record.Apps[0].PlanHash
	web.files["README.md"] = "another commit"
	if got := w.sync(10).Record.Apps[0].PlanHash; got != hash {
		t.Errorf("the plan's hash is %s after a commit that it does not read, want %s as before", got, hash)
	}
	web.configMap("one", "2")
	if got := w.sync(10).Record.Apps[0].PlanHash; got == hash {
		t.Error("another wish has the same plan hash")
	}
}
