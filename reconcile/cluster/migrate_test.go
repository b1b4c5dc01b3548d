package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/tests/servers"
)

// clientSideApply does what kubectl apply does without --server-side: an update
// by its manager, with the manifest in an annotation.
func clientSideApply(t *testing.T, ns, name string, data map[string]string) {
	t.Helper()
	last, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": ns}, "data": data})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"name": name, "annotations": map[string]string{"kubectl.kubernetes.io/last-applied-configuration": string(last)}},
		"data":     data,
	})
	if err != nil {
		t.Fatal(err)
	}
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		_, err := plane.Create(ctx, "/api/v1/namespaces/"+ns+"/configmaps?fieldManager=kubectl-client-side-apply", body)
		return err
	})
}

func TestMigrate(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	clientSideApply(t, ns, "one", map[string]string{"key": "old", "dropped": "in git since"})
	one := configMap(t, ns, "one", "new")
	before, err := c.Metadata(t.Context(), one.ID, "v1")
	if err != nil || !before.ClientSideApplied {
		t.Fatalf("got %+v, %v, want it client-side applied", before, err)
	}

	stale := target(before)
	stale.ResourceVersion = "1"
	if _, err := c.Migrate(t.Context(), one.ID, "v1", stale); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("got %v for an earlier state, want ErrConflict", err)
	}
	if _, err := c.Migrate(t.Context(), one.ID, "v1", apply.Target{UID: "another"}); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("got %v for another object, want ErrConflict", err)
	}

	migrated, err := c.Migrate(t.Context(), one.ID, "v1", target(before))
	if err != nil {
		t.Fatal(err)
	}
	if migrated.ClientSideApplied || migrated.Owned == "" || slices.Contains(migrated.Managers, "kubectl-client-side-apply") {
		t.Errorf("got %+v, want the fields to be ours", migrated)
	}
	content, _, err := c.Read(t.Context(), one.ID, "v1")
	if data, _ := content["data"].(map[string]any); err != nil || data["key"] != "old" || data["dropped"] == nil {
		t.Errorf("got %v, %v, want the data untouched", content, err)
	}

	must(t, c, one, target(migrated))
	content, _, err = c.Read(t.Context(), one.ID, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if data := content["data"].(map[string]any); len(data) != 1 || data["key"] != "new" {
		t.Errorf("got data %v, want only what we want", data)
	}
	if annotations := content["metadata"].(map[string]any)["annotations"]; annotations != nil {
		t.Errorf("got annotations %v, want kubectl's gone", annotations)
	}

	writes := c.Requests()["patch"]
	again, err := c.Migrate(t.Context(), one.ID, "v1", apply.Target{UID: before.UID})
	if err != nil || again.ClientSideApplied || c.Requests()["patch"] != writes {
		t.Errorf("got %+v, %v and a write, want nothing left to do", again, err)
	}
}

// Between the reading and the writing somebody else may change the object.
func TestMigrateIsFenced(t *testing.T) {
	var meddle func()
	c := behind(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			meddle()
		}
		return false
	})
	ns := namespace(t)
	path := "/api/v1/namespaces/" + ns + "/configmaps/one"
	one := configMap(t, ns, "one", "")
	for name, change := range map[string]func(context.Context, *servers.ControlPlane) error{
		"changed": func(ctx context.Context, plane *servers.ControlPlane) error {
			_, err := plane.Patch(ctx, path, []byte(`{"data":{"x":"y"}}`))
			return err
		},
		"replaced": func(ctx context.Context, plane *servers.ControlPlane) error {
			if err := plane.Delete(ctx, path); err != nil {
				return err
			}
			_, err := plane.Create(ctx, "/api/v1/namespaces/"+ns+"/configmaps", []byte(`{"metadata":{"name":"one"}}`))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			clientSideApply(t, ns, "one", map[string]string{"a": "b"})
			meddle = func() { admin(t, change) }
			if _, err := c.Migrate(t.Context(), one.ID, "v1", apply.Target{}); !errors.Is(err, apply.ErrConflict) {
				t.Errorf("got %v, want ErrConflict", err)
			}
			admin(t, func(ctx context.Context, plane *servers.ControlPlane) error { return plane.Delete(ctx, path) })
		})
	}
}

// The real kubectl leaves what clientSideApply pretends.
func TestMigrateFromKubectl(t *testing.T) {
	plane, c, ns := controlPlane(t), open(t, nil), namespace(t)
	kubectl, err := plane.Program("kubectl")
	if err != nil {
		t.Skipf("no kubectl: %v", err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := plane.Kubeconfig(kubeconfig, servers.Admin); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), kubectl, "--kubeconfig", kubeconfig, "apply", "-f", "-")
	command.Env = []string{"HOME=" + t.TempDir()}
	command.Stdin = strings.NewReader(fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: %s}, data: {key: a, dropped: b}}", ns))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("kubectl: %v: %s", err, out)
	}
	one := configMap(t, ns, "one", "a")
	meta, err := c.Metadata(t.Context(), one.ID, "v1")
	if err != nil || !meta.ClientSideApplied {
		t.Fatalf("got %+v, %v, want it client-side applied", meta, err)
	}
	if meta, err = c.Migrate(t.Context(), one.ID, "v1", target(meta)); err != nil {
		t.Fatal(err)
	}
	must(t, c, one, target(meta))
	content, meta, err := c.Read(t.Context(), one.ID, "v1")
	if data, _ := content["data"].(map[string]any); err != nil || len(data) != 1 || meta.ClientSideApplied {
		t.Errorf("got %v, %+v, %v, want only our key", content, meta, err)
	}
}
