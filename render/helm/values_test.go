package helm_test

import (
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/source"
)

// printed is a template that shows all values as JSON.
var printed = map[string]string{"templates/a.yaml": configMap("a", `{{ toJson .Values | squote }}`)}

func TestValues(t *testing.T) {
	defaults := "a: chart\nb: chart\nc: {k: chart, l: chart, m: chart}\nd: [1, 2]\ne: chart\n"
	for name, test := range map[string]struct {
		files   map[string]string
		options helm.Options
		want    string
	}{
		"of the chart": {nil, helm.Options{}, `{"a":"chart","b":"chart","c":{"k":"chart","l":"chart","m":"chart"},"d":[1,2],"e":"chart"}`},
		"files in order, then inline": {
			map[string]string{"web/one.yaml": "a: one\nb: one\nc: {k: one}\n", "web/two.yaml": "b: two\nd: []\n"},
			helm.Options{ValueFiles: []string{"one.yaml", "./two.yaml"}, Values: map[string]any{"e": "inline", "c": map[string]any{"l": 3}}},
			`{"a":"one","b":"two","c":{"k":"one","l":3,"m":"chart"},"d":[],"e":"inline"}`,
		},
		"files elsewhere in the repository": {
			map[string]string{"envs/prod.yaml": "a: root\n", "envs/more.yaml": "b: up\n", "web/l.yaml": link + "../envs/linked", "envs/linked": "e: link\n"},
			helm.Options{ValueFiles: []string{"/envs/prod.yaml", "../envs/more.yaml", "l.yaml"}},
			`{"a":"root","b":"up","c":{"k":"chart","l":"chart","m":"chart"},"d":[1,2],"e":"link"}`,
		},
		"null deletes": {
			map[string]string{"web/one.yaml": "a: null\nc: {k: null}\n"},
			helm.Options{ValueFiles: []string{"one.yaml"}, Values: map[string]any{"b": nil, "d": nil, "c": map[string]any{"l": nil}}},
			`{"c":{"m":"chart"},"e":"chart"}`,
		},
		"missing file ignored": {
			nil,
			helm.Options{ValueFiles: []string{"absent.yaml"}, IgnoreMissingValueFiles: true, Values: map[string]any{"a": nil, "b": nil, "c": nil, "d": nil}},
			`{"e":"chart"}`,
		},
		"several documents in a file": {
			map[string]string{"web/one.yaml": "\xef\xbb\xbfa: 1\n---\nb: 2\n"},
			helm.Options{ValueFiles: []string{"one.yaml"}, Values: map[string]any{"c": nil, "d": nil, "e": nil}},
			`{"a":1,"b":2}`,
		},
		"numbers as Helm reads them": {
			nil,
			helm.Options{Values: map[string]any{"a": 12345678, "b": int64(1), "c": nil, "d": nil, "e": 1.5}},
			`{"a":12345678,"b":1,"e":1.5}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := join(chart("web", printed), map[string]string{"web/values.yaml": defaults}, test.files)
			r := request(files)
			test.options.KubeVersion = "1.33"
			r.Options = test.options
			if got := value(t, render(t, r), "a"); got != test.want {
				t.Errorf("got values\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestRefusedValueFiles(t *testing.T) {
	files := join(chart("web", printed), map[string]string{
		"web/list.yaml": "- a\n", "web/bad.yaml": "a: [", "envs/out.yaml": link + "../../out.yaml", "envs/abs.yaml": link + "/etc/passwd",
	})
	for name, want := range map[string]string{
		"absent.yaml":                "web/absent.yaml: file does not exist",
		"../../out.yaml":             "leads out of the repository",
		"/../out.yaml":               "file does not exist",
		"../envs/out.yaml":           "envs/out.yaml: leads out of the repository",
		"/envs/abs.yaml":             "envs/abs.yaml: leads out of the repository",
		"list.yaml":                  "value file web/list.yaml",
		"bad.yaml":                   "value file web/bad.yaml",
		"https://example.com/v.yaml": "is not a path in the repository",
		"":                           "is not a path in the repository",
		"templates":                  "web/templates: is a directory",
	} {
		t.Run(name, func(t *testing.T) {
			r := request(files)
			r.Options.ValueFiles = []string{name}
			wantError(t, renderError(t, r), want)
		})
	}
}

func TestAbsentValueFileIsAnInput(t *testing.T) {
	r := request(chart("web", printed))
	r.Options.ValueFiles, r.Options.IgnoreMissingValueFiles = []string{"absent.yaml"}, true
	if got := render(t, r).Inputs; !slices.Contains(got, source.Entry{Path: "web/absent.yaml"}) {
		t.Errorf("got inputs %v, want the absence of web/absent.yaml among them", got)
	}
}

func TestSubcharts(t *testing.T) {
	subchart := func(name string) map[string]string {
		return chart("web/charts/"+name, map[string]string{
			"values.yaml":      "port: 80\nexports: {defaults: {imported: yes-please}}\nnested: {deep: {v: 1}}\n",
			"templates/a.yaml": configMap(`{{ .Chart.Name }}`, `'{{ .Values.port }} {{ .Values.global.region }}'`),
		})
	}
	files := join(chart("web", map[string]string{
		"values.yaml":      "global: {region: eu}\none: {port: 81, enabled: true}\nother: {port: 84}\ntags: {back: false}\n",
		"templates/a.yaml": configMap("web", `'{{ .Values.imported }} {{ (.Values.taken | default dict).v }}'`),
	}), subchart("one"), subchart("two"), subchart("three"), subchart("undeclared"), map[string]string{
		"web/Chart.yaml": `apiVersion: v2
name: web
version: 1.0.0
dependencies:
- {name: one, version: 1.x, repository: "https://charts.example.com", condition: one.enabled, import-values: [defaults, {child: nested.deep, parent: taken}]}
- {name: two, version: 1.2.3, repository: "", tags: [back], condition: two.enabled}
- {name: three, version: "*", repository: "", alias: other}
`,
	})
	for name, test := range map[string]struct {
		values map[string]any
		want   map[string]string
		absent []string
	}{
		"as the chart says": {
			nil,
			map[string]string{"web": "yes-please 1", "one": "81 eu", "other": "84 eu", "undeclared": "80 eu"},
			[]string{"two", "three"},
		},
		"condition over tag": {
			map[string]any{"two": map[string]any{"enabled": true}, "global": map[string]any{"region": "us"}},
			map[string]string{"web": "yes-please 1", "one": "81 us", "two": "80 us", "other": "84 us"},
			nil,
		},
		"disabled": {
			map[string]any{"one": map[string]any{"enabled": false}, "tags": map[string]any{"back": true}},
			map[string]string{"web": " ", "two": "80 eu"},
			[]string{"one"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(files)
			r.Options.Values = test.values
			result := render(t, r)
			for object, want := range test.want {
				if got := value(t, result, object); got != want {
					t.Errorf("%s: got %q, want %q", object, got, want)
				}
			}
			for _, id := range ids(result.Objects) {
				for _, absent := range test.absent {
					if id == "ConfigMap "+absent {
						t.Errorf("got %s, want none", id)
					}
				}
			}
			if len(result.Warnings) > 0 {
				t.Errorf("got warnings %q, want none", result.Warnings)
			}
			compareWithHelm(t, files, r)
		})
	}
}

func TestSchema(t *testing.T) {
	schema := `{"$schema": "https://json-schema.org/draft-07/schema#", "type": "object", "required": ["name"],
		"properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "port": {"type": "integer"}}}`
	sub := `{"type": "object", "properties": {"mode": {"enum": ["fast", "slow"]}}}`
	files := join(chart("web", map[string]string{
		"values.schema.json": schema, "values.yaml": "name: web\nport: 80\n", "templates/a.yaml": configMap("a", "x"),
	}), chart("web/charts/sub", map[string]string{"values.schema.json": sub, "values.yaml": "mode: fast\n", "templates/a.yaml": configMap("b", "x")}))
	r := request(files)
	render(t, r)
	r.Options.Values = map[string]any{"port": "eighty", "name": "Secret1", "sub": map[string]any{"mode": "other"}}
	err := renderError(t, r)
	wantError(t, err, "web/values.schema.json", "/port: got string, want integer", "/name: does not match pattern", "web/charts/sub/values.schema.json", "/mode: value must be one of")
	if strings.Contains(err.Error(), "Secret1") {
		t.Errorf("the error repeats a value: %v", err)
	}
	r.Options.Values = map[string]any{"name": nil}
	wantError(t, renderError(t, r), "missing property 'name'")
	r.Options.Values = map[string]any{"sub": "text"}
	wantError(t, renderError(t, r), "sub")
	r.Options.SkipSchemaValidation = true
	r.Options.Values = map[string]any{"port": "eighty"}
	render(t, r)
}

func TestSchemaStandsAlone(t *testing.T) {
	for name, test := range map[string]struct{ schema, want string }{
		"another host":          {`{"$ref": "https://example.com/schema.json"}`, "https://example.com/schema.json, which is not fetched"},
		"a file":                {`{"$ref": "file:///etc/hostname"}`, "file:///etc/hostname"},
		"a neighbour":           {`{"properties": {"a": {"$ref": "other.json#/x"}}}`, "other.json"},
		"a name":                {`{"$ref": "urn:example:a"}`, "urn:example:a"},
		"an unknown dialect":    {`{"$schema": "https://example.com/dialect"}`, "https://example.com/dialect"},
		"not JSON":              {`{`, "web/values.schema.json"},
		"not a schema":          {`{"type": 3}`, "web/values.schema.json"},
		"a $ref around in vain": {`{"$ref": "#"}`, "web/values.schema.json"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, renderError(t, request(chart("web", map[string]string{
				"values.schema.json": test.schema, "values.yaml": "a: 1\n", "templates/a.yaml": configMap("a", "x"),
			}))), test.want)
		})
	}
	render(t, request(chart("web", map[string]string{
		"values.schema.json": `{"$id": "https://example.com/web.json", "properties": {"a": {"$ref": "https://example.com/web.json#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}}`,
		"values.yaml":        "a: 1\n", "templates/a.yaml": configMap("a", "x"),
	})))
}
