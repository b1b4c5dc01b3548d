package plan_test

import (
	"encoding/json"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

func TestDriftIsWhatAppAndObjectSay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rules      plan.Rules
		annotation string
		gone       bool
		want       string
	}{
		"correct":                    {want: "change one (drift)"},
		"report":                     {rules: plan.Rules{Drift: plan.DriftReport}, want: "report one (drift)"},
		"off":                        {rules: plan.Rules{Drift: plan.DriftOff}, want: "unchanged 1"},
		"deleted, correct":           {gone: true, want: "create one (deleted)"},
		"deleted, report":            {gone: true, rules: plan.Rules{Drift: plan.DriftReport}, want: "report one (deleted)"},
		"deleted, off":               {gone: true, rules: plan.Rules{Drift: plan.DriftOff}, want: "unchanged 1"},
		"the object says report":     {annotation: "report", want: "report one (drift)"},
		"the object says off":        {annotation: "off", rules: plan.Rules{Drift: plan.DriftReport}, want: "unchanged 1"},
		"the object says correct":    {annotation: "correct", rules: plan.Rules{Drift: plan.DriftOff}, want: "change one (drift)"},
		"its kind":                   {rules: plan.Rules{Kinds: []plan.KindDrift{{Kind: "Secret", Drift: plan.DriftOff}, {Kind: "ConfigMap", Drift: plan.DriftReport}, {Kind: "ConfigMap", Drift: plan.DriftOff}}}, want: "report one (drift)"},
		"its kind, correct":          {rules: plan.Rules{Drift: plan.DriftOff, Kinds: []plan.KindDrift{{Kind: "ConfigMap", Drift: plan.DriftCorrect}}}, want: "change one (drift)"},
		"its kind in another group":  {rules: plan.Rules{Kinds: []plan.KindDrift{{Group: "apps", Kind: "ConfigMap", Drift: plan.DriftOff}}}, want: "change one (drift)"},
		"the object before its kind": {annotation: "correct", rules: plan.Rules{Kinds: []plan.KindDrift{{Kind: "ConfigMap", Drift: plan.DriftOff}}}, want: "change one (drift)"},
		"the object says what is no": {annotation: "maybe", want: "change one (drift)"},
	} {
		in := input()
		o := manifest(one, nil)
		if test.annotation != "" {
			o = o.WithMetadata(nil, map[string]string{plan.AnnotationDrift: test.annotation})
		}
		wantObject(in, o, "d1")
		own(in, one, "d1")
		if there(in, one, differs); test.gone {
			gone(in, one)
		}
		in.Rules = test.rules
		p := plan.Make(*in)
		if got := outline(p); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
		in.Rules = plan.Rules{}
		in.Want = object.Set{}
		wantObject(in, o.WithMetadata(nil, map[string]string{"helm.toolkit.fluxcd.io/driftDetection": "disabled"}), "d1")
		if got := outline(plan.Make(*in)); test.annotation == "" && got != "unchanged 1" {
			t.Errorf("%s, and Flux's annotation: got %q, want it unchanged", name, got)
		}
		if off := test.want == "unchanged 1"; p.Overlooked[one] != off {
			t.Errorf("%s: overlooked = %v, want %v", name, p.Overlooked[one], off)
		}
		in.Digests[one] = "d2" // a change of the repository is none
		if p := plan.Make(*in); !p.Acts() {
			t.Errorf("%s: a change of what is wanted is left alone: %s", name, outline(p))
		}
	}
}

// Drift names who wrote the live value last, as the server remembers it; and not
// in the plan's hash, where it would make an approval stale.
func TestDriftNamesItsManager(t *testing.T) {
	t.Parallel()
	drifted := func(managedFields string) plan.Plan {
		in := input()
		want(in, one, "d1")
		own(in, one, "d1")
		there(in, one, func(o *plan.Observed) {
			if err := json.Unmarshal([]byte(`{"metadata":{"managedFields":`+managedFields+`},"spec":{"replicas":3,"list":[{"name":"a","image":"x"},{"name":"b","image":"x"}],"atomic":{"a":"x"}},"metadataless":"x"}`), &o.Content); err != nil {
				t.Fatal(err)
			}
			o.DryRun = &plan.DryRun{Content: map[string]any{"metadata": map[string]any{}, "spec": map[string]any{
				"replicas": 1.0, "list": []any{map[string]any{"name": "a", "image": "x"}, map[string]any{"name": "b", "image": "y"}}, "atomic": map[string]any{"a": "y"},
			}, "metadataless": "y"}}
		})
		return plan.Make(*in)
	}
	p := drifted(`[
		{"manager":"tidemark","time":"2026-01-04T00:00:00Z","fieldsV1":{"f:spec":{"f:replicas":{}}}},
		{"manager":"old","time":"2026-01-01T00:00:00Z","fieldsV1":{"f:spec":{"f:replicas":{}}}},
		{"manager":"scaler","time":"2026-01-02T00:00:00Z","fieldsV1":{"f:spec":{"f:replicas":{}}}},
		{"manager":"kubectl","time":"2026-01-03T00:00:00Z","fieldsV1":{"f:spec":{"f:list":{"k:{\"name\":\"b\"}":{".":{},"f:image":{}}},"f:atomic":{}}}}
	]`)
	got := map[string]string{}
	for _, d := range p.Changes[0].Diff {
		got[d.Path] = d.Manager + " " + d.At
	}
	for path, want := range map[string]string{
		"spec.replicas":           "scaler 2026-01-02T00:00:00Z",
		"spec.list[name=b].image": "kubectl 2026-01-03T00:00:00Z",
		"spec.atomic.a":           "kubectl 2026-01-03T00:00:00Z",
		"metadataless":            " ",
	} {
		if got[path] != want {
			t.Errorf("%s: got %q, want %q (all: %q)", path, got[path], want, got)
		}
	}
	if other := drifted(`[]`); other.Hash != p.Hash {
		t.Error("the hash depends on who wrote the fields")
	}
}
