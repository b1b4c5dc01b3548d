package helm_test

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"

	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/object"
)

// byHelm renders a chart with Helm's own engine, as "helm template" does.
func byHelm(t *testing.T, files map[string]string, r helm.Request) []object.Object {
	t.Helper()
	var buffered []*archive.BufferedFile
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if rest, ok := strings.CutPrefix(name, r.Path+"/"); ok {
			buffered = append(buffered, &archive.BufferedFile{Name: rest, Data: []byte(files[name])})
		}
	}
	c, err := loader.LoadFiles(buffered)
	if err != nil {
		t.Fatal(err)
	}
	values := r.Options.Values
	if values == nil {
		values = map[string]any{}
	}
	if err := chartutil.ProcessDependencies(c, values); err != nil {
		t.Fatal(err)
	}
	version, err := common.ParseKubeVersion(r.Options.KubeVersion)
	if err != nil {
		t.Fatal(err)
	}
	capabilities := common.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	release := common.ReleaseOptions{Name: r.Release, Namespace: r.Namespace, Revision: 1, IsInstall: true}
	top, err := commonutil.ToRenderValues(c, values, release, capabilities)
	if err != nil {
		t.Fatal(err)
	}
	written, err := engine.Render(c, top)
	if err != nil {
		t.Fatal(err)
	}
	var objects []object.Object
	for _, crd := range c.CRDObjects() {
		written[crd.Filename] = string(crd.File.Data)
	}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		if path.Base(name) == "NOTES.txt" {
			continue
		}
		found, err := object.Decode(name, []byte(written[name]))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range found {
			if !strings.HasPrefix(o.Annotation("helm.sh/hook"), "test") {
				objects = append(objects, o)
			}
		}
	}
	return objects
}

func contents(t *testing.T, objects []object.Object) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, o := range objects {
		data, err := o.JSON()
		if err != nil {
			t.Fatal(err)
		}
		all[o.Origin.String()+" "+o.ID.String()] = string(data)
	}
	return all
}

// compareWithHelm holds what this package renders against what Helm renders.
func compareWithHelm(t *testing.T, files map[string]string, r helm.Request) {
	t.Helper()
	got, want := contents(t, render(t, r).Objects), contents(t, byHelm(t, files, r))
	if len(want) == 0 {
		t.Fatal("Helm rendered nothing")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("this package differs from Helm (-Helm +this):\n%s", diff)
	}
}

func TestFunctionsAreHelms(t *testing.T) {
	for name, text := range map[string]string{
		"yaml":            `{{ toYaml .Values.deep | b64enc }}`,
		"yaml must":       `{{ mustToYaml .Values.deep | b64enc }}`,
		"yaml pretty":     `{{ toYamlPretty .Values.deep | b64enc }}`,
		"yaml of nothing": `{{ toYaml .Values.absent | b64enc }}`,
		"from yaml":       `{{ fromYaml "a: {b: [1, 2.5, x, null]}" | toJson | b64enc }}`,
		"from bad yaml":   `{{ fromYaml "- a" | toJson | b64enc }}`,
		"from yaml array": `{{ fromYamlArray "[1, {a: b}]" | toJson | b64enc }}`,
		"from bad array":  `{{ fromYamlArray "a: b" | toJson | b64enc }}`,
		"json":            `{{ toJson .Values.deep | b64enc }}{{ mustToJson .Values | b64enc }}`,
		"json escapes":    `{{ toJson "<&>" | b64enc }}{{ toRawJson "<&>" | b64enc }}{{ toPrettyJson .Values.deep | b64enc }}`,
		"from json":       `{{ fromJson "{\"a\":[1,1e9]}" | toYaml | b64enc }}{{ fromJson "[" | toYaml | b64enc }}`,
		"from json array": `{{ fromJsonArray "[1]" | toYaml | b64enc }}{{ fromJsonArray "{}" | toYaml | b64enc }}`,
		"toml":            `{{ toToml .Values.deep | b64enc }}{{ mustToToml .Values.deep | b64enc }}{{ fromToml "a = 1\n[b]\nc = 'd'" | toYaml | b64enc }}`,
		"bad toml":        `{{ toToml (dict "a" nil) | b64enc }}{{ fromToml "=" | toYaml | b64enc }}`,
		"json of nothing": `{{ toJson .Values.absent | b64enc }}`,
		"required":        `{{ required "is missing" .Values.name }}{{ required "is missing" 0 }}{{ required "is missing" false }}`,
		"lookup":          `{{ lookup "v1" "Secret" "a" "b" | toJson | b64enc }}{{ (lookup "v1" "Secret" "a" "b").data }}`,
		"no DNS":          `{{ getHostByName "localhost" | quote | b64enc }}`,
		"numbers":         `{{ until 3 }}{{ until -3 }}{{ until 0 }}{{ untilStep 0 10 3 }}{{ untilStep 3 -3 -2 }}{{ untilStep 3 0 1 }}{{ untilStep 0 3 0 }}{{ seq 3 }}{{ seq 5 -2 0 }}`,
		"repeat":          `{{ repeat 3 "ab" }}{{ repeat 0 "ab" }}`,
		"big numbers":     `{{ .Values.big }} {{ .Values.big | int64 }} {{ .Values.half }}`,
		"durations": `{{ mustToDuration "90s" }}{{ durationSeconds "2m" }}{{ durationMilliseconds 3 }}{{ durationMicroseconds 1.5 }}{{ durationNanoseconds "7" }}` +
			`{{ durationMinutes "1h" }}{{ durationHours "36h" }}{{ durationDays "36h" }}{{ durationWeeks "168h" }}{{ durationSeconds "nonsense" }}{{ durationRoundTo "97s" "1m" }}{{ durationTruncateTo "97s" "1m" }}{{ durationRoundTo "97s" "x" }}`,
		"dates":        `{{ toDate "2006-01-02" "2020-02-03" | date "02.01.2006" }}{{ date "2006" 86400 }}{{ dateInZone "15:04" 86400 "UTC" }}{{ htmlDate 0 }}{{ htmlDateInZone 0 "UTC" }}{{ toDate "2006" "x" | unixEpoch }}{{ (mustToDate "2006" "2021").Year }}{{ date_in_zone "15:04" 86400 "Nowhere/None" }}`,
		"sprig":        `{{ list 1 2 3 | join "-" }}{{ dict "a" (list 1 2) | toJson | b64enc }}{{ "a,b" | splitList "," | last }}{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }}{{ semverCompare "^1.2.0" "1.3.0" }}{{ "x" | sha256sum | trunc 8 }}{{ ternary "y" "n" true }}{{ merge (dict "a" 1) (dict "b" 2) | toJson | b64enc }}`,
		"include":      `{{ include "web.name" . }}{{ include "sub.name" . }}{{ include "shared" . }}`,
		"include file": `{{ include (print .Template.BasePath "/other.yaml") . | sha256sum }}`,
		"template":     `{{ template "web.name" . }}`,
		"tpl":          `{{ tpl .Values.text . }}{{ tpl "plain" . }}{{ tpl "{{ define \"inner\" }}in{{ end }}{{ include \"inner\" . }}{{ tpl \"{{ include \\\"inner\\\" . }}\" . }}" . }}`,
		"tpl no value": `{{ tpl "[{{ .Values.absent }}]" . | b64enc }}{{ tpl "<no value>" . | quote | b64enc }}`,
		"no value":     `x{{ .Values.absent }}x`,
		"files":        `{{ .Files.Get "files/a.txt" | b64enc }}{{ .Files.Get "absent" }}{{ .Files.GetBytes "files/a.txt" | len }}{{ .Files.Lines "files/a.txt" | toJson | b64enc }}{{ (.Files.Glob "files/*").AsConfig | b64enc }}{{ (.Files.Glob "**.txt").AsSecrets | b64enc }}{{ range $n, $_ := .Files.Glob "files/**" }}{{ $n }}{{ end }}{{ (.Files.Glob "[").AsConfig | b64enc }}`,
		"scope":        `{{ .Chart.Name }}{{ .Chart.Version }}{{ .Chart.IsRoot }}{{ .Chart.Type }}{{ .Chart.AppVersion }}{{ .Subcharts.sub.Values.own }}{{ .Subcharts.sub.Chart.Name }}{{ .Values.sub.own }}`,
		"types":        `{{ typeOf .Values }}{{ kindOf .Values.deep }}{{ typeOf .Values.big }}{{ kindIs "map" .Values }}{{ typeOf .Values.sub }}{{ typeOf .Release }}{{ typeOf .Files | b64enc | len | lt 0 }}`,
	} {
		t.Run(name, func(t *testing.T) {
			files := join(chart("web", map[string]string{
				"values.yaml":          "name: n\nbig: 12345678\nhalf: 0.5\ntext: '{{ .Values.name }}-{{ include \"web.name\" . }}'\ndeep: {z: [1, {y: x}], a: 'b: c', n: 3, t: true}\nsub: {own: fromparent}\n",
				"templates/_a.tpl":     `{{ define "web.name" }}{{ .Chart.Name }}{{ end }}{{ define "shared" }}parent{{ end }}`,
				"templates/a.yaml":     configMap("a", `"`+text+`"`),
				"templates/other.yaml": configMap("other", `{{ .Release.Name }}`),
				"files/a.txt":          "one\ntwo\n",
				"files/b/c.txt":        "deep",
			}), chart("web/charts/sub", map[string]string{
				"values.yaml":      "own: default\nglobal: {g: 1}\n",
				"templates/_a.tpl": `{{ define "sub.name" }}{{ .Values.own }}{{ end }}{{ define "shared" }}sub{{ end }}`,
				"templates/a.yaml": configMap("sub", `"{{ .Values.own }} {{ .Chart.Name }} {{ .Chart.IsRoot }} {{ include "shared" . }} {{ .Template.Name }} {{ .Values.global.g }}"`),
			}), chart("web/charts/lib", map[string]string{
				"Chart.yaml":       "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n",
				"templates/a.yaml": `{{ fail "a library gives partials only" }}`,
			}))
			compareWithHelm(t, files, request(files))
		})
	}
}
