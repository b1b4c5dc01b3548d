package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/state"
)

// logging is a Watcher whose pods have written something: no kubelet runs here.
type logging struct {
	reconcile.Watcher
	log string
}

func (l logging) Log(_ context.Context, _, pod, container string, previous bool, lines int) (string, error) {
	if previous {
		return "", fmt.Errorf("%w: previous terminated container %q in pod %q not found", apply.ErrRejected, container, pod)
	}
	return strings.Repeat(l.log, lines+20), nil
}

// The record of an unhealthy app says why, in few words and without a Secret's.
func TestRunGathersEvidence(t *testing.T) {
	t.Parallel()
	const canary, second, third = "canary-of-a-password", "canary-on-a-second-line", "canary-of-a-hook"
	web := newApp(t, "web")
	web.app.Wait = reconcile.Wait{All: true, Timeout: time.Minute}
	web.deployment("front", "bad")
	web.files["key.yaml"] = fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: %s}\nstringData: {password: %q, pem: \"%s\\n%s\\n\"}\n", web.app.Namespace, canary, "first", second)
	web.files["hook.yaml"] = fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: hook, namespace: %s, annotations: {argocd.argoproj.io/hook: SyncFail}}\nstringData: {password: %q}\n", web.app.Namespace, third)
	w := newWorld(t, web)
	job := w.open()
	job.Watcher = logging{job.Watcher, "cannot log in with " + canary + " " + strings.Repeat("x", 600) + "\n  " + second + " " + third + "\n"}
	ns := "/api/v1/namespaces/" + web.app.Namespace
	whenWaiting(&job, func(string) {
		ctx := context.WithoutCancel(t.Context())
		for path, body := range map[string]string{
			ns + "/serviceaccounts": `{"metadata":{"name":"default"}}`,
			ns + "/events": fmt.Sprintf(`{"metadata":{"name":"e1"},"type":"Warning","reason":"BackOff","message":"back-off, the password is %s","count":7,"lastTimestamp":"2026-01-01T00:00:00Z",
				"involvedObject":{"apiVersion":"v1","kind":"Pod","name":"front-1","namespace":%q}}`, canary, web.app.Namespace),
		} {
			if _, err := server.Create(ctx, path, []byte(body)); err != nil {
				t.Error(err)
			}
		}
		if _, err := server.Create(ctx, ns+"/pods", []byte(`{"metadata":{"name":"front-1","labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"bad"}]}}`)); err != nil {
			t.Error(err)
		}
		if _, err := server.Patch(ctx, ns+"/pods/front-1/status", []byte(`{"status":{"phase":"Running","containerStatuses":[{"name":"c","image":"bad","imageID":"","ready":false,"restartCount":2,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}`)); err != nil {
			t.Error(err)
		}
		web.becomes(t, "front", 1, strings.Replace(stuck, "no image", "the password "+canary+" is wrong", 1))
	})
	report := w.run(job, 11)
	ill := report.Record.Apps[0].Health
	if ill == nil || len(ill.Objects) != 1 || ill.Objects[0].Evidence == nil {
		t.Fatalf("health = %+v, want evidence of one object\n%s", ill, show(report))
	}
	found := ill.Objects[0].Evidence
	text, _ := json.MarshalIndent(found, "", " ")
	switch {
	case len(found.Conditions) != 1 || found.Conditions[0].Message != "the password *** is wrong":
		t.Errorf("conditions, want the one of the Deployment:\n%s", text)
	case len(found.Events) != 1 || found.Events[0].Message != "back-off, the password is ***" || found.Events[0].Count != 7:
		t.Errorf("events, want that of the pod:\n%s", text)
	case len(found.Logs) != 1 || found.Logs[0].Pod != "front-1" || len(found.Logs[0].Lines) != 50 || !strings.HasPrefix(found.Logs[0].Lines[48], "cannot log in with *** xxx") || found.Logs[0].Lines[49] != "  *** ***":
		t.Errorf("logs, want the last 50 lines of the container that runs:\n%s", text)
	}
	for _, line := range found.Logs[0].Lines {
		if len(line) > 510 {
			t.Errorf("a line of %d bytes, want it shortened", len(line))
		}
	}
	w.mustNotHold(canary, second, third)
	if head := w.head().Apps["web"]; head.Health != state.Unhealthy {
		t.Errorf("head: %q, want %q", head.Health, state.Unhealthy)
	}
}
