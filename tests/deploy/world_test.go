// Package deploy_test holds what deploy/ ships against a real API server: the manifests, and the rights that tidemark rbac
// prints.
package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

// account is the ServiceAccount that runs act as; the API server knows it by a token.
const account = "system:serviceaccount:tidemark:tidemark"

var cluster *servers.ControlPlane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tidemark-deploy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	cluster, err = servers.StartControlPlane(context.Background(), dir, servers.ControlPlaneOptions{
		Users: []servers.User{{Name: account, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:tidemark"}}},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start a control plane:", err)
		return 1
	}
	defer cluster.Stop()
	for _, name := range []string{"tidemark", "web"} {
		if _, err := cluster.Apply(context.Background(), "/api/v1/namespaces/"+name, "admin", []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+name+`"}}`)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// kubeconfig gives a kubeconfig file of a user.
func kubeconfig(t *testing.T, user string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.Kubeconfig(path, user); err != nil {
		t.Fatal(err)
	}
	return path
}

func tidemark(t *testing.T, env []string, args ...string) binary.Result {
	t.Helper()
	result, err := binary.Run(t.Context(), env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func repository(t *testing.T) *servers.Repo {
	t.Helper()
	repo, err := servers.NewRepo(t.Context(), filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// documents decodes YAML documents of which none holds the separator.
func documents(t *testing.T, text string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if object != nil {
			all = append(all, object)
		}
	}
	return all
}

// place gives the REST path of an object's collection, and its name.
func place(t *testing.T, object map[string]any) (collection, name string) {
	t.Helper()
	var o struct {
		APIVersion, Kind string
		Metadata         struct{ Namespace, Name string }
	}
	encoded, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(encoded, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	collection = "/apis/" + o.APIVersion
	if o.APIVersion == "v1" {
		collection = "/api/v1"
	}
	if o.Metadata.Namespace != "" {
		collection += "/namespaces/" + o.Metadata.Namespace
	}
	plural := strings.ToLower(o.Kind) + "s"
	if strings.HasSuffix(o.Kind, "y") {
		plural = strings.TrimSuffix(plural, "ys") + "ies"
	}
	return collection + "/" + plural, o.Metadata.Name
}

// applyAs applies an object as the admin.
func applyAs(t *testing.T, object map[string]any) {
	t.Helper()
	collection, name := place(t, object)
	body, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Apply(t.Context(), collection+"/"+name, "admin", body); err != nil {
		t.Fatal(err)
	}
}

// discard deletes what lies at a REST path, if anything does.
func discard(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		var status *servers.StatusError
		if err := cluster.Delete(t.Context(), path); err != nil && (!errors.As(err, &status) || status.Status != 404) {
			t.Fatal(err)
		}
	}
}

// allowed waits until the account has a right, or has it no more.
func allowed(t *testing.T, attributes map[string]any, want bool) {
	t.Helper()
	review, err := json.Marshal(map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": map[string]any{"resourceAttributes": attributes},
	})
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		answer, err := cluster.User(account).Create(t.Context(), "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
		if err != nil {
			t.Fatal(err)
		}
		var said struct{ Status struct{ Allowed bool } }
		if err := json.Unmarshal(answer, &said); err != nil {
			t.Fatal(err)
		}
		if said.Status.Allowed == want {
			return
		}
		<-tick.C
	}
	t.Fatalf("the right %v is not %v", attributes, want)
}
