package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/reconcile/plan"
)

func content(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestDiff(t *testing.T) {
	t.Parallel()
	type d = plan.FieldDiff
	for _, c := range []struct {
		name, old, now string
		mask           bool
		ignore         []string
		want           []d
	}{
		{name: "nothing", old: "{data: {a: x}}", now: "{data: {a: x}}"},
		{name: "changed", old: "{data: {a: x}}", now: "{data: {a: z}}", want: []d{{Path: "data.a", Old: "x", New: "z"}}},
		{name: "added and removed", old: "{data: {a: x}}", now: "{data: {b: z}}", want: []d{{Path: "data.a", Old: "x"}, {Path: "data.b", New: "z"}}},
		{name: "sorted", old: "{}", now: "{c: 1, a: 1, b: 1}", want: []d{{Path: "a", New: 1.0}, {Path: "b", New: 1.0}, {Path: "c", New: 1.0}}},
		{name: "type", old: "{data: {a: '1'}}", now: "{data: {a: 1}}", want: []d{{Path: "data.a", Old: "1", New: 1.0}}},
		{name: "mapping to list", old: "{a: {b: c}}", now: "{a: [c]}", want: []d{{Path: "a", Old: map[string]any{"b": "c"}, New: []any{"c"}}}},

		{name: "null is absent", old: "{a: null}", now: "{}"},
		{name: "empty is not absent", old: "{}", now: "{emptyDir: {}}", want: []d{{Path: "emptyDir", New: map[string]any{}}}},
		{name: "an empty list is not absent", old: "{a: []}", now: "{}", want: []d{{Path: "a", Old: []any{}}}},
		{name: "empty to empty", old: "{a: [], b: {}}", now: "{a: [], b: {}}"},
		{name: "false is not absent", old: "{}", now: "{a: false, b: 0, c: ''}", want: []d{{Path: "a", New: false}, {Path: "b", New: 0.0}, {Path: "c", New: ""}}},

		{name: "labels with dots", old: "{metadata: {labels: {a.b/c: x}}}", now: "{metadata: {labels: {a.b/c: z}}}", want: []d{{Path: "metadata.labels[a.b/c]", Old: "x", New: "z"}}},
		{name: "labels where none were", old: "{metadata: {name: n}}", now: "{metadata: {name: n, labels: {a: x, b: z}}}", want: []d{{Path: "metadata.labels.a", New: "x"}, {Path: "metadata.labels.b", New: "z"}}},
		{name: "no labels to empty ones", old: "{metadata: {name: n}}", now: "{metadata: {name: n, labels: {}, annotations: {}}}"},
		{name: "keys with dots in data", old: "{data: {}}", now: "{data: {tls.crt: x}}", want: []d{{Path: "data[tls.crt]", New: "x"}}},

		{
			name: "server-owned fields",
			old:  "{apiVersion: v1, status: {a: 1}, metadata: {uid: a, resourceVersion: '1', generation: 1, creationTimestamp: x, managedFields: [], selfLink: x}}",
			now:  "{apiVersion: v1beta1, status: {a: 2}, metadata: {uid: b, resourceVersion: '2', generation: 2, creationTimestamp: z, managedFields: [{}]}}",
		},
		{name: "fields of those names elsewhere", old: "{spec: {status: a, generation: 1}}", now: "{spec: {status: b, generation: 2}}", want: []d{{Path: "spec.generation", Old: 1.0, New: 2.0}, {Path: "spec.status", Old: "a", New: "b"}}},

		{name: "list by name", old: "{l: [{name: a, v: 1}, {name: b, v: 1}]}", now: "{l: [{name: a, v: 1}, {name: b, v: 2}]}", want: []d{{Path: "l[name=b].v", Old: 1.0, New: 2.0}}},
		{name: "item put in the middle", old: "{l: [{name: a}, {name: c}]}", now: "{l: [{name: a}, {name: b}, {name: c}]}", want: []d{{Path: "l[name=b]", New: map[string]any{"name": "b"}}}},
		{name: "item taken from the middle", old: "{l: [{name: a}, {name: b}, {name: c}]}", now: "{l: [{name: a}, {name: c}]}", want: []d{{Path: "l[name=b]", Old: map[string]any{"name": "b"}}}},
		{name: "first item of all", old: "{l: []}", now: "{l: [{name: a}]}", want: []d{{Path: "l[name=a]", New: map[string]any{"name": "a"}}}},
		{name: "items in another order", old: "{l: [{name: a}, {name: b}]}", now: "{l: [{name: b}, {name: a}]}", want: []d{{Path: "l", Old: "a, b", New: "b, a"}}},
		{name: "changed and in another order", old: "{l: [{name: a, v: 1}, {name: b}]}", now: "{l: [{name: b}, {name: a, v: 2}]}", want: []d{{Path: "l[name=a].v", Old: 1.0, New: 2.0}, {Path: "l", Old: "a, b", New: "b, a"}}},
		{name: "in another order around one that goes", old: "{l: [{name: a}, {name: x}, {name: b}]}", now: "{l: [{name: a}, {name: b}]}", want: []d{{Path: "l[name=x]", Old: map[string]any{"name": "x"}}}},
		{name: "by mountPath where names repeat", old: "{l: [{name: a, mountPath: /x}, {name: a, mountPath: /y}]}", now: "{l: [{name: a, mountPath: /x}, {name: b, mountPath: /y}]}", want: []d{{Path: "l[mountPath=/y].name", Old: "a", New: "b"}}},
		{name: "by port", old: "{l: [{port: 80, v: 1}]}", now: "{l: [{port: 80, v: 2}]}", want: []d{{Path: "l[port=80].v", Old: 1.0, New: 2.0}}},
		{name: "plain list", old: "{l: [a, b]}", now: "{l: [a, c, d]}", want: []d{{Path: "l[1]", Old: "b", New: "c"}, {Path: "l[2]", New: "d"}}},
		{name: "plain list in another order", old: "{l: [a, b]}", now: "{l: [b, a]}", want: []d{{Path: "l[0]", Old: "a", New: "b"}, {Path: "l[1]", Old: "b", New: "a"}}},
		{name: "plain list gets shorter", old: "{l: [a, b]}", now: "{l: [a]}", want: []d{{Path: "l[1]", Old: "b"}}},

		{name: "masked", mask: true, old: "{data: {a: x, t.k: x}, stringData: {a: x}, type: a}", now: "{data: {a: z, t.k: z}, type: b}", want: []d{{Path: "data.a", Masked: true}, {Path: "data[t.k]", Masked: true}, {Path: "stringData", Masked: true}, {Path: "type", Old: "a", New: "b"}}},
		{name: "masked, the whole mapping is new", mask: true, old: "{}", now: "{data: {a: x}, stringData: {b: x}}", want: []d{{Path: "data", Masked: true}, {Path: "stringData", Masked: true}}},
		{
			name: "masked, last-applied-configuration", mask: true,
			old: "{metadata: {}}", now: "{metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: x, a: z}}}",
			want: []d{{Path: "metadata.annotations.a", New: "z"}, {Path: "metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]", Masked: true}},
		},
		{name: "masked, something that only begins like it", mask: true, old: "{}", now: "{dataset: x}", want: []d{{Path: "dataset", New: "x"}}},
		{name: "not masked", old: "{data: {a: x}}", now: "{data: {a: z}}", want: []d{{Path: "data.a", Old: "x", New: "z"}}},

		{name: "ignored", ignore: []string{"/spec/replicas"}, old: "{spec: {replicas: 1, a: 1}}", now: "{spec: {replicas: 2, a: 2}}", want: []d{{Path: "spec.a", Old: 1.0, New: 2.0}}},
		{name: "ignored, escaped", ignore: []string{"/metadata/labels/a.b~1c"}, old: "{metadata: {labels: {a.b/c: x}}}", now: "{metadata: {labels: {a.b/c: z}}}"},
		{name: "ignored, item of a list", ignore: []string{"/l/1/v"}, old: "{l: [{name: a, v: 1}, {name: b, v: 1}]}", now: "{l: [{name: a, v: 2}, {name: b, v: 2}]}", want: []d{{Path: "l[name=a].v", Old: 1.0, New: 2.0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := plan.Diff(content(t, c.old), content(t, c.now), c.mask, c.ignore)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Diff(%s, %s) (-want +got):\n%s", c.old, c.now, diff)
			}
		})
	}
}

// What was decoded from a file holds int64, and float64 what came from a server.
func TestDiffComparesNumbersByValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		old, now any
		same     bool
	}{
		{int64(1), 1.0, true},
		{int64(1), 1.5, false},
		{int64(1), "1", false},
		{true, "true", false},
		{map[string]any{"a": int64(1)}, map[string]any{"a": 1.0}, true},
		{[]any{int64(1), int64(2)}, []any{1.0, 2.0}, true},
	} {
		got := plan.Diff(map[string]any{"a": c.old}, map[string]any{"a": c.now}, false, nil)
		if (len(got) == 0) != c.same {
			t.Errorf("Diff(%#v, %#v) = %+v, want them the same: %v", c.old, c.now, got, c.same)
		}
	}
}

func TestDiffOfNothing(t *testing.T) {
	t.Parallel()
	if got := plan.Diff(nil, nil, true, nil); len(got) != 0 {
		t.Errorf("Diff(nil, nil) = %+v, want nothing", got)
	}
	if got := plan.Diff(nil, map[string]any{"a": "x"}, false, nil); len(got) != 1 {
		t.Errorf("Diff(nil, {a: x}) = %+v, want one field", got)
	}
}
