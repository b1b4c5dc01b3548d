package reconcile_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
)

// offline gives the plans that are made without the cluster.
func (w *world) offline() reconcile.Report {
	w.t.Helper()
	job := w.open()
	remembered, err := reconcile.Remembered(w.t.Context(), job.Ledger, "")
	if err != nil {
		w.t.Fatal(err)
	}
	// Nothing else is left by which a cluster could be asked.
	job.Cluster, job.Witness, job.Watcher = remembered, nil, nil
	job.Mode, job.Offline = reconcile.PlanOnly, true
	return w.run(job, 0)
}

// Offline, what is wanted is compared with what was applied last; what happened to
// the cluster since is not known.
func TestOffline(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	app.configMap("two", "x")
	app.files["secret.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: till, namespace: " + app.app.Namespace + "}\nstringData: {key: low}\n"
	w := newWorld(t, app)
	if got := w.offline(); len(got.Plans) != 1 || len(got.Plans[0].Changes) != 4 {
		t.Fatalf("before the first run: %+v, want everything created", got.Plans)
	}
	w.sync(0)
	app.byHand(t, "two")
	if got := w.offline(); len(got.Plans) != 0 && got.Plans[0].Acts() {
		t.Errorf("nothing was pushed: %+v, want no changes", got.Plans)
	}

	app.configMap("one", "y")
	delete(app.files, "two.yaml")
	app.configMap("three", "z")
	app.files["secret.yaml"] = strings.Replace(app.files["secret.yaml"], "low", "high", 1)
	report := w.offline()
	got := map[string]plan.Change{}
	for _, c := range report.Plans[0].Changes {
		got[c.ID.Name] = c
	}
	if len(got) != 3 || got["one"].Action != plan.Update || got["two"].Action != plan.Prune || got["three"].Action != plan.Create {
		t.Errorf("the changes are %+v, want one changed, two pruned, three created", got)
	}
	if diff := got["one"].Diff; len(diff) != 1 || diff[0].Old != "x" || diff[0].New != "y" {
		t.Errorf("the fields that change are %+v, want data.key from x to y", diff)
	}
	if asked := report.Record.Cost.KubernetesRequests; len(asked) != 0 {
		t.Errorf("the cluster was asked: %v", asked)
	}
	// A key that is added shows; a value does not.
	app.files["secret.yaml"] += "  \n"
	app.files["secret.yaml"] = strings.Replace(app.files["secret.yaml"], "{key: high}", "{key: high, more: secret-word}", 1)
	for _, c := range w.offline().Plans[0].Changes {
		got[c.ID.Name] = c
	}
	if diff := got["till"].Diff; len(diff) != 1 || !diff[0].Masked || diff[0].New != nil {
		t.Errorf("of the Secret: %+v, want one masked field", got["till"])
	}
}

func TestOfflineTellsOfHooks(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.makeNamespace(t)
	delete(app.files, "namespace.yaml")
	app.configMap("one", "x")
	app.files["before.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: before, namespace: " + app.app.Namespace + ", annotations: {argocd.argoproj.io/hook: PreSync}}\n"
	w := newWorld(t, app)
	w.sync(0)
	if got := w.offline(); len(got.Plans) != 0 && got.Plans[0].Acts() {
		t.Errorf("nothing was pushed: %+v, want no changes", got.Plans)
	}
	app.configMap("one", "y")
	report := w.offline()
	if len(report.Plans) != 1 {
		t.Fatalf("no plan: %s", show(report))
	}
	got := map[string]plan.Change{}
	for _, c := range report.Plans[0].Changes {
		got[c.ID.Name] = c
	}
	if len(got) != 2 || got["one"].Action != plan.Update || got["before"].Action != plan.Run || got["before"].Hook != plan.PreSync {
		t.Errorf("the changes are %+v, want the hook before, and one changed", got)
	}
}
