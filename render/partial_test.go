package render_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render"
	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/tests/servers"
)

// What an app reads outside its path comes too, and nothing else does.
func TestPartialTree(t *testing.T) {
	const resource = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"
	files := map[string]string{
		"apps/web/kustomization.yaml":  "resources: [../../base, own.yaml]\nconfigMapGenerator: [{name: made, files: [deep/a.txt], options: {disableNameSuffixHash: true}}]\n",
		"apps/web/own.yaml":            strings.Replace(resource, "NAME", "own", 1),
		"apps/web/deep/a.txt":          "a",
		"base/kustomization.yaml":      "resources: [based.yaml]\n",
		"base/based.yaml":              strings.Replace(resource, "NAME", "based", 1),
		"apps/plain/a.yaml":            strings.Replace(resource, "NAME", "plain", 1),
		"apps/chart/Chart.yaml":        "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
		"apps/chart/templates/a.yaml":  strings.Replace(resource, "NAME", "{{ .Values.name }}", 1),
		"apps/chart/values.yaml":       "name: chart\n",
		"values/other.yaml":            "name: named\n",
		"other/large/that-nobody-uses": strings.Repeat("x", 1<<20),
	}
	repo, err := servers.NewRepo(t.Context(), filepath.Join(t.TempDir(), "work"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(t.Context(), files, "Begin"); err != nil {
		t.Fatal(err)
	}
	server := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{})
	if err := repo.Publish(t.Context(), filepath.Join(server.Root, "app.git"), servers.Serving{AnySHA1: true, Filter: true}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path string
		spec render.Spec
		want []string
		// requests are those for files.
		requests int64
	}{
		{"apps/web", render.Spec{}, []string{"ConfigMap ns/based", "ConfigMap ns/made", "ConfigMap ns/own"}, 2},
		{"apps/plain", render.Spec{}, []string{"ConfigMap ns/plain"}, 1},
		{"apps/chart", valuesFrom("../../values/other.yaml"), []string{"ConfigMap ns/named"}, 2},
	} {
		t.Run(test.path, func(t *testing.T) {
			remote, err := git.NewRemote(git.Options{URL: server.URL + "/app.git"})
			if err != nil {
				t.Fatal(err)
			}
			defer remote.Close()
			revision, err := remote.Resolve(t.Context(), git.Ref{})
			if err == nil {
				revision, err = remote.Fetch(t.Context(), revision)
			}
			if err != nil {
				t.Fatal(err)
			}
			before := remote.Cost().Requests
			revision.Tree.Expect(test.path)
			asked := request(nil, test.path, test.spec)
			asked.Tree = revision.Tree
			got, err := render.Render(t.Context(), asked)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, ids(got.Set)); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			cost := remote.Cost()
			if n := cost.Requests - before; n != test.requests || cost.Fetches[0].Whole != "" {
				t.Errorf("took %d requests for files (%+v), want %d", n, cost, test.requests)
			}
			if !revision.Tree.Same(got.Inputs) {
				t.Error("the inputs do not stand for the tree they were read from")
			}
		})
	}
}

func valuesFrom(name string) render.Spec {
	var spec render.Spec
	spec.Helm.ValueFiles = []string{name}
	return spec
}
