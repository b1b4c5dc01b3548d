package helm_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/render/helm"
)

func TestTemplatesAreBounded(t *testing.T) {
	for name, test := range map[string]struct {
		template string
		want     string
	}{
		"include of itself": {`{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`, "deep in each other"},
		"includes of each other": {
			`{{ define "a" }}{{ include "b" . }}{{ end }}{{ define "b" }}{{ include "c" . }}{{ end }}{{ define "c" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`, "deep in each other",
		},
		"tpl of itself":         {`{{ tpl .Values.itself . }}`, "deep in each other"},
		"tpl through a define":  {`{{ define "a" }}{{ tpl "{{ include \"a\" . }}" . }}{{ end }}{{ include "a" . }}`, "deep in each other"},
		"template of itself":    {`{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`, "exceeded maximum template depth"},
		"both":                  {`{{ define "a" }}{{ if lt .n 50000 }}{{ template "a" (dict "n" (add1 .n)) }}{{ else }}{{ include "a" (dict "n" 0) }}{{ end }}{{ end }}{{ include "a" (dict "n" 0) }}`, "deep in each other"},
		"output":                {`{{ range until 1000 }}{{ repeat 1000000 "x" }}{{ end }}`, "write more than 128 MiB"},
		"output within":         {`{{ define "a" }}{{ range until 1000 }}{{ repeat 1000000 "x" }}{{ end }}{{ end }}{{ $x := include "a" . }}`, "write more than 128 MiB"},
		"one function's output": {`{{ repeat 1000000000000 "x" }}`, "gives more than 128 MiB"},
		"numbers":               {`{{ until 1000000000000 }}`, "gives more than 1000000 numbers"},
		"panic":                 {`{{ repeat -1 "x" }}`, "negative Repeat count"},
		"own message":           {`{{ define "a" }}{{ fail "boom: it is your fault" }}{{ end }}{{ include "a" . }}`, "web/templates/a.yaml:1"},
		"required":              {`{{ required "set the name" .Values.absent }}`, "set the name"},
	} {
		t.Run(name, func(t *testing.T) {
			err := renderError(t, request(chart("web", map[string]string{
				"values.yaml": "itself: '{{ tpl .Values.itself . }}'\n", "templates/a.yaml": test.template,
			})))
			wantError(t, err, "web/templates/a.yaml", test.want)
			if len(err.Error()) > 3000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestMessageOfFail(t *testing.T) {
	err := renderError(t, request(chart("web", map[string]string{
		"templates/_a.tpl": "\n" + `{{ define "a" }}{{ fail "boom: it is your fault" }}{{ end }}`,
		"templates/a.yaml": "{{ include \"a\" . }}\n",
	})))
	if got, want := err.Error(), "web/templates/a.yaml:1:3: web/templates/_a.tpl:2:19: boom: it is your fault"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTemplatesAreStopped(t *testing.T) {
	r := request(chart("web", map[string]string{
		"templates/a.yaml": `{{ range until 1000000 }}{{ range until 1000000 }}x{{ end }}{{ end }}`,
	}))
	r.Timeout = 50 * time.Millisecond
	began := time.Now()
	err := renderError(t, r)
	wantError(t, err, "the templates take too long", "50ms")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := renderErrorIn(ctx, t, r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestTemplatesSeeNothingOfTheMachine(t *testing.T) {
	t.Setenv("TIDEMARK_TEST_SECRET", "hunter2")
	for _, function := range []string{`env "TIDEMARK_TEST_SECRET"`, `expandenv "$TIDEMARK_TEST_SECRET"`} {
		wantError(t, renderError(t, request(chart("web", map[string]string{"templates/a.yaml": "{{ " + function + " }}"}))), "function", "not defined")
	}
	host, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Skip("this machine has no /etc/passwd")
	}
	files := chart("web", map[string]string{
		"templates/a.yaml": configMap("a", `{{ .Files.Get "/etc/passwd" | quote }}{{ .Files.Get "../../../../etc/passwd" | quote }}{{ .Files.Get "../outside" | quote }}{{ range $n, $d := .Files.Glob "/etc/*" }}{{ $n }}{{ end }}`),
	})
	files["outside"] = "outside the chart"
	files["web/templates/a.yaml"] = strings.ReplaceAll(files["web/templates/a.yaml"], "v: ", "v: >-\n    ")
	got := value(t, render(t, request(files)), "a")
	if strings.Contains(got, string(host[:10])) || strings.Contains(got, "outside the chart") {
		t.Errorf("a template read %q", got)
	}
}

func TestArchiveBombs(t *testing.T) {
	big := strings.Repeat("\x00", 110<<20)
	many := map[string]string{"sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n"}
	for _, a := range "abcdefghijklmnopqrstuvwxyz" {
		for _, b := range "abcdefghijklmnopqrstuvwxyz" {
			for _, c := range "abcdefghijklmnopqrstuvwxyz0123456789" {
				many["sub/files/"+string([]rune{a, b, c})] = ""
			}
		}
	}
	half := pack(t, map[string]string{"x/Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\n", "x/big": big[:60<<20]})
	deep := pack(t, map[string]string{"x/Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\n"})
	for range 40 {
		deep = pack(t, map[string]string{"x/Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\n", "x/charts/x.tgz": string(deep)})
	}
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"one large file":        {map[string]string{"web/charts/sub.tgz": string(pack(t, map[string]string{"sub/big": big}))}, "larger than 100 MiB"},
		"many files":            {map[string]string{"web/charts/sub.tgz": string(pack(t, many))}, "20000 files"},
		"two within the limit":  {map[string]string{"web/charts/a.tgz": string(half), "web/charts/b.tgz": string(half)}, "larger than 100 MiB"},
		"archives in archives":  {map[string]string{"web/charts/x.tgz": string(deep)}, "archives in each other"},
		"out of the folder":     {map[string]string{"web/charts/a.tgz": string(pack(t, map[string]string{"a/../../b": "x"}))}, "is not in the chart's folder"},
		"absolute":              {map[string]string{"web/charts/a.tgz": string(pack(t, map[string]string{"a//etc/passwd": "x"}))}, "is not in the chart's folder"},
		"no archive":            {map[string]string{"web/charts/a.tgz": "x"}, "web: charts/a.tgz: not a packaged chart"},
		"archive without chart": {map[string]string{"web/charts/a.tgz": string(pack(t, map[string]string{"a/b": "x"}))}, "Chart.yaml file is missing"},
		"large file in the tree": {
			map[string]string{"web/big": big}, "web/big: the chart is larger than 100 MiB",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, renderError(t, request(join(chart("web", nil), test.files))), test.want)
		})
	}
}

func TestPackedSubcharts(t *testing.T) {
	inner := pack(t, map[string]string{"inner/Chart.yaml": "apiVersion: v2\nname: inner\nversion: 1.0.0\n", "inner/templates/a.yaml": configMap("inner", "{{ .Values.global.g }}")})
	packed := func(version string) string {
		return string(pack(t, map[string]string{
			"sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: " + version + "\n", "sub/templates/a.yaml": configMap("sub-"+version, "{{ .Chart.Version }}"),
			"sub/charts/inner-1.0.0.tgz": string(inner),
		}))
	}
	files := join(chart("web", map[string]string{"values.yaml": "global: {g: shared}\n"}), map[string]string{
		"web/Chart.yaml":                "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: sub, version: ^1.0.0, repository: ''}]\n",
		"web/charts/sub-1.0.0.tgz":      packed("1.0.0"),
		"web/charts/sub-1.0.0.tgz.prov": "signature",
		"web/charts/_ignored.tgz":       "not a chart",
	})
	result := render(t, request(files))
	if got := value(t, result, "inner"); got != "shared" {
		t.Errorf("got %q, want shared", got)
	}
	if got := value(t, result, "sub-1.0.0"); got != "1.0.0" {
		t.Errorf("got %q, want 1.0.0", got)
	}
	compareWithHelm(t, files, request(files))
}

func FuzzRender(f *testing.F) {
	f.Add("apiVersion: v2\nname: web\nversion: 1.0.0\n", "a: {{ .Values.a }}", "a: 1\n", "{}")
	f.Add("apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: a}]\n", "{{ tpl .Values.a . }}", "a: '{{ .Values }}'\n", `{"type": "object"}`)
	f.Fuzz(func(t *testing.T, metadata, template, values, schema string) {
		r := helm.Request{
			Tree: tree(map[string]string{
				"web/Chart.yaml": metadata, "web/templates/a.yaml": template, "web/values.yaml": values, "web/values.schema.json": schema,
			}),
			Path: "web", Release: "shop", Namespace: "prod", Options: helm.Options{KubeVersion: "1.33"}, Timeout: time.Second,
		}
		_, _ = helm.Render(t.Context(), r)
	})
}
