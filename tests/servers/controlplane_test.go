package servers_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/tests/servers"
	"tidemark.dev/tidemark/tests/servers/assets"
)

func TestControlPlane(t *testing.T) {
	cp := servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{
		Audit:             true,
		ControllerManager: true,
		Users:             []servers.User{{Name: "nobody", Groups: []string{"nobodies"}}},
	})
	ctx := t.Context()

	t.Run("apply, get, delete", func(t *testing.T) {
		const path = "/api/v1/namespaces/default/configmaps/one"
		if _, err := cp.Apply(ctx, path, "me", []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: b}\n")); err != nil {
			t.Fatal(err)
		}
		body, err := cp.Get(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Data map[string]string }
		if err := json.Unmarshal(body, &got); err != nil || got.Data["a"] != "b" {
			t.Fatalf("got %v, %v of %s", got, err, body)
		}
		if err := cp.Delete(ctx, path); err != nil {
			t.Fatal(err)
		}
		var answer *servers.StatusError
		if _, err := cp.Get(ctx, path); !errors.As(err, &answer) || answer.Status != http.StatusNotFound {
			t.Fatalf("got %v of a deleted object, want 404", err)
		}
	})

	t.Run("RBAC holds for other users", func(t *testing.T) {
		status, body, err := cp.User("nobody").Do(ctx, http.MethodGet, "/api/v1/secrets", "", nil)
		if err != nil || status != http.StatusForbidden {
			t.Fatalf("got %d %s %v, want 403", status, body, err)
		}
		if cp.User("unknown") != nil {
			t.Error("got a client for an unknown user")
		}
	})

	t.Run("audit tells who asked for what", func(t *testing.T) {
		_, mark, err := cp.Audit(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cp.Create(ctx, "/api/v1/namespaces", []byte(`{"metadata":{"name":"audited"}}`)); err != nil {
			t.Fatal(err)
		}
		events, _, err := cp.Audit(mark)
		if err != nil {
			t.Fatal(err)
		}
		var mine []servers.AuditEvent
		for _, e := range events {
			if e.UserAgent == servers.UserAgent && e.IsWrite() {
				mine = append(mine, e)
			}
		}
		if len(mine) != 1 || mine[0].Verb != "create" || mine[0].User != servers.Admin || mine[0].ResponseCode != http.StatusCreated ||
			mine[0].ObjectRef.Resource != "namespaces" || mine[0].ObjectRef.Name != "audited" || mine[0].Received.IsZero() {
			t.Fatalf("got %+v, want one create of the namespace", mine)
		}
	})

	t.Run("controllers run", func(t *testing.T) {
		if _, err := cp.Create(ctx, "/apis/apps/v1/namespaces/default/deployments", []byte(deployment)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a ReplicaSet of the Deployment", func() bool {
			all, err := cp.Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for key := range all {
				if strings.HasPrefix(key, "apps|ReplicaSet|default|web-") {
					return true
				}
			}
			return false
		})
	})

	t.Run("snapshot holds custom objects and survives a dead backend", func(t *testing.T) {
		if _, err := cp.Create(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", []byte(crd)); err != nil {
			t.Fatal(err)
		}
		if _, err := cp.Create(ctx, "/apis/apiregistration.k8s.io/v1/apiservices", []byte(apiService)); err != nil {
			t.Fatal(err)
		}
		const tides = "/apis/example.test/v1/namespaces/default/tides"
		eventually(t, "the new kind served", func() bool {
			_, err := cp.Create(ctx, tides, []byte(`{"apiVersion":"example.test/v1","kind":"Tide","metadata":{"name":"low"}}`))
			return err == nil
		})
		eventually(t, "the objects in the snapshot", func() bool {
			all, err := cp.Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"|Namespace||default", "rbac.authorization.k8s.io|ClusterRole||cluster-admin", "example.test|Tide|default|low"} {
				if all[key] == nil {
					return false
				}
			}
			var ns struct{ APIVersion, Kind string }
			return json.Unmarshal(all["|Namespace||default"], &ns) == nil && ns.APIVersion == "v1" && ns.Kind == "Namespace"
		})
	})

	t.Run("kubeconfig works for kubectl, directly and through a proxy", func(t *testing.T) {
		kubectl, err := cp.Program("kubectl")
		if err != nil {
			t.Fatal(err)
		}
		proxy := servers.For(t, servers.StartProxy, servers.ProxyOptions{Target: cp.URL, TargetCA: cp.CACert})
		direct, via := filepath.Join(t.TempDir(), "direct"), filepath.Join(t.TempDir(), "via")
		if err := errors.Join(cp.Kubeconfig(direct, servers.Admin), cp.KubeconfigVia(proxy, via, servers.Admin)); err != nil {
			t.Fatal(err)
		}
		for _, config := range []string{direct, via} {
			out, err := exec.CommandContext(ctx, kubectl, "--kubeconfig", config, "get", "namespaces", "-o", "name").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "namespace/kube-system") {
				t.Fatalf("got %s, %v", out, err)
			}
		}
		if proxy.Requests.Count(http.MethodGet, "/api/v1/namespaces") != 1 {
			t.Errorf("got %+v at the proxy", proxy.Requests.All())
		}
	})

	t.Run("restart keeps the data", func(t *testing.T) {
		if _, err := cp.Create(ctx, "/api/v1/namespaces", []byte(`{"metadata":{"name":"kept"}}`)); err != nil {
			t.Fatal(err)
		}
		if err := cp.RestartAPIServer(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := cp.Get(ctx, "/api/v1/namespaces/kept"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestControlPlaneFromKubebuilderAssets(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("KUBEBUILDER_ASSETS", dir)
	if err := os.WriteFile(filepath.Join(dir, "etcd"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := servers.StartControlPlane(t.Context(), t.TempDir(), servers.ControlPlaneOptions{})
	var missing *assets.MissingError
	if !errors.As(err, &missing) || len(missing.Programs) != 1 || missing.Programs[0] != "kube-apiserver" || missing.Dir != dir {
		t.Fatalf("got %v, want kube-apiserver missing from %s", err, dir)
	}
}

func TestFailedStartShowsTheLog(t *testing.T) {
	_, err := servers.StartControlPlane(t.Context(), t.TempDir(), servers.ControlPlaneOptions{
		APIServerFlags: []string{"--no-such-flag"},
	})
	if err == nil || !strings.Contains(err.Error(), "unknown flag: --no-such-flag") {
		t.Fatalf("got %v, want the server's own words", err)
	}
}

// eventually fails the test when the condition does not come true in half a minute.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within half a minute", what)
		}
	}
}

const deployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{
	"selector":{"matchLabels":{"app":"web"}},
	"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"web"}]}}}}`

const crd = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"tides.example.test"},"spec":{
	"group":"example.test","scope":"Namespaced","names":{"plural":"tides","singular":"tide","kind":"Tide"},
	"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}`

const apiService = `{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1beta1.dead.example.test"},"spec":{
	"group":"dead.example.test","version":"v1beta1","groupPriorityMinimum":100,"versionPriority":100,
	"service":{"namespace":"default","name":"nobody"},"insecureSkipTLSVerify":true}}`
