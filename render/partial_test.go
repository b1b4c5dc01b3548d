package render_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render"
	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/render/source/sourcetest"
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

// A file that cannot be had is never taken for one that is not there.
func TestPartialTreeBreaks(t *testing.T) {
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	const other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"
	gone := errors.New("the server is gone")
	for name, test := range map[string]struct {
		files sourcetest.Files
		path  string
		lost  string
	}{
		"resource":  {sourcetest.Files{"a/kustomization.yaml": "resources: [b.yaml, ../c/c.yaml]\n", "a/b.yaml": configMap, "c/c.yaml": other}, "a", "c/c.yaml"},
		"base":      {sourcetest.Files{"a/kustomization.yaml": "resources: [b.yaml, ../c]\n", "a/b.yaml": configMap, "c/kustomization.yaml": "resources: [c.yaml]\n", "c/c.yaml": other}, "a", "c/kustomization.yaml"},
		"patch":     {sourcetest.Files{"a/kustomization.yaml": "resources: [b.yaml]\npatches: [{path: ../c/c.yaml}]\n", "a/b.yaml": configMap, "c/c.yaml": "# patch\n" + configMap}, "a", "c/c.yaml"},
		"generator": {sourcetest.Files{"a/kustomization.yaml": "resources: [b.yaml]\nconfigMapGenerator: [{name: x, envs: [../c/env]}]\n", "a/b.yaml": configMap, "c/env": "A=1\n"}, "a", "c/env"},
		"link":      {sourcetest.Files{"a/kustomization.yaml": "resources: [b.yaml, link]\n", "a/b.yaml": configMap, "a/link@": "../c", "c/kustomization.yaml": "resources: [c.yaml]\n", "c/c.yaml": other}, "a", "a/link"},
		"manifest":  {sourcetest.Files{"a/b.yaml": configMap, "a/c.yaml": other}, "a", "a/c.yaml"},
		"template":  {sourcetest.Files{"a/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\n", "a/templates/b.yaml": configMap, "a/templates/c.yaml": other}, "a", "a/templates/c.yaml"},
		"values":    {sourcetest.Files{"a/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\n", "a/templates/b.yaml": configMap, "a/values.yaml": "a: 1\n"}, "a", "a/values.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := render.Render(t.Context(), request(test.files, test.path, render.Spec{})); err != nil {
				t.Fatal("with all files:", err)
			}
			asked := request(test.files, test.path, render.Spec{})
			asked.Tree = test.files.Partial(func(e source.Entry) error {
				if e.Path == test.lost {
					return gone
				}
				return nil
			})
			_, err := render.Render(t.Context(), asked)
			if !errors.Is(err, gone) || !strings.Contains(err.Error(), test.lost) {
				t.Errorf("got %v, want it to be %q and to name %s", err, gone, test.lost)
			}
		})
	}
}
