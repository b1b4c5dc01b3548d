package kustomize_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/kustomize"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

func cm(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "nginx:1", args: [yes, 0755]}]
`

func with(files ...sourcetest.Files) sourcetest.Files {
	all := sourcetest.Files{}
	for _, f := range files {
		maps.Copy(all, f)
	}
	return all
}

func TestRender(t *testing.T) {
	base := sourcetest.Files{
		"base/kustomization.yaml": "resources: [web.yaml]\n",
		"base/web.yaml":           deployment,
		"base/cm.yaml":            cm("a"),
		"shared/cm.yaml":          cm("shared"),
		"shared/env":              "A=1\nHOME\n",
	}
	tests := []struct {
		name    string
		files   sourcetest.Files
		path    string
		options kustomize.Options
		want    []string // ID, origin
	}{
		{
			"a base elsewhere",
			sourcetest.Files{"app/kustomization.yaml": "resources: [../base, ../shared/cm.yaml]\n"},
			"app",
			kustomize.Options{},
			[]string{"Deployment.apps web base/web.yaml", "ConfigMap shared shared/cm.yaml"},
		},
		{"other names of the file", sourcetest.Files{"app/Kustomization": "resources: [../base]\n"}, "app/", kustomize.Options{}, []string{"Deployment.apps web base/web.yaml"}},
		{"deprecated bases", sourcetest.Files{"app/kustomization.yml": "bases: [../base]\n"}, "app", kustomize.Options{}, []string{"Deployment.apps web base/web.yaml"}},
		{"root of the repository", sourcetest.Files{"kustomization.yaml": "resources: [base]\n"}, ".", kustomize.Options{}, []string{"Deployment.apps web base/web.yaml"}},
		{
			"generators",
			sourcetest.Files{"app/kustomization.yaml": "configMapGenerator: [{name: a, files: [x=../shared/env], envs: [../shared/env], options: {disableNameSuffixHash: true}}]\n"},
			"app",
			kustomize.Options{},
			[]string{"ConfigMap a app/kustomization.yaml"},
		},
		{"components", sourcetest.Files{
			"app/kustomization.yaml":  "resources: [../base]\ncomponents: [../comp]\n",
			"comp/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [../shared/cm.yaml]\n",
		}, "app", kustomize.Options{}, []string{"Deployment.apps web base/web.yaml", "ConfigMap shared shared/cm.yaml"}},
		{"components of the options", sourcetest.Files{
			"app/kustomization.yaml":  "resources: [../base]\n",
			"comp/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [../shared/cm.yaml]\n",
		}, "app", kustomize.Options{Components: []string{"../comp"}}, []string{"Deployment.apps web base/web.yaml", "ConfigMap shared shared/cm.yaml"}},
		{
			"prefix, suffix, namespace",
			sourcetest.Files{"app/kustomization.yaml": "namePrefix: old-\nnamespace: old\nresources: [../base]\n"},
			"app",
			kustomize.Options{Namespace: "ns", NamePrefix: "a-", NameSuffix: "-z"},
			[]string{"Deployment.apps ns/a-web-z base/web.yaml"},
		},
		{
			"links",
			sourcetest.Files{"app/kustomization.yaml": "resources: [base, cm.yaml]\n", "app/base@": "../base", "app/cm.yaml@": "../shared/cm.yaml"},
			"app",
			kustomize.Options{},
			[]string{"Deployment.apps web app/base/web.yaml", "ConfigMap shared app/cm.yaml"},
		},
		{
			"root restriction keeps to the directory",
			sourcetest.Files{"app/kustomization.yaml": "resources: [../base, cm.yaml]\n", "app/cm.yaml": cm("b")},
			"app",
			kustomize.Options{LoadRestrictions: kustomize.RestrictRoot},
			[]string{"Deployment.apps web base/web.yaml", "ConfigMap b app/cm.yaml"},
		},
		{"built-in transformers", sourcetest.Files{
			"app/kustomization.yaml":  "resources: [../base]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PrefixTransformer\n  metadata: {name: p}\n  prefix: a-\n  fieldSpecs: [{path: metadata/name}]\n- ../suffix.yaml\n- ../more\n",
			"suffix.yaml":             "apiVersion: builtin\nkind: SuffixTransformer\nmetadata: {name: s}\nsuffix: -z\nfieldSpecs: [{path: metadata/name}]\n",
			"more/kustomization.yaml": "resources: [p.yaml]\n",
			"more/p.yaml":             "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: q}\nprefix: b-\nfieldSpecs: [{path: metadata/name}]\n",
		}, "app", kustomize.Options{}, []string{"Deployment.apps b-a-web-z base/web.yaml"}},
		{"lists", sourcetest.Files{"app/kustomization.yaml": "resources: [l.yaml]\n", "app/l.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"}, "app", kustomize.Options{}, []string{"ConfigMap a app/l.yaml"}},
		{"local configuration is left out", sourcetest.Files{"app/kustomization.yaml": "resources: [../base, l.yaml]\n", "app/l.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {config.kubernetes.io/local-config: \"true\"}}\n"}, "app", kustomize.Options{}, []string{"Deployment.apps web base/web.yaml"}},
		{"nothing", sourcetest.Files{"app/kustomization.yaml": "resources: []\n"}, "app", kustomize.Options{}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			objects, _, err := kustomize.Render(with(base, test.files).Tree(), test.path, test.options)
			if test.name == "nothing" && err != nil && strings.Contains(err.Error(), "app/kustomization.yaml: is empty") {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range objects {
				got = append(got, o.ID.String()+" "+o.Origin.String())
				if o.Annotation("config.kubernetes.io/origin") != "" {
					t.Errorf("%s keeps the annotation of its origin", o.ID)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	files := sourcetest.Files{
		"app/kustomization.yaml": "resources: [web.yaml]\nimages: [{name: nginx, newTag: \"2\"}, {name: other, newTag: \"1\"}]\npatches: [{patch: '[{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{\"first\":\"1\"}}]', target: {kind: Deployment}}]\n",
		"app/web.yaml":           deployment,
	}
	var o kustomize.Options
	if err := json.Unmarshal([]byte(`{
		"images": [{"name": "nginx", "newName": "registry/nginx", "digest": "sha256:0"}],
		"patches": [{"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: 3}", "target": {"kind": "Deployment", "name": "w.*"}}],
		"labels": {"team": "a"}, "annotations": {"owner": "b"}
	}`), &o); err != nil {
		t.Fatal(err)
	}
	objects, _, err := kustomize.Render(files.Tree(), "app", o)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := objects[0].JSON()
	want := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"annotations":{"first":"1","owner":"b"},"labels":{"team":"a"},"name":"web"},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"args":["yes",493],"image":"registry/nginx@sha256:0","name":"web"}]}}}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestBuildMetadataOfTheFileStays(t *testing.T) {
	files := sourcetest.Files{"app/kustomization.yaml": "resources: [a.yaml]\nbuildMetadata: [originAnnotations]\n", "app/a.yaml": cm("a")}
	objects, _, err := kustomize.Render(files.Tree(), "app", kustomize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := objects[0].Annotation("config.kubernetes.io/origin"); got != "path: a.yaml\n" {
		t.Errorf("origin annotation is %q, and the kustomization asks for it", got)
	}
}

func TestReport(t *testing.T) {
	files := sourcetest.Files{"app/kustomization.yaml": "resources: [../base]\n", "base/kustomization.yml": "resources: [a.yaml]\n", "base/a.yaml": cm("a"), "base/b.yaml": cm("b")}
	_, report, err := kustomize.Render(files.Tree(), "app", kustomize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	questions, _ := source.Questions(report.Inputs)
	got := source.FilesIn(questions)
	if diff := cmp.Diff([]string{"app/kustomization.yaml", "base/a.yaml", "base/kustomization.yml"}, got); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	if !with(files, sourcetest.Files{"base/b.yaml": "x"}).Tree().Same(report.Inputs) {
		t.Error("a file that was not read counts as a change")
	}
	if with(files, sourcetest.Files{"base/kustomization.yaml": "x"}).Tree().Same(report.Inputs) {
		t.Error("a second kustomization file does not count as a change")
	}
}

func TestRenderRefuses(t *testing.T) {
	plugin := func(text string) sourcetest.Files {
		return sourcetest.Files{"app/kustomization.yaml": "resources: [cm.yaml]\ntransformers: [t.yaml]\n", "app/cm.yaml": cm("a"), "app/t.yaml": text}
	}
	kustomization := func(text string) sourcetest.Files {
		return sourcetest.Files{"app/kustomization.yaml": text, "app/cm.yaml": cm("a"), "base/kustomization.yaml": "resources: [cm.yaml]\n", "base/cm.yaml": cm("b")}
	}
	tests := []struct {
		name  string
		files sourcetest.Files
		want  string
		is    error
	}{
		{"missing path", sourcetest.Files{"x": ""}, "app: ", fs.ErrNotExist},
		{"no kustomization", sourcetest.Files{"app/x": ""}, "app: ", kustomize.ErrNoKustomization},
		{"two kustomizations", sourcetest.Files{"app/kustomization.yaml": "", "app/Kustomization": ""}, "app: holds app/kustomization.yaml and app/Kustomization", nil},
		{"empty", kustomization(""), "app/kustomization.yaml: is empty", nil},
		{"unknown field", kustomization("resource: [cm.yaml]\n"), `app/kustomization.yaml: invalid Kustomization: json: unknown field "resource"`, nil},
		{"another kind", kustomization("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nresources: [cm.yaml]\n"), "app/kustomization.yaml: apiVersion for Kustomization should be", nil},
		{"missing resource", kustomization("resources: [absent.yaml]\n"), "app/kustomization.yaml: resources: app/absent.yaml: ", fs.ErrNotExist},
		{"base without kustomization", with(kustomization("resources: [../x]\n"), sourcetest.Files{"x/y": ""}), "app/kustomization.yaml: resources: x: ", kustomize.ErrNoKustomization},
		{"missing patch", kustomization("resources: [cm.yaml]\npatches: [{path: absent.yaml}]\n"), "app/kustomization.yaml: patches: app/absent.yaml: ", fs.ErrNotExist},
		{"leaves the repository", kustomization("resources: [../../x]\n"), "app/kustomization.yaml: resources: ../x: ", source.ErrOutside},
		{"leaves the repository by a link", with(kustomization("resources: [l.yaml]\n"), sourcetest.Files{"app/l.yaml@": "../../x"}), "app/kustomization.yaml: resources: app/l.yaml: ", source.ErrOutside},
		{"leaves the repository in a generator", kustomization("configMapGenerator: [{name: a, files: [x=../../../etc/passwd]}]\n"), "app/kustomization.yaml: configMapGenerator: ../../etc/passwd: ", source.ErrOutside},
		{"absolute path", kustomization("configMapGenerator: [{name: a, files: [/etc/passwd]}]\n"), "app/kustomization.yaml: configMapGenerator: /etc/passwd: is an absolute path", nil},
		{"circle", with(kustomization("resources: [../base]\n"), sourcetest.Files{"base/kustomization.yaml": "resources: [../app]\n"}), "app: names itself as a base: app → base → app", nil},
		{"component that is none", kustomization("components: [../base]\n"), "app/kustomization.yaml: kustomize: ", nil},

		{"remote file", kustomization("resources: [cm.yaml, 'https://user:hunter2@host/x.yaml?token=hunter2']\n"), "app/kustomization.yaml: resources: https://host/x.yaml: ", kustomize.ErrRemote},
		{"remote base", kustomization("resources: [github.com/a/b]\n"), "app/kustomization.yaml: resources: github.com/a/b: ", kustomize.ErrRemote},
		{"remote base by ssh", kustomization("bases: ['git@host:a/b']\n"), "app/kustomization.yaml: resources: git@host:a/b: ", kustomize.ErrRemote},
		{"remote base, forced", kustomization("resources: ['Git::host/a//b']\n"), "app/kustomization.yaml: ", kustomize.ErrRemote},
		{"remote base on disk", kustomization("resources: ['file:///tmp/x']\n"), "app/kustomization.yaml: ", kustomize.ErrRemote},
		{"remote component", kustomization("components: ['https://host/a/b']\n"), "app/kustomization.yaml: components: ", kustomize.ErrRemote},
		{"remote patch", kustomization("patches: [{path: 'http://host/a'}]\n"), "app/kustomization.yaml: patches: ", kustomize.ErrRemote},
		{"remote merge patch", kustomization("patchesStrategicMerge: ['http://host/a']\n"), "app/kustomization.yaml: patchesStrategicMerge: ", kustomize.ErrRemote},
		{"remote JSON patch", kustomization("patchesJson6902: [{path: 'http://host/a', target: {kind: X}}]\n"), "app/kustomization.yaml: patchesJson6902: ", kustomize.ErrRemote},
		{"remote replacement", kustomization("replacements: [{path: 'http:a'}]\n"), "app/kustomization.yaml: replacements: ", kustomize.ErrRemote},
		{"remote file of a generator", kustomization("configMapGenerator: [{name: a, files: ['x=https://host/a']}]\n"), "app/kustomization.yaml: configMapGenerator: ", kustomize.ErrRemote},
		{"remote variables", kustomization("secretGenerator: [{name: a, env: 'https://host/a'}]\n"), "app/kustomization.yaml: secretGenerator: ", kustomize.ErrRemote},
		{"remote schema", kustomization("resources: [cm.yaml]\nopenapi: {path: 'https://host/a'}\n"), "app/kustomization.yaml: openapi: ", kustomize.ErrRemote},
		{"remote CRD", kustomization("resources: [cm.yaml]\ncrds: ['https://host/a']\n"), "app/kustomization.yaml: crds: ", kustomize.ErrRemote},
		{"remote configuration", kustomization("resources: [cm.yaml]\nconfigurations: ['https://host/a']\n"), "app/kustomization.yaml: configurations: ", kustomize.ErrRemote},
		{"remote in a base", with(kustomization("resources: [../base]\n"), sourcetest.Files{"base/kustomization.yaml": "resources: ['https://host/a']\n"}), "base/kustomization.yaml: resources: ", kustomize.ErrRemote},
		{"remote in a component", with(kustomization("resources: [cm.yaml]\ncomponents: [../c]\n"), sourcetest.Files{"c/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: ['https://host/a']\n"}), "c/kustomization.yaml: resources: ", kustomize.ErrRemote},
		{"remote generator", kustomization("generators: ['https://host/a']\n"), "app/kustomization.yaml: generators: ", kustomize.ErrRemote},
		{"field in capitals", kustomization("Resources: ['https://host/a']\n"), "app/kustomization.yaml: resources: ", kustomize.ErrRemote},

		{"Helm charts", kustomization("helmCharts: [{name: a, repo: 'https://host'}]\n"), "app/kustomization.yaml: ", kustomize.ErrHelm},
		{"Helm inflation", kustomization("helmChartInflationGenerator: [{chartName: a}]\n"), "app/kustomization.yaml: ", kustomize.ErrHelm},
		{"Helm inflation by a generator", plugin("apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: a}\n"), "app/t.yaml: ", kustomize.ErrHelm},
		{"Helm in a base", with(kustomization("resources: [../base]\n"), sourcetest.Files{"base/kustomization.yaml": "helmCharts: [{name: a}]\n"}), "base/kustomization.yaml: ", kustomize.ErrHelm},

		{"exec plugin", plugin("apiVersion: someteam.example.com/v1\nkind: Exec\nmetadata: {name: a}\n"), "app/t.yaml: ", kustomize.ErrPlugin},
		{"container function", plugin("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    config.kubernetes.io/function: |\n      container: {image: x}\n"), "app/t.yaml: ", kustomize.ErrPlugin},
		{"function on a built-in", plugin("apiVersion: builtin\nkind: PrefixTransformer\nmetadata:\n  name: a\n  annotations:\n    config.kubernetes.io/function: 'exec: {path: ./x}'\n"), "app/t.yaml: ", kustomize.ErrPlugin},
		{"second document", plugin("apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: a}\n---\napiVersion: x/v1\nkind: Y\nmetadata: {name: a}\n"), "app/t.yaml: ", kustomize.ErrPlugin},
		{"version written twice", plugin("apiVersion: builtin\nkind: X\napiVersion: x/v1\n"), "app/t.yaml: ", kustomize.ErrPlugin},
		{"inline", kustomization("resources: [cm.yaml]\nvalidators:\n- |-\n  apiVersion: x/v1\n  kind: Y\n  metadata: {name: a}\n"), "app/kustomization.yaml: ", kustomize.ErrPlugin},
		{"inline on one line", kustomization("resources: [cm.yaml]\ntransformers: ['{apiVersion: x/v1, kind: Y, metadata: {name: a}}']\n"), "app/kustomization.yaml: ", kustomize.ErrPlugin},
		{"built-in with a remote patch", plugin("apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: a}\npath: https://host/a\n"), "app/t.yaml: path: https://host/a: ", kustomize.ErrRemote},
		{"the same, in odd letters", plugin("apiVersion: builtin\nkind: PatchStrategicMergeTransformer\nmetadata: {name: a}\nPathſ: [https://host/a]\n"), "app/t.yaml: ", kustomize.ErrRemote},
		{"the same, by an alias", plugin("apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: a}\nliterals: [&x 'a=https://host/a']\nfiles: [*x]\n"), "app/t.yaml: ", kustomize.ErrRemote},
		{"the same, by a merge", plugin("apiVersion: builtin\nkind: PatchTransformer\nmetadata: &m {name: a, path: x}\n<<: *m\n"), "app/t.yaml: aliases of mappings", nil},
		{"the same, in a directory", with(kustomization("resources: [cm.yaml]\ntransformers: [../t]\n"), sourcetest.Files{"t/kustomization.yaml": "resources: [t.yaml]\n", "t/t.yaml": "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: a}\npath: https://host/a\n"}), "t/t.yaml: path: ", kustomize.ErrRemote},
		{"the same, made by a patch", with(kustomization("resources: [cm.yaml]\ntransformers: [../t]\n"), sourcetest.Files{"t/kustomization.yaml": "resources: [t.yaml]\npatches: [{patch: 'x'}]\n", "t/t.yaml": ""}), "t/kustomization.yaml: configures generators", nil},

		{"not an object", with(kustomization("resources: [x.yaml]\n"), sourcetest.Files{"app/x.yaml": "a: 1\n"}), "app/kustomization.yaml: kustomize: ", nil},
		{"generated name", with(kustomization("resources: [x.yaml]\n"), sourcetest.Files{"app/x.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}\n"}), "app/x.yaml: Job: metadata.generateName", nil},
		{"a literal that is none keeps its value", kustomization("secretGenerator: [{name: a, literals: [hunter2]}]\n"), "app/kustomization.yaml: kustomize: ", nil},
		{"a broken generator keeps its values", kustomization("secretGenerator: [{name: a, literals: ['x=hunter2', hunter2]}]\n"), "app/kustomization.yaml: kustomize: ", nil},
		{"a broken patch keeps its values", kustomization("resources: [cm.yaml]\npatches: [{patch: \"hunter2: [\\n\"}]\n"), "app/kustomization.yaml: kustomize: ", nil},
		{"a patch of the wrong shape keeps its values", kustomization("resources: [cm.yaml]\npatches: [{patch: \"apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: a}\\ndata: hunter2\\n\"}, {patch: \"apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: a}\\ndata: {a: b}\\n\"}]\n"), "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			objects, _, err := kustomize.Render(test.files.Tree(), "app", kustomize.Options{})
			if err == nil && test.want == "" {
				return
			}
			if err == nil || len(objects) > 0 {
				t.Fatalf("got %d objects and error %v, want only an error", len(objects), err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			for _, secret := range []string{"hunter2", "/repository"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q repeats %q", err, secret)
				}
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %q is not %q", err, test.is)
			}
			t.Log(err)
		})
	}
}

func TestRestrictions(t *testing.T) {
	files := sourcetest.Files{"app/kustomization.yaml": "resources: [../shared/cm.yaml]\n", "shared/cm.yaml": cm("a")}
	for _, test := range []struct {
		restrictions kustomize.LoadRestrictions
		want         string
	}{
		{"", ""},
		{kustomize.RestrictNone, ""},
		{kustomize.RestrictRoot, "'shared/cm.yaml' is not in or below 'app'"},
		{"all", `loadRestrictions is "all"`},
	} {
		_, _, err := kustomize.Render(files.Tree(), "app", kustomize.Options{LoadRestrictions: test.restrictions})
		if got := fmt.Sprint(err); (test.want == "") != (err == nil) || !strings.Contains(got, test.want) && err != nil {
			t.Errorf("loadRestrictions %q: %v, want %q", test.restrictions, err, test.want)
		}
	}
}

// Variables of a generator that have no value would be those of the process.
func TestNoEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_RUNNER", "hunter2")
	files := sourcetest.Files{"app/kustomization.yaml": "configMapGenerator: [{name: a, envs: [env], literals: ['B=$SECRET_OF_THE_RUNNER']}]\n", "app/env": "SECRET_OF_THE_RUNNER\n"}
	objects, _, err := kustomize.Render(files.Tree(), "app", kustomize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := objects[0].JSON(); strings.Contains(string(data), "hunter2") {
		t.Errorf("a variable of the process got into %s", data)
	}
}

// One build that loads a schema of its own must not change the next.
func TestSchemaDoesNotStay(t *testing.T) {
	schema, _ := json.Marshal(map[string]any{"definitions": map[string]any{"v1.Foo": map[string]any{"x-kubernetes-group-version-kind": []any{map[string]any{"group": "apps", "kind": "Deployment", "version": "v1"}}}}})
	patch := "patches: [{patch: \"apiVersion: apps/v1\\nkind: Deployment\\nmetadata: {name: web}\\nspec: {template: {spec: {containers: [{name: web, tty: true}]}}}\"}]\n"
	files := sourcetest.Files{
		"polluting/kustomization.yaml": "resources: [web.yaml]\nopenapi: {path: schema.json}\n" + patch,
		"polluting/web.yaml":           deployment,
		"polluting/schema.json":        string(schema),
		"app/kustomization.yaml":       "resources: [web.yaml]\n" + patch,
		"app/web.yaml":                 deployment,
	}
	render := func(name string) string {
		objects, _, err := kustomize.Render(files.Tree(), name, kustomize.Options{})
		if err != nil {
			t.Fatal(err)
		}
		data, _ := objects[0].JSON()
		return string(data)
	}
	before := render("app")
	if polluted := render("polluting"); strings.Contains(polluted, "nginx") {
		t.Fatalf("the schema was not used: the list was merged by name: %s", polluted)
	}
	if after := render("app"); after != before {
		t.Errorf("a build differs after another one:\n%s\n%s", before, after)
	}
}

func TestPanicsAreErrors(t *testing.T) {
	files := sourcetest.Files{
		"app/kustomization.yaml": "namespace: test\nnamePrefix: test\nresources: [a.yaml]\n",
		"app/a.yaml":             "apiVersion: ENC[AES256_GCM,data:a,b:c]\nkind: ENC[AES256_GCM,data:a,b:c]\nmetadata: {name: \"ENC[AES256_GCM,data:a,b:c]\", namespace: \"ENC[AES256_GCM,data:a,b:c]\"}\n",
		"ok/kustomization.yaml":  "resources: [a.yaml]\n",
		"ok/a.yaml":              cm("a"),
	}
	_, _, err := kustomize.Render(files.Tree(), "app", kustomize.Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "app/kustomization.yaml: kustomize") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if _, _, err := kustomize.Render(files.Tree(), "ok", kustomize.Options{}); err != nil {
		t.Errorf("the build after it: %v", err)
	}
}

func TestConcurrentBuildsAreTheSame(t *testing.T) {
	files := sourcetest.Files{"app/kustomization.yaml": "resources: [web.yaml]\nconfigMapGenerator: [{name: a, literals: [x=1]}]\n", "app/web.yaml": deployment}
	var results [8][]string
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			objects, _, err := kustomize.Render(files.Tree(), "app", kustomize.Options{Annotations: map[string]string{"a": "b"}})
			if err != nil {
				t.Error(err)
			}
			for _, o := range objects {
				data, _ := object.Object.JSON(o)
				results[i] = append(results[i], string(data))
			}
		})
	}
	group.Wait()
	for i := range results {
		if !slices.Equal(results[0], results[i]) {
			t.Errorf("build %d differs: %v and %v", i, results[0], results[i])
		}
	}
}
