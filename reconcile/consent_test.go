package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// Log makes a repo a reconcile.Chronicler.
func (a *repo) Log(context.Context, string, source.Revision) (source.Log, error) {
	a.logs++
	return a.log, a.logErr
}

// approving is an app whose plans all need approval.
func approving(t *testing.T) (*repo, *world) {
	app := newApp(t, "app")
	app.app.Rules.RequireApproval = true
	app.configMap("one", "x")
	return app, newWorld(t, app)
}

func (w *world) approve(hash string) {
	w.t.Helper()
	_, err := reconcile.Approve(w.t.Context(), w.open().Ledger, reconcile.Approval{Hash: hash, Reason: "meant", Actor: "ada", Now: now})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A plan that needs approval is kept once and waits; approved, exactly it is
// carried out, once, and the record says who approved it.
func TestApprovalRequired(t *testing.T) {
	t.Parallel()
	app, w := approving(t)
	first := w.sync(0).Record.Apps[0]
	if first.Verdict != state.Waiting || first.Proposal == nil || !strings.Contains(first.Message, first.PlanHash) {
		t.Fatalf("the first run: %+v, want it to wait, with the plan kept", first)
	}
	if got := app.get(t, "one"); got != "" {
		t.Fatalf("the ConfigMap holds %q although nobody approved it", got)
	}
	again := w.sync(0).Record.Apps[0]
	if again.Verdict != state.Waiting || again.Proposal == nil || *again.Proposal != *first.Proposal {
		t.Errorf("the second run: %s with the plan at %v, want it to wait with the one at %v", again.Verdict, again.Proposal, first.Proposal)
	}
	data, err := w.open().Ledger.Read(t.Context(), *first.Proposal)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := reconcile.DecodeSaved(data)
	if err != nil || saved.Hashes()["app"] != first.PlanHash || len(saved.Apps[0].Plan.Changes) != 2 {
		t.Errorf("the kept plan is %+v, %v, want the one with the hash %s", saved, err, first.PlanHash)
	}

	w.approve(first.PlanHash[:10])
	done := w.sync(0).Record.Apps[0]
	if done.Verdict != state.Changed || done.Approved == nil || done.Approved.Actor != "ada" || done.Approved.Reason != "meant" || app.get(t, "one") != "x" {
		t.Errorf("approved: %s by %+v, want it carried out", done.Verdict, done.Approved)
	}
	if head := w.head().Apps["app"]; head.Approval != nil || head.Proposal != nil {
		t.Errorf("afterwards the head holds %+v and %+v, want neither", head.Approval, head.Proposal)
	}
	if got := w.sync(0).Record.Apps[0]; got.Verdict != state.Unchanged {
		t.Errorf("after that: %s, want unchanged", got.Verdict)
	}

	// What is put back by hand waits too; confirmed, it is done in one go.
	app.configMap("one", "y")
	waits := w.sync(0).Record.Apps[0]
	job := w.open()
	job.Approve, job.Reason = []string{waits.PlanHash}, "now"
	if got := w.run(job, 0).Record.Apps[0]; got.Verdict != state.Changed || got.Approved == nil || got.Approved.Reason != "now" {
		t.Errorf("confirmed: %+v", got)
	}
}

// An approval is worth nothing for another plan: it is refused as stale, dropped,
// and the new plan is kept.
func TestStaleApproval(t *testing.T) {
	t.Parallel()
	app, w := approving(t)
	hash := w.sync(0).Record.Apps[0].PlanHash
	w.approve(hash)
	app.configMap("one", "y")
	got := w.sync(0).Record.Apps[0]
	if got.Verdict != state.Waiting || got.PlanHash == hash || !strings.Contains(strings.Join(got.Warnings, " "), hash+": meant is stale") || app.get(t, "one") != "" {
		t.Errorf("after git moved: %+v, want it planned anew", got)
	}
	if head := w.head().Apps["app"]; head.Approval != nil || head.Proposal.PlanHash != got.PlanHash {
		t.Errorf("the head holds %+v and %+v, want no approval and the new plan", head.Approval, head.Proposal)
	}
	// Back at what was approved: the word was spent.
	app.configMap("one", "x")
	if got := w.sync(0).Record.Apps[0]; got.Verdict != state.Waiting || got.PlanHash != hash {
		t.Errorf("back again: %s %s, want it to wait for %s", got.Verdict, got.PlanHash, hash)
	}
}

// A commit that the wanted revision brings may approve the plan.
func TestApprovalByCommit(t *testing.T) {
	t.Parallel()
	app, w := approving(t)
	hash := w.sync(0).Record.Apps[0].PlanHash
	if w.sync(0); app.logs != 1 {
		t.Errorf("one commit was asked for %d times, want once", app.logs)
	}
	app.files["README.md"] = "approved"
	app.log = source.Log{Commits: []source.Commit{
		{Hash: "c1", Author: "Ada <ada@example.test>", Committer: "bot <bot@example.test>", Subject: "Open", Message: "Open\n\nTidemark-Approve: " + hash[:12] + "\r\n", Time: time.Now()},
		{Hash: "c0", Author: "Eve <eve@example.test>", Subject: "Old", Message: "Old\n\ntidemark-approve: 0123456789\n"},
	}}
	got := w.sync(0).Record.Apps[0]
	if got.Verdict != state.Changed || got.Approved == nil || got.Approved.Actor != "Ada <ada@example.test>" || got.Approved.Committer != "bot <bot@example.test>" || got.Approved.Commit != "c1" || got.Approved.PlanHash != hash {
		t.Errorf("approved by a commit: %s by %+v", got.Verdict, got.Approved)
	}
	if text := strings.Join(got.Warnings, " "); !strings.Contains(text, "Eve") || !strings.Contains(text, "is stale") {
		t.Errorf("the warnings are %q, want the other commit's word told as stale", text)
	}
}

// Two runs with one approval: one carries the plan out, once.
func TestTwoRunsOneApproval(t *testing.T) {
	t.Parallel()
	_, w := approving(t)
	w.approve(w.sync(0).Record.Apps[0].PlanHash)
	reports := make(chan reconcile.Report, 2)
	for range 2 {
		job := w.open()
		go func() {
			report, _ := reconcile.Run(context.WithoutCancel(t.Context()), job)
			reports <- report
		}()
	}
	approved := 0
	for range 2 {
		report := <-reports
		for _, app := range report.Record.Apps {
			if app.Approved != nil && app.Verdict == state.Changed {
				approved++
			}
		}
		if report.Record.Exit != 0 {
			t.Errorf("a run ended with %d: %s", report.Record.Exit, show(report))
		}
	}
	if approved != 1 {
		t.Errorf("%d runs carried the approved plan out, want 1", approved)
	}
}

// A rollback is a person's word, and waits for no other; what comes while the app
// is pinned waits for one, and the pin stays what was approved is about.
func TestApprovalAndRollback(t *testing.T) {
	t.Parallel()
	app, w := approving(t)
	approved := func(value string) {
		t.Helper()
		app.configMap("one", value)
		w.approve(w.run(w.keeping(nil), 0).Record.Apps[0].PlanHash)
		if w.run(w.keeping(nil), 0); app.get(t, "one") != value {
			t.Fatalf("approved: the ConfigMap holds %q, want %q", app.get(t, "one"), value)
		}
	}
	approved("1")
	approved("2")
	app.configMap("one", "3")
	waiting := w.run(w.keeping(nil), 0).Record.Apps[0].PlanHash
	w.approve(waiting)

	got := w.rollback(reconcile.Rollback{App: "app"}, 0).Record.Apps[0]
	if got.Verdict != state.Changed || app.get(t, "one") != "1" || w.head().Apps["app"].Pin == nil {
		t.Fatalf("rolled back: %s %s, the ConfigMap holds %q, want 1 and a pin", got.Verdict, got.Message, app.get(t, "one"))
	}
	// What was approved before was for a plan on what was live then.
	if text := strings.Join(got.Warnings, " "); !strings.Contains(text, waiting+": meant is stale") || w.head().Apps["app"].Approval != nil {
		t.Errorf("the warnings are %q and the head holds %+v, want the approval stale and gone", text, w.head().Apps["app"].Approval)
	}

	app.byHand(t, "one")
	drifted := w.run(w.keeping(nil), 0).Record.Apps[0]
	if drifted.Verdict != state.Waiting || app.get(t, "one") != "by hand" {
		t.Errorf("drift of a pinned app: %s, want it to wait", drifted.Verdict)
	}
	w.approve(drifted.PlanHash)
	if got := w.run(w.keeping(nil), 0).Record.Apps[0]; got.Verdict != state.Changed || got.Approved == nil || app.get(t, "one") != "1" || w.head().Apps["app"].Pin == nil {
		t.Errorf("approved: %s, the ConfigMap holds %q, want the kept set again, and the pin", got.Verdict, app.get(t, "one"))
	}
}
