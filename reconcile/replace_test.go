package reconcile_test

import (
	"context"
	"fmt"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// fixedSecret gives the text of a Secret that cannot be changed, but replaced.
func (a *repo) fixedSecret(value string) {
	a.files["one.yaml"] = fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: one, namespace: %s}\nimmutable: true\nstringData: {key: %q}\n", a.app.Namespace, value)
}

// cut is a cluster whose creates go wrong before they are sent.
type cut struct{ reconcile.Cluster }

func (c cut) Apply(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.Meta, error) {
	if at == (apply.Target{}) {
		return plan.Meta{}, fmt.Errorf("%w: cut", apply.ErrUnreachable)
	}
	return c.Cluster.Apply(ctx, o, at, force)
}

// What was deleted and not made again is made by the next run, though the app
// leaves drift alone and a Secret has no digest that could tell.
func TestReplaceGoesOn(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.fixedSecret("x")
	app.app.Rules.Replace, app.app.Rules.Drift = true, plan.DriftReport
	w := newWorld(t, app)
	w.sync(0)
	app.fixedSecret("y")
	job := w.open()
	job.Cluster = cut{job.Cluster}
	if report, _ := reconcile.Run(t.Context(), job); report.Record.Exit == 0 {
		t.Fatalf("the run succeeded without its create\n%s", show(report))
	}
	if _, err := server.Get(t.Context(), "/api/v1/namespaces/"+app.app.Namespace+"/secrets/one"); err == nil {
		t.Fatal("the Secret was not deleted, so that this test tells nothing")
	}
	w.sync(0)
	if _, err := server.Get(t.Context(), "/api/v1/namespaces/"+app.app.Namespace+"/secrets/one"); err != nil {
		t.Errorf("the Secret was not made again: %v", err)
	}
	w.verdicts(w.sync(0), "unchanged")
	w.mustNotHold("eA==", "eQ==") // the values
}
