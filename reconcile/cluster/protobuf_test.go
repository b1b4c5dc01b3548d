package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

// What an earlier run saw in JSON, and stored, must be what the next one sees in
// protobuf.
func TestListsAreTheSameInProtobufAndJSON(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	must(t, c, manifest(t, `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: gadgets.protobuf.example.com},
		spec: {group: protobuf.example.com, scope: Namespaced, names: {plural: gadgets, kind: Gadget}, versions: [{name: v1, served: true, storage: true,
		subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true,
		properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}}}}}}}]}}`), apply.Target{})
	if err := c.Established(t.Context(), []string{"gadgets.protobuf.example.com"}); err != nil {
		t.Fatal(err)
	}
	gadget := manifest(t, `{apiVersion: protobuf.example.com/v1, kind: Gadget, metadata: {name: one, namespace: `+ns+`},
		spec: {"a<b & c>d": 1, "in  space": "x", "ü\u2028": [1, 2], tags: ["x&y", "<z>", plain]}}`)
	web := deployment(t, ns, "web").WithMetadata(map[string]string{object.LabelLedger: ns, "empty": ""}, map[string]string{"note": "ä < b & \"c\"\n"})
	role := manifest(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: `+ns+`}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}`)
	objects := []object.Object{
		configMap(t, ns, "plain", "a"), gadget, web, role,
		manifest(t, `{apiVersion: v1, kind: Secret, metadata: {name: one, namespace: `+ns+`}, stringData: {a: b}}`),
	}
	applied := map[object.ID]plan.Meta{}
	for _, o := range objects {
		applied[o.ID] = must(t, c, o, apply.Target{})
	}
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		deployments, maps := "/apis/apps/v1/namespaces/"+ns+"/deployments", "/api/v1/namespaces/"+ns+"/configmaps"
		for path, patch := range map[string]string{
			deployments + "/web/status": `{"status":{"observedGeneration":1,"replicas":2,"conditions":[{"type":"Available","status":"False","lastUpdateTime":null}]}}`,
			deployments + "/web":        `{"metadata":{"finalizers":["example.com/hold"]}}`,
			"/apis/protobuf.example.com/v1/namespaces/" + ns + "/gadgets/one/status": `{"status":{"phase":"<done>"}}`,
		} {
			if _, err := plane.Patch(ctx, path, []byte(patch)); err != nil {
				return err
			}
		}
		if err := plane.Delete(ctx, deployments+"/web"); err != nil {
			return err
		}
		for _, body := range []string{
			`{"metadata":{"name":"child","ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"plain","uid":"` + applied[objects[0].ID].UID + `"},
				{"apiVersion":"v1","kind":"Secret","name":"one","uid":"` + applied[objects[4].ID].UID + `","controller":true}]}}`,
			`{"metadata":{"name":"bare"}}`,
		} {
			if _, err := plane.Create(ctx, maps+"?fieldManager=kubectl-client-side-apply", []byte(body)); err != nil {
				return err
			}
		}
		_, err := plane.Apply(ctx, maps+"/plain", "somebody", []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"plain"},"data":{"theirs":"1"}}`))
		return err
	})

	inJSON := behind(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
			r.Header.Set("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
		}
		return false
	})
	seen := 0
	for _, gk := range []object.GroupKind{configMaps, web.ID.GroupKind(), gadget.ID.GroupKind(), role.ID.GroupKind(), {Kind: "Secret"}, {Kind: "Namespace"}} {
		got, err := whole(t, c, gk, ns, "", "")
		if err != nil {
			t.Fatal(err)
		}
		want, err := whole(t, inJSON, gk, ns, "", "")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v; in JSON (-) and protobuf (+):\n%s", gk, err, diff)
		}
		seen += len(got)
		for id, meta := range applied {
			if listed, ok := got[id]; id.GroupKind() == gk && (!ok || listed.Owned != meta.Owned || meta.Owned == "") {
				t.Errorf("%s: owned %q in the list, %q when it was applied", id, listed.Owned, meta.Owned)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d objects were compared", seen)
	}
	for _, id := range []object.ID{web.ID, gadget.ID, role.ID} {
		_, want, err := c.Read(t.Context(), id, "v1") // in JSON
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Metadata(t.Context(), id, "v1")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v; read in JSON (-) and looked at in protobuf (+):\n%s", id, err, diff)
		}
	}
	if meta := listed(t, c, web.ID); !meta.Terminating || len(meta.Finalizers) != 1 || len(meta.Managers) < 2 {
		t.Errorf("got %+v, want it to be terminating, with a finalizer and two managers", meta)
	}
	if meta := listed(t, c, object.ID{Kind: "ConfigMap", Namespace: ns, Name: "child"}); meta.Controller != "Secret one" || !meta.ClientSideApplied || meta.Owned != "" {
		t.Errorf("got %+v, want a controller, client-side applied, nothing of ours", meta)
	}
}

func listed(t *testing.T, c *cluster.Cluster, id object.ID) plan.Meta {
	t.Helper()
	list, err := whole(t, c, id.GroupKind(), id.Namespace, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return list[id]
}

// The server is asked for protobuf, and a page of it that ends early is none,
// wherever it ends.
func TestACutPageOfProtobufIsNoPage(t *testing.T) {
	ns := namespace(t)
	seven(t, open(t, nil), ns)
	path := "/api/v1/namespaces/" + ns + "/configmaps"
	var page []byte
	capture := behind(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		plane := controlPlane(t)
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, plane.URL+r.URL.RequestURI(), http.NoBody)
		if err != nil {
			t.Error(err)
			return false
		}
		request.Header = r.Header.Clone()
		answer, err := trusting(t).RoundTrip(request)
		if err != nil {
			t.Error(err)
			return false
		}
		defer answer.Body.Close() //nolint:errcheck // it is only read
		page, _ = io.ReadAll(answer.Body)
		w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
		_, _ = w.Write(page)
		return true
	})
	if got, err := capture.List(t.Context(), configMaps, ns, "run", ns); err != nil || len(got) != 7 || !bytes.HasPrefix(page, []byte("k8s\x00")) {
		t.Fatalf("got %d objects, %v of %q, want seven in protobuf", len(got), err, page)
	}

	end := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
		_, _ = w.Write(page[:end])
	}))
	t.Cleanup(server.Close)
	cut := open(t, func(o *cluster.Options) { o.Server, o.CA = server.URL, nil })
	cut.Recall(map[object.GroupKind]plan.Kind{configMaps: {Versions: []string{"v1"}, Namespaced: true, Resource: "configmaps"}})
	for end = range page {
		got, err := cut.List(t.Context(), configMaps, ns, "run", ns)
		if len(got) == 7 && err == nil {
			continue // what is behind the list says nothing of it
		}
		if !errors.Is(err, apply.ErrUnanswered) || got != nil {
			t.Fatalf("%d bytes of %d: got %d objects, %v; want ErrUnanswered", end, len(page), len(got), err)
		}
	}
}
