package render_test

import (
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render"
	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/kustomize"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/plain"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

func cm(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

func request(files sourcetest.Files, path string, spec render.Spec) render.Request {
	return render.Request{
		App: "app", Tree: files.Tree(), Path: path, Namespace: "ns", Spec: spec,
		Capabilities: helm.Capabilities{KubeVersion: "v1.37.2"},
	}
}

func ids(set object.Set) []string {
	var all []string
	for _, o := range set.Objects() {
		all = append(all, o.ID.String())
	}
	return all
}

func bytesOf(t *testing.T, set object.Set) string {
	t.Helper()
	var all strings.Builder
	for _, o := range set.Objects() {
		data, err := o.JSON()
		if err != nil {
			t.Fatal(err)
		}
		all.Write(append(data, '\n'))
	}
	return all.String()
}

// engines is a repository with something for each engine.
func engines() sourcetest.Files {
	return sourcetest.Files{
		"plain/a.yaml":                cm("a"),
		"plain/sub/b.yaml":            cm("b"),
		"kust/kustomization.yaml":     "resources: [a.yaml]\nnamePrefix: k-\n",
		"kust/a.yaml":                 cm("a"),
		"chart/Chart.yaml":            "apiVersion: v2\nname: chart\nversion: 1.2.3\n",
		"chart/templates/a.yaml":      cm("{{ .Release.Name }}"),
		"both/Chart.yaml":             "apiVersion: v2\nname: chart\nversion: 1.2.3\n",
		"both/kustomization.yml":      "resources: [a.yaml]\n",
		"both/a.yaml":                 cm("both"),
		"nested/a.yaml":               cm("a"),
		"nested/x/kustomization.yaml": "resources: [b.yaml]\n",
		"nested/x/b.yaml":             cm("b"),
		"link@":                       "kust",
	}
}

func TestEngines(t *testing.T) {
	tests := []struct {
		name   string
		path   string
		spec   render.Spec
		engine string
		want   []string
	}{
		{"plain", "plain", render.Spec{}, "plain", []string{"ConfigMap ns/a", "ConfigMap ns/b"}},
		{"plain with options", "/plain/", render.Spec{Plain: plain.Options{Exclude: []string{"sub/"}}}, "plain", []string{"ConfigMap ns/a"}},
		{"one file", "plain/sub/b.yaml", render.Spec{}, "plain", []string{"ConfigMap ns/b"}},
		{"kustomize", "kust", render.Spec{}, "kustomize", []string{"ConfigMap ns/k-a"}},
		{"kustomize by a link", "link", render.Spec{}, "kustomize", []string{"ConfigMap ns/k-a"}},
		{"kustomize with options", "kust", render.Spec{Kustomize: kustomize.Options{NamePrefix: "x-", Namespace: "kns"}}, "kustomize", []string{"ConfigMap kns/x-a"}},
		{"plain, forced", "kust", render.Spec{Engine: "plain"}, "plain", []string{"ConfigMap ns/a"}},
		{"plain, forced, above a kustomization", "nested", render.Spec{Engine: "plain"}, "plain", []string{"ConfigMap ns/a", "ConfigMap ns/b"}},
		{"a kustomization below, left out", "nested", render.Spec{Plain: plain.Options{Exclude: []string{"x/"}}}, "plain", []string{"ConfigMap ns/a"}},
		{"helm", "chart", render.Spec{}, "helm", []string{"ConfigMap ns/app"}},
		{"helm and kustomize", "both", render.Spec{Engine: "kustomize"}, "kustomize", []string{"ConfigMap ns/both"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			result, err := render.Render(t.Context(), request(engines(), test.path, test.spec))
			if err != nil {
				t.Fatal(err)
			}
			if result.Engine != test.engine {
				t.Errorf("engine is %q, want %q", result.Engine, test.engine)
			}
			if diff := cmp.Diff(test.want, ids(result.Set)); diff != "" {
				t.Errorf("set (-want +got):\n%s", diff)
			}
			if (result.Chart != nil) != (test.engine == "helm") {
				t.Errorf("chart is %v with engine %s", result.Chart, test.engine)
			}
			if len(result.Inputs) == 0 || !engines().Tree().Same(result.Inputs) {
				t.Errorf("inputs do not stand for the tree they were read from: %v", result.Inputs)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	marked := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {tidemark.dev/app: x}, annotations: {tidemark.dev/id: v1}}\n"
	tests := []struct {
		name  string
		files sourcetest.Files
		path  string
		spec  render.Spec
		want  string
		is    error
	}{
		{"missing path", engines(), "absent", render.Spec{}, "absent: ", render.ErrNoPath},
		{"path outside", engines(), "../x", render.Spec{}, "../x: ", source.ErrOutside},
		{"unknown engine", engines(), "plain", render.Spec{Engine: "jsonnet"}, `engine is "jsonnet"`, nil},
		{"unknown duplicates", engines(), "plain", render.Spec{Duplicates: "x"}, `duplicates is "x"`, nil},
		{"no objects", sourcetest.Files{"app/README.md": "", "app/a.yaml": "# nothing\n"}, "app", render.Spec{}, "app: ", render.ErrEmpty},
		{"everything excluded", engines(), "plain", render.Spec{Plain: plain.Options{Exclude: []string{"*"}}}, "plain: ", render.ErrEmpty},
		{"no objects by kustomize", sourcetest.Files{"app/kustomization.yaml": "namePrefix: a-\n"}, "app", render.Spec{}, "app: ", render.ErrEmpty},
		{"options of another engine", engines(), "kust", render.Spec{Plain: plain.Options{Include: []string{"a"}}}, "kust is rendered by the engine kustomize, but there are options for plain", nil},
		{"kustomize forced without a file", engines(), "plain", render.Spec{Engine: "kustomize"}, "plain: ", kustomize.ErrNoKustomization},
		{"a kustomization below plain files", engines(), "nested", render.Spec{}, "nested/x/kustomization.yaml: is a kustomization below", nil},
		{"several kustomization files", sourcetest.Files{"app/kustomization.yaml": "", "app/kustomization.yml": ""}, "app", render.Spec{}, "app: holds app/kustomization.yaml and app/kustomization.yml", nil},
		{"marks", sourcetest.Files{"app/a.yaml": marked}, "app", render.Spec{}, "app/a.yaml: ConfigMap a: ", render.ErrMarked},
		{"duplicates", sourcetest.Files{"app/a.yaml": cm("a"), "app/b.yaml": cm("b") + "---\n" + cm("a")}, "app", render.Spec{}, "ConfigMap ns/a is given twice, with identical contents: in app/a.yaml and in app/b.yaml (document 2)", nil},
		{"duplicates after the namespace is known", sourcetest.Files{"app/a.yaml": cm("a"), "app/b.yaml": cm("a, namespace: ns")}, "app", render.Spec{}, "in app/a.yaml and in app/b.yaml", nil},
		{"duplicates across versions", sourcetest.Files{"app/a.yaml": "apiVersion: x.dev/v1\nkind: X\nmetadata: {name: a}\n", "app/b.yaml": "apiVersion: x.dev/v2\nkind: X\nmetadata: {name: a}\n"}, "app", render.Spec{Duplicates: "merge"}, "X.x.dev a is given with different contents: in app/a.yaml and in app/b.yaml", nil},
		{"all at once", sourcetest.Files{"app/a.yaml": "a: 1\n", "app/b.yaml": "b: 1\n"}, "app", render.Spec{}, "app/b.yaml: ", object.ErrNotObject},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			result, err := render.Render(t.Context(), request(test.files, test.path, test.spec))
			if err == nil || result.Set.Len() > 0 {
				t.Fatalf("got %d objects and error %v, want only an error", result.Set.Len(), err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %q is not %q", err, test.is)
			}
		})
	}
}

func TestMergesDuplicates(t *testing.T) {
	files := sourcetest.Files{"app/a.yaml": cm("a"), "app/b.yaml": "kind: ConfigMap\nmetadata: {name: a, namespace: ns}\napiVersion: v1\n"}
	result, err := render.Render(t.Context(), request(files, "app", render.Spec{Duplicates: render.DuplicatesMerge}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ConfigMap ns/a"}, ids(result.Set)); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
}

func TestWarnsOfTwoEngines(t *testing.T) {
	files := sourcetest.Files{
		"app/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 1.2.3\n", "app/templates/a.yaml": cm("a"), "app/kustomization.yaml": "resources: []\n",
	}
	result, err := render.Render(t.Context(), request(files, "app", render.Spec{}))
	if err != nil {
		t.Fatal(err)
	}
	if result.Engine != "helm" || len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "kustomization.yaml") {
		t.Errorf("engine %s, warnings %q", result.Engine, result.Warnings)
	}
}

func TestNormalises(t *testing.T) {
	crd := func(scope string) string {
		return "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.x.dev}\nspec: {group: x.dev, scope: " + scope + ", names: {kind: X}}\nstatus: {acceptedNames: {kind: X}}\n"
	}
	const x = "apiVersion: x.dev/v1\nkind: X\nmetadata: {name: a}\n"
	tests := []struct {
		name      string
		in        string
		namespace string
		scope     func(object.GroupKind) (bool, bool)
		want      string
		warnings  []string
	}{
		{"namespace of the app", cm("a"), "ns", nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"ns"}}`, nil},
		{"namespace default", cm("a"), "", nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"default"}}`, nil},
		{"its own namespace", cm("a, namespace: own"), "ns", nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"own"}}`, nil},
		{"cluster-scoped", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", "ns", nil, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}`, nil},
		{
			"namespace on a cluster-scoped kind", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a, namespace: x}\n", "ns", nil,
			`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"a"}}`,
			[]string{"app.yaml: ClusterRole.rbac.authorization.k8s.io x/a: the namespace is left out, because the kind is cluster-scoped"},
		},
		{"unknown kind", x, "ns", nil, `{"apiVersion":"x.dev/v1","kind":"X","metadata":{"name":"a"}}`, nil},
		{"kind that the cluster knows", x, "ns", func(object.GroupKind) (bool, bool) { return true, true }, `{"apiVersion":"x.dev/v1","kind":"X","metadata":{"name":"a","namespace":"ns"}}`, nil},
		{
			"kind defined in the set", x + crd("Namespaced"), "ns", func(object.GroupKind) (bool, bool) { return false, true },
			`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"xs.x.dev"},"spec":{"group":"x.dev","names":{"kind":"X"},"scope":"Namespaced"}}
{"apiVersion":"x.dev/v1","kind":"X","metadata":{"name":"a","namespace":"ns"}}`, nil,
		},
		{
			"a built-in kind cannot be redefined", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n" + strings.ReplaceAll(strings.ReplaceAll(crd("Cluster"), "group: x.dev", `group: ""`), "kind: X", "kind: ConfigMap"), "ns", nil,
			`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"xs.x.dev"},"spec":{"group":"","names":{"kind":"ConfigMap"},"scope":"Cluster"}}
{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"ns"}}`, nil,
		},
		{
			"empty server fields", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, creationTimestamp: null, generation: 0, managedFields: []}\nstatus: {conditions: []}\n", "ns", nil,
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"ns"}}`, nil,
		},
		{
			"server fields", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, uid: u, resourceVersion: \"7\", labels: {a: b}}\nstatus: {replicas: 1}\n", "ns", nil,
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"a":"b"},"name":"a","namespace":"ns"}}`,
			[]string{"app.yaml: Deployment.apps a: metadata.resourceVersion, metadata.uid, status: left out, because the API server sets it"},
		},
		{"status of a kind that is not built in", x + "status: {a: b}\n", "ns", nil, `{"apiVersion":"x.dev/v1","kind":"X","metadata":{"name":"a"},"status":{"a":"b"}}`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request(sourcetest.Files{"app.yaml": test.in}, "app.yaml", render.Spec{})
			r.Namespace, r.Scope = test.namespace, test.scope
			result, err := render.Render(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want+"\n", bytesOf(t, result.Set)); diff != "" {
				t.Errorf("set (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.warnings, result.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// Adding or removing what decides the engine is a change of the inputs, also
// where it was absent.
func TestInputsHoldTheDetection(t *testing.T) {
	result, err := render.Render(t.Context(), request(engines(), "plain/sub", render.Spec{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"plain/sub/Chart.yaml", "plain/sub/kustomization.yml", ".sourceignore", "plain/.tidemarkignore", "plain/sub/new.txt"} {
		changed := sourcetest.Files{file: ""}
		maps.Copy(changed, engines())
		if changed.Tree().Same(result.Inputs) {
			t.Errorf("a new file %s does not count as a change", file)
		}
	}
}

func TestFailedRendersTellWhatTheyRead(t *testing.T) {
	result, err := render.Render(t.Context(), request(sourcetest.Files{"app/a.yaml": "a: 1\n"}, "app", render.Spec{}))
	if err == nil || result.Engine != "plain" || len(result.Inputs) == 0 {
		t.Errorf("engine %q, inputs %v, error %v", result.Engine, result.Inputs, err)
	}
}

// The same request gives the same bytes, also while others render.
func TestSameBytes(t *testing.T) {
	for _, path := range []string{"plain", "kust", "chart"} {
		var results [6]string
		var group sync.WaitGroup
		for i := range results {
			group.Go(func() {
				result, err := render.Render(t.Context(), request(engines(), path, render.Spec{}))
				if err != nil {
					t.Error(err)
					return
				}
				digest, err := result.Set.Digest()
				if err != nil {
					t.Error(err)
				}
				results[i] = bytesOf(t, result.Set) + digest
			})
		}
		group.Wait()
		for i := range results {
			if results[i] != results[0] {
				t.Errorf("%s: render %d differs:\n%s\n%s", path, i, results[0], results[i])
			}
		}
	}
}
