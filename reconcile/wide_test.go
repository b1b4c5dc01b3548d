package reconcile_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Apps are applied side by side, and what one lays the ground for, another of the
// same run builds on, whichever comes first in the configuration.
func TestAppsBuildOnEachOther(t *testing.T) {
	t.Parallel()
	needy, kinds, spaces := newApp(t, "needy"), newApp(t, "kinds"), newApp(t, "spaces")
	needy.app.Namespace = spaces.app.Namespace
	delete(needy.files, "namespace.yaml")
	needy.configMap("one", "1")
	group := "built.on." + spaces.app.Namespace[:8] + ".example.com"
	kinds.files["crd.yaml"] = fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tides.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {plural: tides, singular: tide, kind: Tide, listKind: TideList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`, group)
	needy.files["tide.yaml"] = fmt.Sprintf("apiVersion: %s/v1\nkind: Tide\nmetadata: {name: one, namespace: %s}\n", group, needy.app.Namespace)
	w := newWorld(t, needy, kinds, spaces)
	report := w.sync(0)
	counts(t, report, state.Counts{Created: 2})
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
}

// However many apps are at work, the run as a whole has no more requests under
// way than one has.
func TestWidthIsOfTheRun(t *testing.T) {
	t.Parallel()
	var apps []*repo
	for n := range 6 {
		a := newApp(t, fmt.Sprintf("a%d", n))
		for o := range 30 {
			a.configMap(fmt.Sprintf("c%d", o), "1")
		}
		apps = append(apps, a)
	}
	w := newWorld(t, apps...)
	job := w.open()
	watched := &crowd{Cluster: job.Cluster}
	job.Cluster = watched
	w.run(job, 0)
	if watched.most > 32 || watched.most < 8 {
		t.Errorf("%d applies were under way at once, want up to 32 and many", watched.most)
	}
}

// crowd counts the applies that are under way at once.
type crowd struct {
	reconcile.Cluster
	mu        sync.Mutex
	now, most int
}

func (c *crowd) Apply(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.Meta, error) {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now--
	}()
	return c.Cluster.Apply(ctx, o, at, force)
}
