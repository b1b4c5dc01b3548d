package reconcile_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

func TestRunLeavesValidationOut(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.SkipValidation = true
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	w := newWorld(t, web)
	first := w.sync(0)
	counts(t, first, state.Counts{Created: 1})
	web.configMap("one", "2")
	second := w.sync(0)
	counts(t, second, state.Counts{Changed: 1})
	for _, report := range []reconcile.Report{first, second} {
		if sent := report.Record.Cost.KubernetesRequests["dry-run"]; sent != 0 {
			t.Errorf("%d dry runs were sent, want none\n%s", sent, show(report))
		}
	}
	if got := web.get(t, "one"); got != "2" {
		t.Errorf("one = %q, want 2", got)
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 1})
}

func TestRunFoldsUnchangedRuns(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.foldUnchanged = true
	w.sync(0)
	w.sync(0) // the first unchanged run leaves a record
	for range 3 {
		if report := w.sync(0); report.Record.Seq != 0 {
			t.Errorf("a folded run left the record %d", report.Record.Seq)
		}
	}
	web.configMap("one", "2")
	report := w.sync(0)
	if got := report.Record.Folded; got == nil || got.Runs != 3 {
		t.Errorf("folded = %+v, want the three unchanged runs", got)
	}
	records, err := w.open().Ledger.History(t.Context(), 10)
	if err != nil || len(records) != 3 {
		t.Errorf("history holds %d records (%v), want 3", len(records), err)
	}
}

func TestRunPrunesNothingWhenToldSo(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Rules.KeepAll = true
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	delete(web.files, "one.yaml")
	counts(t, w.sync(0), state.Counts{Kept: 1, Unchanged: 1})
	if got := web.get(t, "one"); got != "1" {
		t.Errorf("one = %q, want it kept", got)
	}
}

// A finished Job that the control plane removed has done what was wanted.
func TestRunLeavesAnExpiredJobAlone(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	job := func(image string) {
		web.files["job.yaml"] = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once, namespace: " + web.app.Namespace + "}\n" +
			"spec: {ttlSecondsAfterFinished: 60, template: {spec: {restartPolicy: Never, containers: [{name: once, image: " + image + "}]}}}\n"
	}
	path := "/apis/batch/v1/namespaces/" + web.app.Namespace + "/jobs/once"
	job("one")
	w := newWorld(t, web)
	counts(t, w.sync(0), state.Counts{Created: 2})
	if err := server.Delete(t.Context(), path+"?propagationPolicy=Background"); err != nil {
		t.Fatal(err)
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
	third := w.sync(0)
	counts(t, third, state.Counts{Unchanged: 2})
	if sent := third.Record.Cost.KubernetesRequests["get"]; sent > 1 {
		t.Errorf("%d GETs for an expired Job that was looked for before, want only that of kube-system", sent)
	}
	job("two")
	counts(t, w.sync(0), state.Counts{Created: 1, Unchanged: 1})
}

// What kubectl applied and the repository dropped must go, although kubectl's
// field manager still holds it.
func TestRunMovesFromClientSideApply(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	last := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one","namespace":"` + web.app.Namespace + `"},"data":{"key":"1","old":"x"}}`
	annotation, err := json.Marshal(last)
	if err != nil {
		t.Fatal(err)
	}
	byHand(t, "/api/v1/namespaces/"+web.app.Namespace+"/configmaps?fieldManager=kubectl-client-side-apply",
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one","annotations":{"kubectl.kubernetes.io/last-applied-configuration":`+string(annotation)+`}},"data":{"key":"1","old":"x"}}`)
	web.configMap("one", "1")
	w := newWorld(t, web)
	counts(t, w.sync(0), state.Counts{Adopted: 1})
	answer, err := server.Get(t.Context(), web.path("one"))
	if err != nil || strings.Contains(string(answer), `"old":"x"`) {
		t.Errorf("the ConfigMap is %s, %v; want the field that kubectl applied gone", answer, err)
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 1})
}

func TestRunRedactsWhatItStores(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.open()
	job.Redact = func(text string) string { return strings.ReplaceAll(text, "hunter2", "(redacted)") }
	job.Configure = func(context.Context, *reconcile.Committed) (reconcile.Config, error) {
		return reconcile.Config{}, &reconcile.Fault{Exit: 12, Err: errString("the server said hunter2")}
	}
	report, _ := reconcile.Run(t.Context(), job)
	if !report.Recorded || !strings.Contains(report.Record.Message, "(redacted)") {
		t.Errorf("record = %+v, want its message redacted", report.Record)
	}
	w.mustNotHold("hunter2")
}

type errString string

func (e errString) Error() string { return string(e) }
