package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// A scan finds objects of every kind, in every namespace, page by page.
func TestScan(t *testing.T) {
	c := open(t, func(o *cluster.Options) { o.PageSize = 2 })
	label := namespace(t)
	var want []object.ID
	for range 2 {
		ns := namespace(t)
		for i := range 3 {
			o := configMap(t, ns, fmt.Sprintf("m%d", i), "").WithMetadata(map[string]string{object.LabelLedger: label}, nil)
			must(t, c, o, apply.Target{})
			want = append(want, o.ID)
		}
		must(t, c, configMap(t, ns, "unlabelled", ""), apply.Target{})
		must(t, c, configMap(t, ns, "other", "").WithMetadata(map[string]string{object.LabelLedger: "other"}, nil), apply.Target{})
	}
	for _, text := range []string{
		"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: scan}}",
		"{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: scan}, spec: {controller: example.com/c}}",
	} {
		o := manifest(t, text).WithMetadata(map[string]string{object.LabelLedger: label}, nil)
		must(t, c, o, apply.Target{})
		want = append(want, o.ID)
	}
	found := scanned(t, c, label)
	for _, id := range want {
		if found[id].UID == "" {
			t.Errorf("%s was not found", id)
		}
	}
	if len(found) != len(want) {
		t.Errorf("found %v, want %v", found, want)
	}
	if all := scanned(t, c, ""); len(all) <= len(want) {
		t.Errorf("any value: found %d objects; want more than the %d of one value", len(all), len(want))
	}
}

// scanned scans, and again while other tests bring kinds and take them away.
func scanned(t *testing.T, c *cluster.Cluster, value string) (found map[object.ID]plan.Meta) {
	t.Helper()
	eventually(t, "the cluster can be searched", func() bool {
		var err error
		found, err = c.Scan(t.Context(), object.LabelLedger, value)
		var busy *apply.BusyError
		if err != nil && !errors.As(err, &busy) && !errors.Is(err, apply.ErrNoKind) {
			t.Fatal(err)
		}
		return err == nil
	})
	return found
}

// What could not be seen as a whole is not seen at all.
func TestScanIsWholeOrNothing(t *testing.T) {
	var fault func(http.ResponseWriter, *http.Request) bool
	c := behind(t, func(w http.ResponseWriter, r *http.Request) bool { return fault != nil && fault(w, r) })
	for name, test := range map[string]struct {
		fault func(http.ResponseWriter, *http.Request) bool
		want  error
		words string
	}{
		"a group that fails": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/apis" {
				return false
			}
			w.Header().Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "APIGroupDiscoveryList", "items": []any{
				map[string]any{"metadata": map[string]any{"name": "metrics.test"}, "versions": []any{map[string]any{"version": "v1", "freshness": "Stale"}}},
			}})
			return true
		}, apply.ErrUndiscovered, "metrics.test"},
		"a kind that is forbidden": {func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/configmaps") {
				return false
			}
			answer(w, http.StatusForbidden, nil, map[string]any{"reason": "Forbidden", "message": "configmaps is forbidden"})
			return true
		}, apply.ErrForbidden, "list ConfigMap: "},
		"a list that breaks off": {func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/secrets") {
				return false
			}
			_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadataList","items":[{"metadata":{}}]}`))
			return true
		}, apply.ErrUnanswered, "list Secret: "},
	} {
		t.Run(name, func(t *testing.T) {
			fault = test.fault
			found, err := c.Scan(t.Context(), object.LabelLedger, "any")
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.words) || found != nil {
				t.Errorf("got %v, %v; want %v of %s", found, err, test.want, test.words)
			}
		})
	}
	fault = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Scan(ctx, object.LabelLedger, "any"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

// Without the right to list everything there is no scan.
func TestScanWithoutPermission(t *testing.T) {
	plane := controlPlane(t)
	c := open(t, func(o *cluster.Options) { o.Token = plane.User("limited").Token })
	if found, err := c.Scan(t.Context(), object.LabelLedger, "any"); !errors.Is(err, apply.ErrForbidden) || !strings.Contains(err.Error(), "more kinds") {
		t.Errorf("got %v, %v; want %v", found, err, apply.ErrForbidden)
	}
}
