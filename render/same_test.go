package render_test

import (
	"maps"
	"testing"

	"tidemark.dev/tidemark/render"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

// A link that leads elsewhere is another input, whichever engine followed it.
func TestSameSeesWhereLinksLead(t *testing.T) {
	cm := func(v string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: " + v + "}\n"
	}
	files := sourcetest.Files{
		"v1/kustomization.yaml": "resources: [c.yaml]\n", "v1/c.yaml": cm("one"),
		"v2/kustomization.yaml": "resources: [c.yaml]\n", "v2/c.yaml": cm("two"),
		"current@":                "v1",
		"app/kustomization.yaml":  "resources: [../current]\n",
		"file/kustomization.yaml": "resources: [c.yaml]\n", "file/one.yaml": cm("one"), "file/two.yaml": cm("two"),
		"file/c.yaml@": "one.yaml",
		"plain/sub@":   "../v3", "v3/c.yaml": cm("three"), "v4/c.yaml": cm("four"),
	}
	files["comp/kustomization.yaml"] = "components: [../ccur]\nresources: [../v3/c.yaml]\n"
	files["c1/kustomization.yaml"] = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: a-\n"
	files["c2/kustomization.yaml"] = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: b-\n"
	files["ccur@"] = "c1"
	for name, test := range map[string]struct {
		path string
		spec render.Spec
		edit func(sourcetest.Files)
	}{
		"base":      {"app", render.Spec{}, func(f sourcetest.Files) { f["current@"] = "v2" }},
		"root":      {"current", render.Spec{}, func(f sourcetest.Files) { f["current@"] = "v2" }},
		"component": {"comp", render.Spec{}, func(f sourcetest.Files) { f["ccur@"] = "c2" }},
		"file":      {"file", render.Spec{}, func(f sourcetest.Files) { f["file/c.yaml@"] = "two.yaml" }},
		"plain dir": {"plain", render.Spec{}, func(f sourcetest.Files) { f["plain/sub@"] = "../v4" }},
	} {
		t.Run(name, func(t *testing.T) {
			f := maps.Clone(files)
			before, err := render.Render(t.Context(), render.Request{App: "a", Tree: f.Tree(), Path: test.path, Spec: test.spec})
			if err != nil {
				t.Fatal(err)
			}
			test.edit(f)
			after, err := render.Render(t.Context(), render.Request{App: "a", Tree: f.Tree(), Path: test.path, Spec: test.spec})
			if err != nil {
				t.Fatal(err)
			}
			a, _ := before.Set.Digest()
			b, _ := after.Set.Digest()
			same := f.Tree().Same(before.Inputs)
			if same || a == b {
				t.Errorf("Same says %t of reads %+v, and the sets are equal: %t; want false of both", same, before.Inputs, a == b)
			}
		})
	}
}
