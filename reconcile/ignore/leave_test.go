package ignore_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/reconcile/ignore"
	"tidemark.dev/tidemark/render/object"
)

func read(t *testing.T, text string) map[string]any {
	t.Helper()
	var content map[string]any
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		t.Fatal(err)
	}
	return content
}

func deployment(t *testing.T, spec string) object.Object {
	t.Helper()
	content := read(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop, labels: {tier: front}}}")
	content["spec"] = read(t, spec)
	o, err := object.New(content, object.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// What is left to others: fields that they own are not sent, those that are ours
// alone keep their live value, and nothing of it is a field that is to be made.
func TestLeave(t *testing.T) {
	t.Parallel()
	pointers := func(texts ...string) ignore.Rules { return rules(t, []ignore.Rule{{Paths: texts}}, nil) }
	jq := func(texts ...string) ignore.Rules {
		return rules(t, nil, []ignore.Difference{{Kind: "Deployment", JQPathExpressions: texts}})
	}
	for name, test := range map[string]struct {
		rules             ignore.Rules
		want, live, owned string
		theirs            string
		left              string
	}{
		"another's": {
			rules: pointers("/spec/replicas"), want: "{replicas: 2, paused: true}", live: "{replicas: 5, paused: true}",
			owned: "{f:paused: {}}", theirs: "{f:replicas: {}}", left: `{"paused":true}`,
		},
		"nobody else's keeps its live value": {
			rules: pointers("/spec/replicas"), want: "{replicas: 2, paused: true}", live: "{replicas: 5, paused: true}",
			owned: "{f:paused: {}, f:replicas: {}}", left: `{"paused":true,"replicas":5}`,
		},
		"both own it": {
			rules: pointers("/spec/replicas"), want: "{replicas: 2}", live: "{replicas: 2}",
			owned: "{f:replicas: {}}", theirs: "{f:replicas: {}}", left: `{}`,
		},
		"nobody owns it": {
			rules: pointers("/spec/replicas"), want: "{replicas: 2}", live: "{replicas: 5}", left: `{}`,
		},
		"removed by somebody": {
			rules: pointers("/spec/replicas"), want: "{replicas: 2, paused: true}", live: "{paused: true}", left: `{"paused":true}`,
		},
		"what it is in is new": {
			rules: pointers("/spec/strategy/type"), want: "{strategy: {type: Recreate}}", live: "{paused: true}", left: `{"strategy":{"type":"Recreate"}}`,
		},
		"not wanted": {
			rules: pointers("/spec/replicas", "/spec/list/7", "/spec/list/x", "/spec/paused/x"), want: "{paused: true, list: [a]}", live: "{replicas: 5}", left: `{"list":["a"],"paused":true}`,
		},
		"part of what is owned whole": {
			rules: pointers("/spec/selector/app"), want: "{selector: {app: new, b: c}}", live: "{selector: {app: old, b: b}}",
			owned: "{f:selector: {}}", left: `{"selector":{"app":"old","b":"c"}}`,
		},
		"a mapping, key by key": {
			rules: pointers("/spec/template"), want: "{template: {ours: a, theirs: b, gone: c}}", live: "{template: {ours: x, theirs: y, more: z}}",
			owned: "{f:template: {f:ours: {}}}", theirs: "{f:template: {f:theirs: {}, f:more: {}}}", left: `{"template":{"ours":"x"}}`,
		},
		"an item of a list by its key": {
			rules: pointers("/spec/ports/0/target"), want: "{ports: [{port: 80, target: 8080}, {port: 90, target: 1}]}",
			live:  "{ports: [{port: 70}, {port: 90, protocol: TCP, target: 1}, {port: 80, protocol: TCP, target: 8888}]}",
			owned: `{f:ports: {'k:{"port":80,"protocol":"TCP"}': {.: {}, f:port: {}, f:target: {}}, 'k:{"port":90,"protocol":"TCP"}': {f:target: {}}}}`,
			left:  `{"ports":[{"port":80,"target":8888},{"port":90,"target":1}]}`,
		},
		"a key itself stays": {
			rules: pointers("/spec/ports/0/port"), want: "{ports: [{port: 80}]}", live: "{ports: [{port: 80}]}",
			theirs: `{f:ports: {'k:{"port":80}': {.: {}, f:port: {}}}}`, left: `{"ports":[{"port":80}]}`,
		},
		"a whole list": {
			rules: pointers("/spec/ports"), want: "{ports: [{port: 80, target: 1}, {port: 90, target: 2}]}", live: "{ports: [{port: 80, target: 3}, {port: 70}]}",
			owned: `{f:ports: {'k:{"port":80}': {.: {}, f:port: {}, f:target: {}}}}`, theirs: `{f:ports: {'k:{"port":70}': {f:port: {}}}}`,
			left: `{"ports":[{"port":80,"target":3}]}`,
		},
		"an atomic list": {
			rules: pointers("/spec/args/0"), want: "{args: [a, b]}", live: "{args: [x, y, z]}", owned: "{f:args: {}}", left: `{"args":["x","b"]}`,
		},
		"a set": {
			rules: pointers("/spec/set"), want: "{set: [a]}", live: "{set: [a, b]}", owned: `{f:set: {'v:"a"': {}}}`, theirs: `{f:set: {'v:"b"': {}}}`, left: `{"set":["a","b"]}`,
		},
		"jq": {
			rules: jq(`.spec.containers[] | select(.name == "b") | .image`), want: "{containers: [{name: a, image: x}, {name: b, image: x}]}",
			live: "{containers: [{name: b, image: z}, {name: a, image: z}]}", owned: `{f:containers: {'k:{"name":"a"}': {f:image: {}}, 'k:{"name":"b"}': {f:image: {}}}}`,
			left: `{"containers":[{"name":"a","image":"x"},{"name":"b","image":"z"}]}`,
		},
		"jq that does not fit the object": {
			rules: jq(`.spec.none[].image`, `error("x")`, `.`, `.spec.replicas`), want: "{replicas: 2}", live: "{replicas: 5}", left: `{}`,
		},
		"a manager": {
			rules: rules(t, nil, []ignore.Difference{{Kind: "*", ManagedFieldsManagers: []string{"theirs"}}}),
			want:  "{replicas: 2, paused: true, ports: [{port: 80, a: 1, b: 1}]}", live: "{replicas: 5, paused: false, ports: [{port: 80, a: 2, b: 2}]}",
			owned: `{f:paused: {}, f:ports: {'k:{"port":80}': {f:port: {}, f:b: {}}}}`, theirs: `{f:replicas: {}, f:ports: {'k:{"port":80}': {f:port: {}, f:a: {}}}}`,
			left: `{"paused":true,"ports":[{"port":80,"b":1}]}`,
		},
	} {
		o := deployment(t, test.want)
		before, _ := o.JSON()
		live := map[string]any{"spec": read(t, test.live)}
		managed := []any{}
		for manager, fields := range map[string]string{"tidemark": test.owned, "theirs": test.theirs} {
			if fields != "" {
				managed = append(managed, map[string]any{"manager": manager, "fieldsV1": map[string]any{"f:spec": read(t, fields)}})
			}
		}
		live["metadata"] = map[string]any{"managedFields": managed}
		left, err := test.rules.Leave(t.Context(), o, live)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, _ := json.Marshal(left.Content()["spec"])
		var g, w any
		_ = json.Unmarshal(got, &g)
		_ = json.Unmarshal([]byte(test.left), &w)
		want, _ := json.Marshal(w)
		if g == nil {
			got = []byte("{}")
		}
		if string(got) != string(want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if after, _ := o.JSON(); string(after) != string(before) {
			t.Errorf("%s: the object was edited: %s", name, after)
		}
	}
}

// What makes it this object, and ours, is never left to others.
func TestLeaveKeepsWhoseItIs(t *testing.T) {
	t.Parallel()
	o := deployment(t, "{replicas: 1}").WithMetadata(map[string]string{object.LabelLedger: "l", object.LabelApp: "a"}, map[string]string{object.AnnotationID: "id", "x": "y"})
	left, err := rules(t, []ignore.Rule{{Paths: []string{"/metadata", "/kind", "/apiVersion"}}}, nil).Leave(t.Context(), o, map[string]any{
		"apiVersion": "v9", "kind": "Other", "metadata": map[string]any{"name": "other", "labels": map[string]any{"tier": "theirs"}, "annotations": map[string]any{}},
	})
	got, _ := left.JSON()
	if want := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"annotations":{"tidemark.dev/id":"id"},"labels":{"tidemark.dev/app":"a","tidemark.dev/ledger":"l"},"name":"web","namespace":"shop"},"spec":{"replicas":1}}`; err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
}

// An expression that does not end is an error in about a second, and so is one that
// finds too much.
func TestEndless(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`repeat(.)`, `last(range(1e12)) as $x | .a`, `.spec | range(20000) as $i | .[$i | tostring]`} {
		bounded, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := rules(t, nil, []ignore.Difference{{Kind: "Deployment", JQPathExpressions: []string{text}}}).Leave(bounded, deployment(t, "{}"), map[string]any{})
		if !errors.Is(err, ignore.ErrEndless) || bounded.Err() != nil {
			t.Errorf("%s: got %v, want %v", text, err, ignore.ErrEndless)
		}
		cancel()
	}
}

func rules(t *testing.T, flux []ignore.Rule, argo []ignore.Difference) ignore.Rules {
	t.Helper()
	r, err := ignore.Compile(flux, argo)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
