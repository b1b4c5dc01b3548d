package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

// marked gives an object with our marks.
func marked(o object.Object) object.Object {
	return o.WithMetadata(
		map[string]string{object.LabelLedger: "abc", object.LabelApp: "shop"},
		map[string]string{object.AnnotationID: o.ID.Mark()},
	)
}

// bare gives an object without what the server keeps, or what a release takes
// off.
func bare(t *testing.T, c *cluster.Cluster, o object.Object) map[string]any {
	t.Helper()
	content, _, err := c.Read(t.Context(), o.ID, o.Version)
	if err != nil {
		t.Fatal(err)
	}
	metadata := content["metadata"].(map[string]any)
	for _, field := range []string{"managedFields", "resourceVersion"} {
		delete(metadata, field)
	}
	for field, keys := range map[string][]string{
		"labels":      {object.LabelLedger, object.LabelApp},
		"annotations": {object.AnnotationID, object.AnnotationRecovered},
	} {
		values, _ := metadata[field].(map[string]any)
		for _, key := range keys {
			delete(values, key)
		}
		if len(values) == 0 {
			delete(metadata, field)
		}
	}
	return content
}

func TestRelease(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		_, err := plane.Create(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", []byte(`{
			"metadata":{"name":"lamps.release.test"},
			"spec":{"group":"release.test","scope":"Namespaced","names":{"plural":"lamps","singular":"lamp","kind":"Lamp"},
				"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`))
		return err
	})
	if err := c.Established(t.Context(), []string{"lamps.release.test"}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		manifest string
		path     string
		others   bool
	}{
		"only ours":             {"{apiVersion: v1, kind: ConfigMap, metadata: {name: only, namespace: %s}, data: {key: a}}", "configmaps/only", false},
		"with others":           {"{apiVersion: v1, kind: ConfigMap, metadata: {name: with, namespace: %s, labels: {team: blue}, annotations: {note: x}}, data: {key: a}}", "configmaps/with", true},
		"a Secret":              {"{apiVersion: v1, kind: Secret, metadata: {name: secret, namespace: %s}, stringData: {password: hidden}}", "secrets/secret", true},
		"a custom resource":     {"{apiVersion: release.test/v1, kind: Lamp, metadata: {name: one, namespace: %s}, spec: {on: true}}", "", false},
		"without our fields":    {"{apiVersion: v1, kind: ServiceAccount, metadata: {name: empty, namespace: %s}}", "serviceaccounts/empty", false},
		"with a server's field": {"{apiVersion: v1, kind: Service, metadata: {name: svc, namespace: %s}, spec: {ports: [{port: 80}]}}", "services/svc", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := marked(manifest(t, fmt.Sprintf(test.manifest, ns)))
			meta := must(t, c, o, apply.Target{})
			if test.others {
				admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
					_, err := plane.Patch(ctx, "/api/v1/namespaces/"+ns+"/"+test.path+"?fieldManager=somebody", []byte(`{"metadata":{"annotations":{"theirs":"y"}}}`))
					return err
				})
				var err error
				if meta, err = c.Metadata(t.Context(), o.ID, o.Version); err != nil {
					t.Fatal(err)
				}
			}
			meta, err := c.Touch(t.Context(), o.ID, o.Version, target(meta), 3)
			if err != nil {
				t.Fatal(err)
			}
			before := bare(t, c, o)

			meta, err = c.Release(t.Context(), o.ID, o.Version, target(meta))
			if err != nil {
				t.Fatal(err)
			}
			var managers []string
			if test.others {
				managers = []string{"somebody"}
			}
			if !slices.Equal(meta.Managers, managers) || meta.Owned != "" {
				t.Errorf("managers = %q (owned %q), want %q", meta.Managers, meta.Owned, managers)
			}
			for _, key := range []string{object.LabelLedger, object.LabelApp, object.AnnotationID, object.AnnotationRecovered} {
				if meta.Labels[key]+meta.Annotations[key] != "" {
					t.Errorf("%s is still there: %+v", key, meta)
				}
			}
			if diff := cmp.Diff(before, bare(t, c, o)); diff != "" {
				t.Errorf("something else than the marks changed (-before +after):\n%s", diff)
			}

			writes := c.Requests()["patch"]
			again, err := c.Release(t.Context(), o.ID, o.Version, target(meta))
			if err != nil || again.ResourceVersion != meta.ResourceVersion || c.Requests()["patch"] != writes {
				t.Errorf("a second time: got %+v, %v; want nothing left to do", again, err)
			}
		})
	}
}

func TestReleaseIsFenced(t *testing.T) {
	var meddle func()
	c := behind(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && meddle != nil {
			meddle()
		}
		return false
	})
	ns := namespace(t)
	one := marked(configMap(t, ns, "one", ""))
	meta := must(t, c, one, apply.Target{})
	for name, at := range map[string]apply.Target{
		"an earlier state": {UID: meta.UID, ResourceVersion: "1"},
		"another object":   {UID: "00000000-0000-0000-0000-000000000000", ResourceVersion: meta.ResourceVersion},
	} {
		if _, err := c.Release(t.Context(), one.ID, "v1", at); !errors.Is(err, apply.ErrConflict) {
			t.Errorf("%s: got %v, want %v", name, err, apply.ErrConflict)
		}
	}
	if _, err := c.Release(t.Context(), one.ID, "v1", apply.Target{UID: meta.UID}); err == nil || errors.Is(err, apply.ErrConflict) {
		t.Errorf("without a resourceVersion: got %v, want it refused", err)
	}
	if _, err := c.Release(t.Context(), configMap(t, ns, "two", "").ID, "v1", target(meta)); !errors.Is(err, apply.ErrNotFound) {
		t.Errorf("nothing there: got %v, want %v", err, apply.ErrNotFound)
	}

	path := "/api/v1/namespaces/" + ns + "/configmaps/one"
	for name, change := range map[string]func(context.Context, *servers.ControlPlane) error{
		"changed": func(ctx context.Context, plane *servers.ControlPlane) error {
			_, err := plane.Patch(ctx, path, []byte(`{"data":{"x":"y"}}`))
			return err
		},
		"replaced": func(ctx context.Context, plane *servers.ControlPlane) error {
			if err := plane.Delete(ctx, path); err != nil {
				return err
			}
			_, err := plane.Create(ctx, "/api/v1/namespaces/"+ns+"/configmaps", []byte(`{"metadata":{"name":"one","labels":{"a":"b"},"annotations":{"a":"b"}}}`))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			meddle = nil
			meta, err := c.Metadata(t.Context(), one.ID, "v1")
			if err != nil {
				t.Fatal(err)
			}
			meta = must(t, c, one, target(meta))
			meddle = func() { admin(t, change) }
			if got, err := c.Release(t.Context(), one.ID, "v1", target(meta)); !errors.Is(err, apply.ErrConflict) {
				t.Errorf("got %+v, %v; want %v", got, err, apply.ErrConflict)
			}
		})
	}
}
