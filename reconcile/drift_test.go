package reconcile_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
)

// Drift that is off is neither told nor put right, and found again as soon as it
// is not off any more; then the record says what it was and whose.
func TestDriftIsOffForAWhile(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	w := newWorld(t, app)
	w.sync(0)
	body := []byte(`{"data":{"key":"theirs"}}`)
	if _, err := server.Patch(t.Context(), app.path("one"), body); err != nil {
		t.Fatal(err)
	}
	app.app.Rules.Drift = plan.DriftOff
	for range 2 {
		w.verdicts(w.sync(0), "unchanged")
		if got := app.get(t, "one"); got != "theirs" {
			t.Fatalf("one = %q: drift that is off was put right", got)
		}
	}
	app.app.Rules.Drift = plan.DriftCorrect
	report := w.sync(0)
	w.verdicts(report, "changed")
	changes := report.Record.Apps[0].Changes
	if len(changes) != 1 || !strings.Contains(changes[0].Message, `data.key is "theirs", not "x" (`) {
		t.Errorf("changes = %+v, want what drifted and who wrote it", changes)
	}
	if got := app.get(t, "one"); got != "x" {
		t.Errorf("one = %q, want x", got)
	}
}

// The server notes what was applied as stringData under that name, also when
// somebody writes other data later: the app's own words are data.
func TestDriftOfStringDataIsFound(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.files["secret.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: " + app.app.Namespace + "}\nstringData: {key: ours}\ndata: {other: b3Vycw==}\n"
	path := "/api/v1/namespaces/" + app.app.Namespace + "/secrets/token"
	w := newWorld(t, app)
	w.sync(0)
	w.verdicts(w.sync(0), "unchanged")
	if _, err := server.Patch(t.Context(), path, []byte(`{"data":{"key":"dGhlaXJz"}}`)); err != nil {
		t.Fatal(err)
	}
	report := w.sync(0)
	w.verdicts(report, "changed")
	if changes := report.Record.Apps[0].Changes; len(changes) != 1 || !strings.Contains(changes[0].Message, "data.key is another secret value (") {
		t.Errorf("changes = %+v, want what drifted and who wrote it", changes)
	}
	answer, err := server.Get(t.Context(), path)
	if err != nil || !strings.Contains(string(answer), `"key":"b3Vycw=="`) {
		t.Errorf("the Secret is %s (%v), want what the app wants", answer, err)
	}
	w.verdicts(w.sync(0), "unchanged")
}
