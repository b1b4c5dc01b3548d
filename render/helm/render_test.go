package helm_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/object"
)

func TestChartInRepository(t *testing.T) {
	files := chart("web", map[string]string{
		"values.yaml":           "tag: v1\n",
		"templates/_names.tpl":  `{{ define "web.name" }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}`,
		"templates/b.yaml":      configMap(`{{ include "web.name" . }}`, `{{ .Values.tag | quote }}`),
		"templates/a.yaml":      "# nothing but a comment\n{{- if .Values.absent }}\nkind: Nonsense\n{{- end }}\n",
		"templates/NOTES.txt":   "Thank you for installing {{ .Chart.Name }}.\n",
		"templates/.hidden":     "{{ not a template",
		"crds/crd.yaml":         "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: '{{ not.a.template }}'}\n",
		"docs/notes.md":         "{{ not a template",
		"ignored.bak":           "x",
		".helmignore":           "*.bak\n",
		"templates/ignored.bak": "{{ not a template",
	})
	result := render(t, request(files))
	if got, want := ids(result.Objects), []string{"CustomResourceDefinition.apiextensions.k8s.io {{ not.a.template }}", "ConfigMap shop-web"}; !slices.Equal(got, want) {
		t.Errorf("got objects %q, want %q", got, want)
	}
	if got := value(t, result, "shop-web"); got != "v1" {
		t.Errorf("got value %q, want v1", got)
	}
	if got, want := result.Objects[1].Origin.String(), "web/templates/b.yaml"; got != want {
		t.Errorf("got origin %q, want %q", got, want)
	}
	if got, want := result.Chart, (helm.ChartVersion{Name: "web", Version: "1.2.3"}); got != want {
		t.Errorf("got chart %v, want %v", got, want)
	}
	if len(result.Warnings) > 0 || len(result.Varying) > 0 || len(result.Dependencies) > 0 {
		t.Errorf("got warnings %q, varying %v, dependencies %v; want none", result.Warnings, result.Varying, result.Dependencies)
	}
}

func TestNoCRDs(t *testing.T) {
	r := request(chart("web", map[string]string{
		"crds/crd.yaml":    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n",
		"templates/a.yaml": configMap("a", "x"),
	}))
	r.Options.IncludeCRDs = new(false)
	if got := ids(render(t, r).Objects); len(got) != 1 {
		t.Errorf("got %q, want the ConfigMap alone", got)
	}
}

func TestRelease(t *testing.T) {
	files := chart("web", map[string]string{"templates/a.yaml": configMap("a",
		`'{{ .Release.Name }} {{ .Release.Namespace }} {{ .Release.Revision }} {{ .Release.IsInstall }} {{ .Release.IsUpgrade }} {{ .Release.Service }} {{ .Template.Name }} {{ .Template.BasePath }}'`)})
	r := request(files)
	if got, want := value(t, render(t, r), "a"), "shop prod 1 true false Helm web/templates/a.yaml web/templates"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Options.ReleaseName = "other"
	if got := value(t, render(t, r), "a"); !strings.HasPrefix(got, "other prod ") {
		t.Errorf("got %q, want the release name other", got)
	}
	r.Options.ReleaseName = "Not A Name"
	wantError(t, renderError(t, r), `release name "Not A Name"`)
}

func TestCapabilities(t *testing.T) {
	files := chart("web", map[string]string{"templates/a.yaml": configMap("a",
		`'{{ .Capabilities.KubeVersion }} {{ .Capabilities.KubeVersion.GitVersion }} {{ .Capabilities.KubeVersion.Minor }}`+
			`{{ range list "apps/v1" "apps/v1/Deployment" "policy/v1beta1" "example.com/v1" "example.com/v1/Widget" }} {{ $.Capabilities.APIVersions.Has . }}{{ end }}`+
			` {{ semverCompare ">=4.3.0 <5" .Capabilities.HelmVersion.Version }}'`)})
	for name, test := range map[string]struct {
		options helm.Options
		known   helm.Capabilities
		want    string
	}{
		"pinned":                           {helm.Options{KubeVersion: "1.30"}, helm.Capabilities{}, "v1.30 v1.30 30 true true false false false true"},
		"pinned, the cluster is not asked": {helm.Options{KubeVersion: "1.30.2"}, helm.Capabilities{KubeVersion: "v1.37.2", APIVersions: []string{"example.com/v1"}}, "v1.30.2 v1.30.2 30 true true false false false true"},
		"pinned with what CRDs add":        {helm.Options{KubeVersion: "v1.30.2", APIVersions: []string{"example.com/v1/Widget"}}, helm.Capabilities{}, "v1.30.2 v1.30.2 30 true true false false true true"},
		"of the cluster":                   {helm.Options{}, helm.Capabilities{KubeVersion: "v1.33.4-gke.12", APIVersions: []string{"policy/v1beta1"}}, "v1.33.4 v1.33.4-gke.12 33 false false true false false true"},
		"of the cluster, and more":         {helm.Options{APIVersions: []string{"example.com/v1"}}, helm.Capabilities{KubeVersion: "v1.33.4", APIVersions: []string{"apps/v1"}}, "v1.33.4 v1.33.4 33 true false false true false true"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(files)
			r.Options, r.Capabilities = test.options, test.known
			if got := value(t, render(t, r), "a"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	r := request(files)
	r.Options.KubeVersion = ""
	if err := renderError(t, r); !errors.Is(err, helm.ErrNoCapabilities) {
		t.Errorf("got %v, want ErrNoCapabilities", err)
	}
	r.Options.KubeVersion = "newest"
	wantError(t, renderError(t, r), `kubeVersion "newest"`)
	r.Options.KubeVersion, r.Options.APIVersions = "1.30", []string{"a/b/c/d"}
	wantError(t, renderError(t, r), `"a/b/c/d"`)
}

// What a cluster could not tell must not be taken for "it serves nothing of it".
func TestIncompleteCapabilities(t *testing.T) {
	const asks = `{{ if .Capabilities.APIVersions.Has "metrics.example.com/v1" }}a: b{{ end }}`
	plain := chart("web", map[string]string{"templates/a.yaml": configMap("a", "x")})
	known := func(failing ...string) helm.Capabilities {
		return helm.Capabilities{KubeVersion: "v1.33.1", APIVersions: []string{"v1"}, Failing: failing}
	}
	for name, test := range map[string]struct {
		files   map[string]string
		options helm.Options
		known   helm.Capabilities
		want    []string // of the error; none for no error
	}{
		"no failure":            {join(plain, map[string]string{"web/templates/b.yaml": asks}), helm.Options{}, known(), nil},
		"not asked for":         {plain, helm.Options{}, known("metrics.example.com"), nil},
		"part of another group": {join(plain, map[string]string{"web/templates/b.yaml": asks}), helm.Options{}, known("example.com", "rics.example.com"), nil},
		"a template":            {join(plain, map[string]string{"web/templates/b.yaml": asks}), helm.Options{}, known("a.com", "metrics.example.com"), []string{"web/templates/b.yaml", "metrics.example.com", "repair its APIService", "kubeVersion"}},
		"a partial":             {join(plain, map[string]string{"web/templates/_b.tpl": asks}), helm.Options{}, known("metrics.example.com"), []string{"web/templates/_b.tpl"}},
		"a subchart":            {join(plain, chart("web/charts/sub", map[string]string{"templates/b.yaml": asks})), helm.Options{}, known("metrics.example.com"), []string{"web/charts/sub/templates/b.yaml"}},
		"a value for tpl":       {plain, helm.Options{Values: map[string]any{"extra": asks}}, known("metrics.example.com"), []string{"the values of chart web", "metrics.example.com"}},
		"a value that is none":  {plain, helm.Options{Values: map[string]any{"annotation": "metrics.example.com/x"}}, known("metrics.example.com"), nil},
		"a file for tpl":        {join(plain, map[string]string{"web/files/b": asks}), helm.Options{}, known("metrics.example.com"), []string{"web/files/b"}},
		"pinned":                {join(plain, map[string]string{"web/templates/b.yaml": asks}), helm.Options{KubeVersion: "1.33"}, known("metrics.example.com", "apps"), nil},
		"a built-in group":      {plain, helm.Options{}, known("apps"), []string{"chart web", "apps"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(test.files)
			r.Options, r.Capabilities = test.options, test.known
			if test.want == nil {
				render(t, r)
				return
			}
			err := renderError(t, r)
			if !errors.Is(err, helm.ErrIncomplete) {
				t.Errorf("got %v, want ErrIncomplete", err)
			}
			wantError(t, err, test.want...)
		})
	}
}

func TestKubeVersionOfChart(t *testing.T) {
	r := request(join(chart("web", map[string]string{"templates/a.yaml": configMap("a", "x")}),
		map[string]string{"web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: '>=1.34.0-0'\ndeprecated: true\n"}))
	wantError(t, renderError(t, r), "web 1.0.0 needs Kubernetes >=1.34.0-0", "v1.33.1")
	r.Options.KubeVersion = "v1.34.1-gke.5"
	if got := render(t, r).Warnings; len(got) != 1 || !strings.Contains(got[0], "deprecated") {
		t.Errorf("got warnings %q, want one that the chart is deprecated", got)
	}
}

func TestRefusedCharts(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"no chart":                {map[string]string{"web/values.yaml": ""}, []string{"web: there is no Chart.yaml"}},
		"no version":              {map[string]string{"web/Chart.yaml": "apiVersion: v2\nname: web\n"}, []string{"web:", "version is required"}},
		"not YAML":                {map[string]string{"web/Chart.yaml": "{{"}, []string{"Chart.yaml"}},
		"of another API":          {map[string]string{"web/Chart.yaml": "apiVersion: v3\nname: web\nversion: 1.0.0\n"}, []string{`apiVersion "v3"`}},
		"library":                 {map[string]string{"web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\ntype: library\n"}, []string{"web is a library"}},
		"values are a list":       {chart("web", map[string]string{"values.yaml": "- a\n"}), []string{"values.yaml"}},
		"template does not parse": {chart("web", map[string]string{"templates/a.yaml": "x: {{ if }}\n"}), []string{"web/templates/a.yaml:1"}},
		"output is no YAML":       {chart("web", map[string]string{"templates/a.yaml": "a: b: c\n"}), []string{"web/templates/a.yaml"}},
		"output is no object":     {chart("web", map[string]string{"templates/a.yaml": "a: b\n", "templates/b.yaml": "c: d\n"}), []string{"web/templates/a.yaml", "web/templates/b.yaml", "apiVersion is missing"}},
		"nil pointer":             {chart("web", map[string]string{"templates/a.yaml": "{{ .Values.a.b.c }}"}), []string{"web/templates/a.yaml:1", "nil pointer"}},
		"link out of the repository": {
			chart("web", map[string]string{"templates/a.yaml": link + "../../../etc/passwd"}), []string{"web/templates/a.yaml: leads out of the repository"},
		},
		"link to nowhere": {chart("web", map[string]string{"files/a": link + "nowhere"}), []string{"web/files/a"}},
		"links to itself": {chart("web", map[string]string{"sub/a": link + ".", "sub/b": link + "."}), []string{"web/sub"}},
		"link to itself":  {chart("web", map[string]string{"sub/loop": link + "."}), []string{"does a symbolic link lead in a circle?"}},
		"LFS pointer":     {chart("web", map[string]string{"big.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"}), []string{"web/big.bin: is a Git LFS pointer"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, renderError(t, request(test.files)), test.want...)
		})
	}
}

func TestLinksInBounds(t *testing.T) {
	files := join(chart("web", map[string]string{
		"templates/a.yaml": link + "../../shared/a.yaml",
		"files":            link + "../shared/files",
		".git/broken":      link + "nowhere",
		".helmignore":      ".git/\n",
	}), map[string]string{
		"shared/a.yaml":       configMap("a", `{{ .Files.Get "files/x" }}`),
		"shared/files/x":      "linked",
		"shared/files/y":      "unread",
		"elsewhere/unrelated": "",
	})
	result := render(t, request(files))
	if got := value(t, result, "a"); got != "linked" {
		t.Errorf("got %q, want linked", got)
	}
	for name, test := range map[string]struct {
		edit func(map[string]string)
		want bool
	}{
		"nothing":                  {func(map[string]string) {}, true},
		"a file elsewhere":         {func(f map[string]string) { f["elsewhere/unrelated"] = "x" }, true},
		"a file that is ignored":   {func(f map[string]string) { f["web/.git/HEAD"] = "x" }, true},
		"a template behind a link": {func(f map[string]string) { f["shared/a.yaml"] += "\n" }, false},
		"a file behind a link":     {func(f map[string]string) { f["shared/files/x"] = "x" }, false},
		"a new file":               {func(f map[string]string) { f["shared/files/z"] = "x" }, false},
		"a new template":           {func(f map[string]string) { f["web/templates/b.yaml"] = "x" }, false},
		"the ignore file":          {func(f map[string]string) { f["web/.helmignore"] += "x" }, false},
	} {
		edited := maps.Clone(files)
		test.edit(edited)
		if got := tree(edited).Same(result.Inputs); got != test.want {
			t.Errorf("changing %s: the inputs are the same: %t, want %t", name, got, test.want)
		}
	}
}

func TestHooks(t *testing.T) {
	hook := func(name, events string) string {
		return "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: " + name + "\n  annotations: {helm.sh/hook: '" + events + "'}\n"
	}
	files := chart("web", map[string]string{
		"templates/a.yaml":          configMap("a", "x"),
		"templates/tests/test.yaml": hook("connect", "test-success") + "---\n" + hook("other", "test"),
		"templates/crd.yaml":        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x, annotations: {helm.sh/hook: crd-install}}\n",
	})
	if got, want := ids(render(t, request(files)).Objects), []string{"ConfigMap a", "CustomResourceDefinition.apiextensions.k8s.io x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: tests dropped, the CRD kept", got, want)
	}

	files["web/templates/migrate.yaml"] = hook("migrate", "pre-install, pre-upgrade")
	files["web/templates/mixed.yaml"] = hook("mixed", "test,post-install")
	r := request(files)
	r.Options.Hooks = helm.HooksRefuse
	wantError(t, renderError(t, r), "Job.batch migrate in web/templates/migrate.yaml (pre-install, pre-upgrade)", "Job.batch mixed in web/templates/mixed.yaml", "hooks: skip")

	r.Options.Hooks = helm.HooksSkip
	result := render(t, r)
	if got, want := ids(result.Objects), []string{"ConfigMap a", "CustomResourceDefinition.apiextensions.k8s.io x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(result.Warnings) != 2 || !strings.Contains(result.Warnings[0], "Job.batch migrate in web/templates/migrate.yaml") {
		t.Errorf("got warnings %q, want one for each hook", result.Warnings)
	}

	r.Options.Hooks = "run"
	wantError(t, renderError(t, r), `hooks: "run" is not known`)
}

func TestVarying(t *testing.T) {
	files := chart("web", map[string]string{
		"templates/secret.yaml": `{{ $ca := genCA "ca" 10 }}
apiVersion: v1
kind: Secret
metadata:
  name: s
  annotations: {"example.com/made~at": {{ now | quote }}, same: {{ now | typeOf | quote }} }
data:
  tls.crt: {{ $ca.Cert | b64enc }}
  user: {{ "admin" | b64enc }}
stringData:
  password: {{ randAlphaNum 20 }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {keys: '{{ keys (dict "b" 1 "a" 2 "c" 3) | join "," }}', values: '{{ values (dict "b" 1 "a" 2 "c" 3) | join "," }}', day: '{{ now | date "2006-01-02" }}'}
list: [{a: 1}, {a: {{ randInt 1 1000000000 }} }]
other: [1{{ if lt 1980 (now | date "2006" | int) }}, 2{{ end }}]
`,
	})
	result := render(t, request(files))
	secret := object.ID{Kind: "Secret", Name: "s"}
	if got, want := result.Varying[secret], []string{"/data/tls.crt", "/metadata/annotations/example.com~1made~0at", "/stringData/password"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := result.Varying[object.ID{Kind: "ConfigMap", Name: "c"}], []string{"/data/day", "/list/1/a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	files["web/templates/secret.yaml"] = configMap("a-{{ randAlphaNum 8 | lower }}", "x")
	wantError(t, renderError(t, request(files)), "ConfigMap a-", "web/templates/secret.yaml", "two renders")
}

func TestTemplatesDoNotSeeEachOthersRuns(t *testing.T) {
	files := chart("web", map[string]string{
		"values.yaml":      "deep: {list: [{num: 1}]}\n",
		"templates/a.yaml": `{{ $_ := set .Values "count" (add1 (.Values.count | default 0)) }}{{ $_ := set (first .Values.deep.list) "num" (add1 (first .Values.deep.list).num) }}` + configMap("a", `'{{ .Values.count }} {{ (first .Values.deep.list).num }}'`),
	})
	r := request(files)
	r.Options.Values = map[string]any{"set": map[string]any{"by": "the app"}}
	result := render(t, r)
	if got := value(t, result, "a"); got != "1 2" || len(result.Varying) > 0 {
		t.Errorf("got %q and varying %v, want 1 2 and nothing", got, result.Varying)
	}
	if got := r.Options.Values; len(got) != 1 {
		t.Errorf("the render edited the app's values: %v", got)
	}
}

func TestSameBytes(t *testing.T) {
	files := join(chart("web", map[string]string{
		"templates/a.yaml": configMap("a", `{{ range $k, $v := .Subcharts }}{{ $k }} {{ end }}{{ keys .Values | join "," }}`),
	}), chart("web/charts/one", map[string]string{"templates/a.yaml": configMap("one", "x"), "crds/a.yaml": configMap("crd-one", "x")}),
		chart("web/charts/two", map[string]string{"templates/a.yaml": configMap("two", "x"), "crds/a.yaml": configMap("crd-two", "x")}),
		chart("web/charts/three", map[string]string{"templates/a.yaml": configMap("three", "x"), "crds/a.yaml": configMap("crd-three", "x")}))
	var first []byte
	for range 20 {
		var all []byte
		for _, o := range render(t, request(files)).Objects {
			data, err := o.JSON()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, data...)
		}
		if first == nil {
			first = all
		}
		if !bytes.Equal(first, all) {
			t.Fatalf("got\n%s\nand\n%s", first, all)
		}
	}
}
