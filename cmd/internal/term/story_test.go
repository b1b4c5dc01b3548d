package term_test

import (
	"testing"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile/history"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

func TestStory(t *testing.T) {
	from, to := history.Run{Seq: 40, Run: "01JZ0000000000000000000000", Finished: now}, history.Run{Seq: 42, Run: "01JZ0000000000000000000002", Finished: now}
	applied := &history.Applied{Revision: revision()}
	fields := []plan.FieldDiff{{Path: "spec.replicas", Old: int64(2), New: int64(3)}, {Path: "data.\x1b[31m", New: "x"}}
	golden(t, "diff.txt", term.Diff(history.Diff{From: from, To: to, Apps: []history.AppDiff{
		{App: "db", Unchanged: 4},
		{App: "gone", From: applied, Unknown: "the set that stood after record 40 is no longer kept (audit.retention)"},
		{App: "web", From: nil, To: applied, Unchanged: 1, Changes: []history.ObjectChange{
			{ID: id("ConfigMap", "new"), Action: plan.Create, File: "deploy/new.yaml"},
			{ID: id("Deployment", "web"), Action: plan.Update, File: "deploy/\u202eweb.yaml", Diff: fields},
			{ID: object.ID{Kind: "Secret", Namespace: "shop", Name: "pass"}, Action: plan.Update, Note: "record 42 wrote it"},
			{ID: id("ConfigMap", "old"), Action: plan.Prune, File: "deploy/old.yaml"},
		}},
	}}, term.Style{}))
	golden(t, "why.txt", term.Why(history.Why{ID: id("Deployment", "web"), App: "web", Whole: true, Searched: 42, Writes: []history.Write{
		{Run: to, Trigger: "schedule", Actor: "cron", App: "web", Action: "change", Reason: "drift", Outcome: "changed", From: revision().Commit, Applied: *applied, File: "deploy/web.yaml", Document: 2, Diff: fields},
		{Run: from, Trigger: "cli", Actor: "ada", App: "shop", Action: "hand-over", Reason: "wanted", Outcome: "handed-over", Message: "to web", From: "decafdecafdecaf", Applied: history.Applied{Revision: revision(), Chart: &state.Chart{Repo: "oci://example.com/charts", Name: "web", Version: "1.2.3"}}, Unknown: "what that run kept was collected since (audit.retention)"},
	}}, term.Style{}))
	golden(t, "history-app.txt", term.AppHistory("web", []state.Record{
		{Seq: 42, Finished: now, Trigger: "schedule", Actor: "cron", Apps: []state.AppRecord{{Name: "web", Verdict: state.Changed, Revision: revision(), Counts: state.Counts{Changed: 2, Unchanged: 3}}}},
		{Seq: 41, Finished: now, Trigger: "cli", Actor: "ada", Apps: []state.AppRecord{{Name: "web", Verdict: state.Failed, Message: "fetch: no\nanswer"}}},
	}, term.Style{}))
}
