package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
)

// wave gives the text of a ConfigMap of a sync wave.
func (a *repo) wave(name, wave string) {
	a.files[name+".yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: " + a.app.Namespace +
		", annotations: {argocd.argoproj.io/sync-wave: \"" + wave + "\"}}\ndata: {key: one}\n"
}

// A wave begins when the one before is healthy: within the run, or in one that
// comes later.
func TestRunBeginsAWaveWhenTheOneBeforeIsHealthy(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait = reconcile.Wait{Timeout: time.Second}
	web.deployment("front", "one")
	web.wave("early", "-1")
	web.wave("late", "1")
	web.dependent("user", "apps/namespaces/"+web.app.Namespace+"/Deployment/front")
	w := newWorld(t, web)

	report := w.sync(reconcile.ExitPartial)
	if web.get(t, "early") != "one" || web.get(t, "late") != "" || web.get(t, "user") != "" {
		t.Fatalf("early %q, late %q, user %q, want only what nothing holds\n%s", web.get(t, "early"), web.get(t, "late"), web.get(t, "user"), show(report))
	}
	for _, want := range []string{
		"ConfigMap " + web.app.Namespace + "/late (new): held sync wave 0 did not end well: ConfigMap " + web.app.Namespace + "/user",
		"ConfigMap " + web.app.Namespace + "/user (new): held it depends on Deployment.apps " + web.app.Namespace + "/front: ",
	} {
		if !strings.Contains(show(report), want) {
			t.Errorf("want %q in\n%s", want, show(report))
		}
	}

	web.app.Wait.Timeout = time.Minute
	web.becomes(t, "front", 1, rolledOut)
	job := w.open()
	w.run(job, reconcile.ExitOK)
	if web.get(t, "late") != "one" || web.get(t, "user") != "one" {
		t.Error("what was held was not applied once the rest was healthy")
	}
	if requests := job.Cluster.Requests(); requests["watch"] > 2 {
		t.Errorf("requests = %v, want one watch a kind", requests)
	}
}
