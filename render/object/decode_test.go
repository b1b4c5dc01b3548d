package object_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/object"
)

const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"

func TestDecode(t *testing.T) {
	named := func(name string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
	}
	tests := []struct {
		name string
		in   string
		want []string // ID and origin
	}{
		{"empty", "", nil},
		{"only comments", "# nothing\n---\n# here\n", nil},
		{"one", named("a"), []string{"ConfigMap a f.yaml"}},
		{"one after its marker", "---\n" + named("a"), []string{"ConfigMap a f.yaml"}},
		{"empty documents count", named("a") + "---\n---\n# c\n---\n" + named("b"), []string{"ConfigMap a f.yaml (document 1)", "ConfigMap b f.yaml (document 4)"}},
		{"byte order mark", "\xef\xbb\xbf" + named("a"), []string{"ConfigMap a f.yaml"}},
		{"carriage returns", "apiVersion: v1\r\nkind: ConfigMap\r\nmetadata:\r\n  name: a\r\n---\r\n" + named("b"), []string{"ConfigMap a f.yaml (document 1)", "ConfigMap b f.yaml (document 2)"}},
		{"separator in a block scalar", head + "data:\n  x: |\n    a\n    ---\n    b\n", []string{"ConfigMap a f.yaml"}},
		{"separator in a quoted string", head + "data:\n  x: \"a\n\n    --- b\"\n", []string{"ConfigMap a f.yaml"}},
		{
			"JSON stream", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"b","namespace":"n"}}`,
			[]string{"ConfigMap a f.yaml (document 1)", "Deployment.apps n/b f.yaml (document 2)"},
		},
		{
			"JSON documents in YAML", "{\"apiVersion\":\"v1\",\n\t\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n---\n" + named("b"),
			[]string{"ConfigMap a f.yaml (document 1)", "ConfigMap b f.yaml (document 2)"},
		},
		{"YAML flow mapping", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", []string{"ConfigMap a f.yaml"}},
		{
			"List", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n",
			[]string{"ConfigMap a f.yaml", "Secret b f.yaml"},
		},
		{"List in a List", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n", []string{"ConfigMap a f.yaml"}},
		{"typed list, typed items", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleList\nitems:\n- {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a, namespace: ns}}\n", []string{"Role.rbac.authorization.k8s.io ns/a f.yaml"}},
		{"typed list, bare items", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleList\nitems:\n- {metadata: {name: a}}\n", []string{"Role.rbac.authorization.k8s.io a f.yaml"}},
		{"empty list", "apiVersion: v1\nkind: ConfigMapList\nitems: []\n", nil},
		{"a kind that only sounds like a list", "apiVersion: x.dev/v1\nkind: AllowList\nmetadata: {name: a}\nspec: {}\n", []string{"AllowList.x.dev a f.yaml"}},
		{"a named kind with items", "apiVersion: x.dev/v1\nkind: AllowList\nmetadata: {name: a}\nitems: [{x: 1}]\n", []string{"AllowList.x.dev a f.yaml"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			objects, err := object.Decode("f.yaml", []byte(test.in))
			if err != nil {
				t.Fatalf("Decode(%q): %v", test.in, err)
			}
			var got []string
			for _, o := range objects {
				got = append(got, fmt.Sprintf("%s %s", o.ID, o.Origin))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Decode(%q) (-want +got):\n%s", test.in, diff)
			}
		})
	}
}

func TestDecodeValues(t *testing.T) {
	in := head + `data:
  yes: yes
  no: "no"
  octal: 0755
  newOctal: 0o17
  float: 1.5
  whole: 1.0
  exponent: 1e3
  big: 9007199254740993
  bigger: 12345678901234567890
  date: 2001-01-01
  tilde: ~
  1: one
  merged: {<<: &base {a: 1, b: 2}, b: 3}
  multi: |
    x
`
	objects, err := object.Decode("f.yaml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"true": true, "false": "no", "octal": int64(493), "newOctal": int64(15), "float": 1.5, "whole": int64(1), "exponent": int64(1000),
		"big": int64(9007199254740993), "bigger": float64(12345678901234567890), "date": "2001-01-01", "tilde": nil, "1": "one",
		"merged": map[string]any{"a": int64(1), "b": int64(3)}, "multi": "x\n",
	}
	if diff := cmp.Diff(want, objects[0].Content()["data"]); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct {
		name      string
		file      string
		in        string
		want      []string
		notObject bool
	}{
		{"UTF-16", "f.yaml", "\xff\xfek\x00i\x00", []string{"f.yaml: is UTF-16"}, false},
		{"UTF-16 without mark", "f.yaml", "k\x00i\x00", []string{"f.yaml: holds a NUL byte"}, false},
		{"Latin-1", "f.yaml", "a: b\nc: \xe9\n", []string{"f.yaml: line 2: is not UTF-8"}, false},
		{"syntax", "f.yaml", "a: b\nc: d: e\n", []string{"f.yaml: line 2: mapping values"}, false},
		{"template", "f.yaml", "a: {{ .Password }}\n", []string{"is this a template?"}, false},
		{"duplicate key", "f.yaml", head + "data:\n  a: 1\n  a: 2\n", []string{`f.yaml: line 6: key "a"`}, false},
		{"duplicate key beside a merge", "f.yaml", head + "data:\n  <<: {b: 1}\n  a: 1\n  a: 2\n", []string{`key "a"`}, false},
		{"keys that become one", "f.yaml", head + "data:\n  1: a\n  \"1\": b\n", []string{`f.yaml: key "1" is given twice`}, false},
		{"null key", "f.yaml", head + "data:\n  null: a\n", []string{"f.yaml: holds a mapping with a null key"}, false},
		{"not a number", "f.yaml", head + "data:\n  a: .nan\n", []string{"f.yaml: holds a number"}, false},
		{"wrong tag keeps the value secret", "f.yaml", head + "data:\n  a: !!int hunter2\n", []string{"f.yaml: "}, false},
		{"scalar", "f.yaml", "hello\n", []string{"f.yaml: not a Kubernetes object: it is a string"}, true},
		{"sequence", "f.json", "[1]", []string{"f.json: not a Kubernetes object: it is a list"}, true},
		{"no kind", "f.yaml", head + "---\napiVersion: v1\n", []string{"f.yaml (document 2): not a Kubernetes object: kind is missing"}, true},
		{"all errors at once", "f.yaml", "a: 1\n---\nb: 1\n---\n" + head, []string{"f.yaml (document 1): ", "f.yaml (document 2): "}, true},
		{"no name", "f.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", []string{"f.yaml: ConfigMap: metadata.name is missing"}, false},
		{"generated name", "f.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}\n", []string{"f.yaml: Job: metadata.generateName"}, false},
		{"null items", "f.yaml", "apiVersion: v1\nkind: ConfigMapList\nitems:\n---\n" + head, []string{"f.yaml (document 1): ConfigMapList: items is null"}, false},
		{"no items", "f.yaml", "apiVersion: v1\nkind: List\n", []string{"f.yaml: List: items is null"}, false},
		{"items of a wrong type", "f.yaml", "apiVersion: v1\nkind: List\nitems: {}\n", []string{"f.yaml: List: items is a mapping"}, false},
		{"odd item", "f.yaml", "apiVersion: v1\nkind: List\nitems: [1, {apiVersion: v1}]\n", []string{"f.yaml: List: item 1: ", "f.yaml: List: item 2: not a Kubernetes object: kind"}, true},
		{"broken JSON", "f.json", "{\n\"a\": ]", []string{"f.json: line 2: "}, false},
		{"half of JSON", "f.json", "{\"a\": 1", []string{"f.json: line 1: unexpected EOF"}, false},
		{"duplicate key in JSON", "f.yaml", "{\"a\": 1,\n\"a\": 2}", []string{`f.yaml: line 2: key "a" is given twice`}, false},
		{"huge number in JSON", "f.json", `{"a": 1e999}`, []string{"f.json: line 1: holds a number that is too large"}, false},
		{"deep JSON", "f.json", strings.Repeat("[", 20_000), []string{"f.json: line 1: is nested more than 10000 deep"}, false},
		{"deep YAML", "f.yaml", strings.Repeat("- ", 20_000), []string{"f.yaml: "}, false},
		{"alias bomb", "f.yaml", bomb(), []string{"f.yaml: document contains excessive aliasing"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := object.Decode(test.file, []byte(test.in))
			if err == nil {
				t.Fatalf("Decode(%.80q): no error", test.in)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			for _, secret := range []string{"hunter2", "Password"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q repeats the value %q", err, secret)
				}
			}
			if got := errors.Is(err, object.ErrNotObject); got != test.notObject {
				t.Errorf("errors.Is(%q, ErrNotObject) = %t, want %t", err, got, test.notObject)
			}
		})
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

// What can be read is given beside the error, for callers that show more than
// one trouble at a time.
func TestDecodeGivesObjectsBesideErrors(t *testing.T) {
	objects, err := object.Decode("f.yaml", []byte(head+"---\na: 1\n"))
	if err == nil || len(objects) != 1 {
		t.Errorf("got %d objects and error %v, want 1 and an error", len(objects), err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{head, "---\n---\n" + head, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`, "apiVersion: v1\nkind: List\nitems: [{}]\n", "{a: &a {<<: *a}}", "\xff\xfe"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, _ := object.Decode("f.yaml", data)
		for _, o := range objects {
			first, err := o.JSON()
			if err != nil {
				t.Fatalf("Decode(%q) gives an object that is no JSON: %v", data, err)
			}
			again, err := object.Decode("f.json", first)
			if err != nil || len(again) != 1 {
				t.Fatalf("Decode(%q) gives %s, which is read as %d objects: %v", data, first, len(again), err)
			}
			second, _ := again[0].JSON()
			if string(first) != string(second) {
				t.Fatalf("Decode(%q) gives %s, which is read as %s", data, first, second)
			}
		}
	})
}

func TestDecodeTemplateLetsTheLastOfTwoKeysWin(t *testing.T) {
	t.Parallel()
	const text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  key: first\n  key: last\n"
	if _, err := object.Decode("cm.yaml", []byte(text)); err == nil {
		t.Error("Decode took a key that occurs twice")
	}
	objects, err := object.DecodeTemplate("cm.yaml", []byte(text))
	if err != nil || len(objects) != 1 {
		t.Fatalf("DecodeTemplate = %v, %v; want one object", objects, err)
	}
	data, _ := objects[0].Content()["data"].(map[string]any)
	if data["key"] != "last" {
		t.Errorf("data.key = %v, want last", data["key"])
	}
}
