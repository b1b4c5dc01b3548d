package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

var configMaps = object.GroupKind{Kind: "ConfigMap"}

// seven makes seven ConfigMaps that carry the label, and one that does not.
func seven(t *testing.T, c *cluster.Cluster, ns string) map[object.ID]plan.Meta {
	t.Helper()
	want := map[object.ID]plan.Meta{}
	for i := range 7 {
		o := configMap(t, ns, fmt.Sprintf("one-%d", i), "a").WithMetadata(map[string]string{"run": ns}, nil)
		want[o.ID] = must(t, c, o, apply.Target{})
	}
	must(t, c, configMap(t, ns, "other", "a"), apply.Target{})
	return want
}

// whole lists, and reads all that was said of each object.
func whole(t *testing.T, c *cluster.Cluster, kind object.GroupKind, namespace, label, value string) (map[object.ID]plan.Meta, error) {
	t.Helper()
	listed, err := c.List(t.Context(), kind, namespace, label, value)
	if err != nil {
		if listed != nil {
			t.Errorf("got %v with the error %v, want nothing", listed, err)
		}
		return nil, err
	}
	metas := map[object.ID]plan.Meta{}
	for id, found := range listed {
		meta, err := found.Meta()
		if err != nil || found.UID != meta.UID || found.ResourceVersion != meta.ResourceVersion {
			t.Errorf("%s: got %v, %v; listed with UID %s, version %s", id, meta, err, found.UID, found.ResourceVersion)
		}
		metas[id] = meta
	}
	return metas, nil
}

func TestList(t *testing.T) {
	c, ns := open(t, func(o *cluster.Options) { o.PageSize = 3 }), namespace(t)
	want := seven(t, c, ns)
	for _, in := range []string{ns, ""} {
		before := c.Requests()["list"]
		got, err := whole(t, c, configMaps, in, "run", ns)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("namespace %q: got %v, %v, want %v", in, got, err, want)
		}
		if pages := c.Requests()["list"] - before; pages != 3 {
			t.Errorf("got %d requests, want 3 pages", pages)
		}
	}
	all, err := c.List(t.Context(), configMaps, ns, "", "")
	if err != nil || len(all) != 8 {
		t.Errorf("got %d, %v without a label, want 8", len(all), err)
	}
	labelled, err := c.List(t.Context(), configMaps, ns, "run", "")
	if err != nil || len(labelled) != 7 {
		t.Errorf("got %d, %v with any value, want 7", len(labelled), err)
	}
	none, err := c.List(t.Context(), configMaps, ns, "run", "another")
	if err != nil || none == nil || len(none) != 0 {
		t.Errorf("got %v, %v, want an empty list", none, err)
	}
	spaces, err := c.List(t.Context(), object.GroupKind{Kind: "Namespace"}, "", "", "")
	if _, ok := spaces[object.ID{Kind: "Namespace", Name: ns}]; err != nil || !ok {
		t.Errorf("got %v, %v, want the test's namespace in it", slices.Collect(maps.Keys(spaces)), err)
	}
	_, err = c.List(t.Context(), object.GroupKind{Group: "example.com", Kind: "Nothing"}, "", "", "")
	if !errors.Is(err, apply.ErrNoKind) {
		t.Errorf("got %v, want ErrNoKind", err)
	}
}

// What a list does not hold must be absent: so nothing that came in part is
// given as a list.
func TestListIsWholeOrAnError(t *testing.T) {
	expired := func(w http.ResponseWriter) {
		answer(w, http.StatusGone, nil, map[string]any{"reason": "Expired", "message": "The provided continue parameter is too old"})
	}
	for name, test := range map[string]struct {
		fault func(w http.ResponseWriter, later int) bool // on a later page, counted from 1
		want  error
	}{
		"expired once": {func(w http.ResponseWriter, later int) bool {
			if later == 1 {
				expired(w)
			}
			return later == 1
		}, nil},
		"expired always": {func(w http.ResponseWriter, _ int) bool { expired(w); return true }, apply.ErrUnanswered},
		"forbidden midway": {func(w http.ResponseWriter, _ int) bool {
			answer(w, http.StatusForbidden, nil, map[string]any{"reason": "Forbidden"})
			return true
		}, apply.ErrForbidden},
		"no list": {func(w http.ResponseWriter, _ int) bool {
			_, _ = w.Write([]byte(`{"kind":"Status","status":"Success"}`))
			return true
		}, apply.ErrUnanswered},
		"cut": {func(w http.ResponseWriter, _ int) bool {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadataList","items":[`))
			return true
		}, apply.ErrUnanswered},
		"no JSON": {func(w http.ResponseWriter, _ int) bool {
			_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadataList","items":[`))
			return true
		}, apply.ErrUnanswered},
		"in circles": {func(w http.ResponseWriter, _ int) bool {
			_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadataList","metadata":{"continue":"x"},"items":[]}`))
			return true
		}, apply.ErrUnanswered},
	} {
		t.Run(name, func(t *testing.T) {
			ns, later := namespace(t), 0
			c := behind(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("continue") == "" {
					return false
				}
				later++
				return test.fault(w, later)
			}, func(o *cluster.Options) { o.PageSize = 3 })
			want := seven(t, c, ns)
			got, err := whole(t, c, configMaps, ns, "run", ns)
			switch {
			case test.want == nil && (err != nil || !reflect.DeepEqual(got, want)):
				t.Errorf("got %v, %v, want %v", got, err, want)
			case test.want != nil && (!errors.Is(err, test.want) || got != nil):
				t.Errorf("got %v, %v, want %v and nothing", got, err, test.want)
			}
		})
	}
}

func TestPermissions(t *testing.T) {
	plane, ns := controlPlane(t), namespace(t)
	limited := open(t, func(o *cluster.Options) { o.Token = plane.User("limited").Token })
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		path := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + ns
		if _, err := plane.Create(ctx, path+"/roles", []byte(`{"metadata":{"name":"one"},"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","list"]}]}`)); err != nil {
			return err
		}
		_, err := plane.Create(ctx, path+"/rolebindings", []byte(`{"metadata":{"name":"one"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"one"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"limited"}]}`))
		return err
	})
	if _, err := limited.List(t.Context(), configMaps, ns, "", ""); err != nil {
		t.Errorf("got %v in the own namespace", err)
	}
	got, err := limited.List(t.Context(), configMaps, "", "", "")
	if !errors.Is(err, apply.ErrForbidden) || !errors.Is(err, apply.ErrRejected) || got != nil ||
		!strings.Contains(err.Error(), `User "limited" cannot list resource "configmaps"`) {
		t.Errorf("got %v, %v in all namespaces, want ErrForbidden in the server's words", got, err)
	}
	_, err = limited.Apply(t.Context(), manifest(t, "{apiVersion: v1, kind: Secret, metadata: {name: one, namespace: "+ns+"}, stringData: {a: hunter2}}"), apply.Target{}, true)
	want := `rejected: forbidden: secrets "one" is forbidden: User "limited" cannot patch resource "secrets" in API group "" in the namespace "` + ns + `"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	answer, err := limited.DryRun(t.Context(), configMap(t, ns, "one", "a"), apply.Target{}, true)
	if err != nil || answer.Rejected == "" {
		t.Errorf("got %+v, %v, want it rejected", answer, err)
	}
	stranger := open(t, func(o *cluster.Options) { o.Token = "nobody-knows-me" })
	if _, err := stranger.Identity(t.Context()); !errors.Is(err, apply.ErrUnauthorized) {
		t.Errorf("got %v, want ErrUnauthorized", err)
	}
}
