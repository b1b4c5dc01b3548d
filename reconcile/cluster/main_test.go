package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

var _ apply.Cluster = (*cluster.Cluster)(nil)

// One control plane serves all tests of the package; each has a namespace of its
// own. It is started by the first test that needs it.
var shared struct {
	once  sync.Once
	plane *servers.ControlPlane
	dir   string
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.plane != nil {
		if err := shared.plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

func controlPlane(t testing.TB) *servers.ControlPlane {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "tidemark-cluster"); shared.err != nil { //nolint:usetesting // It outlives this test.
			return
		}
		shared.plane, shared.err = servers.StartControlPlane(context.Background(), shared.dir, servers.ControlPlaneOptions{
			Users: []servers.User{{Name: "limited"}},
		})
	})
	if shared.err != nil {
		t.Fatalf("start a control plane: %v", shared.err)
	}
	return shared.plane
}

// open gives a Cluster that acts as the administrator of the shared control
// plane, with options changed by edit.
func open(t testing.TB, edit func(*cluster.Options)) *cluster.Cluster {
	t.Helper()
	plane := controlPlane(t)
	options := cluster.Options{Server: plane.URL, Token: plane.Token, CA: plane.CACert, Version: "test"}
	if edit != nil {
		edit(&options)
	}
	c, err := cluster.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// behind gives a Cluster whose requests go through fault, which either answers
// itself or says false to let the request pass.
func behind(t *testing.T, fault func(http.ResponseWriter, *http.Request) (answered bool), edits ...func(*cluster.Options)) *cluster.Cluster {
	t.Helper()
	plane := controlPlane(t)
	target, err := url.Parse(plane.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = trusting(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault != nil && fault(w, r) {
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return open(t, func(o *cluster.Options) {
		o.Server, o.CA = server.URL, nil
		for _, edit := range edits {
			edit(o)
		}
	})
}

// trusting gives the way to the shared control plane.
func trusting(t *testing.T) *http.Transport {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(controlPlane(t).CACert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// namespace makes a namespace for one test.
func namespace(t testing.TB) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", " ", "-").Replace(t.Name()))
	name = fmt.Sprintf("%.40s-%d", name, time.Now().UnixNano()%1e9)
	admin(t, func(ctx context.Context, c *servers.ControlPlane) error {
		_, err := c.Create(ctx, "/api/v1/namespaces", fmt.Appendf(nil, `{"metadata":{"name":%q}}`, name))
		return err
	})
	return name
}

// admin does something to the cluster that Tidemark has no part in.
func admin(t testing.TB, do func(context.Context, *servers.ControlPlane) error) {
	t.Helper()
	if err := do(t.Context(), controlPlane(t)); err != nil {
		t.Fatal(err)
	}
}

// manifest makes an object of YAML.
func manifest(t testing.TB, text string) object.Object {
	t.Helper()
	objects, err := object.Decode("test.yaml", []byte(text))
	if err != nil || len(objects) != 1 {
		t.Fatalf("decode %q: %d objects, %v", text, len(objects), err)
	}
	return objects[0]
}

// configMap makes a ConfigMap with one key.
func configMap(t testing.TB, namespace, name, value string) object.Object {
	t.Helper()
	return manifest(t, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: %s, labels: {team: blue}}, data: {key: %q}}", name, namespace, value))
}

func target(m plan.Meta) apply.Target {
	return apply.Target{UID: m.UID, ResourceVersion: m.ResourceVersion}
}

// must applies an object that the server has to accept.
func must(t *testing.T, c *cluster.Cluster, o object.Object, at apply.Target) plan.Meta {
	t.Helper()
	meta, err := c.Apply(t.Context(), o, at, true)
	if err != nil {
		t.Fatalf("apply %s: %v", o.ID, err)
	}
	return meta
}

// answer writes a metav1.Status.
func answer(w http.ResponseWriter, code int, header http.Header, status map[string]any) {
	for key := range header {
		w.Header().Set(key, header.Get(key))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	status["kind"], status["apiVersion"], status["code"] = "Status", "v1", code
	_ = json.NewEncoder(w).Encode(status)
}
