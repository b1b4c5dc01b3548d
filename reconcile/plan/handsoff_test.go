package plan_test

import (
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
)

// What Flux's annotations leave alone is not applied, made or counted as another's.
func TestHandsOff(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key, value          string
		label, owned, there bool
		want                string
	}{
		"ignore, absent":              {key: "kustomize.toolkit.fluxcd.io/ssa", value: "Ignore"},
		"ignore, not ours":            {key: "kustomize.toolkit.fluxcd.io/ssa", value: "Ignore", there: true},
		"ignore, ours":                {key: "kustomize.toolkit.fluxcd.io/ssa", value: "ignore", owned: true, there: true, want: "unchanged 1"},
		"disabled, ours, by label":    {key: "kustomize.toolkit.fluxcd.io/reconcile", value: "disabled", label: true, owned: true, there: true, want: "unchanged 1"},
		"disabled, ours and absent":   {key: "kustomize.toolkit.fluxcd.io/reconcile", value: "disabled", owned: true},
		"if not present, absent":      {key: "kustomize.toolkit.fluxcd.io/ssa", value: "IfNotPresent", want: "create one (new)"},
		"if not present, deleted":     {key: "kustomize.toolkit.fluxcd.io/ssa", value: "IfNotPresent", owned: true, want: "create one (desired)"},
		"if not present, not ours":    {key: "kustomize.toolkit.fluxcd.io/ssa", value: "IfNotPresent", there: true},
		"if not present, ours":        {key: "kustomize.toolkit.fluxcd.io/ssa", value: "IfNotPresent", owned: true, there: true, want: "unchanged 1"},
		"merge":                       {key: "kustomize.toolkit.fluxcd.io/ssa", value: "Merge", owned: true, there: true, want: "change one (desired)"},
		"a HelmRelease's drift":       {key: "helm.toolkit.fluxcd.io/driftDetection", value: "disabled", owned: true, there: true, want: "change one (desired)"},
		"enabled is no word of these": {key: "kustomize.toolkit.fluxcd.io/reconcile", value: "enabled", owned: true, there: true, want: "change one (desired)"},
	} {
		in := input()
		marks := map[string]string{test.key: test.value}
		o := manifest(one, nil).WithMetadata(nil, marks)
		if test.label {
			o = manifest(one, nil).WithMetadata(marks, nil)
		}
		wantObject(in, o, "d2")
		if test.owned {
			own(in, one, "d1")
		}
		if gone(in, one); test.there {
			there(in, one, differs)
		}
		if !test.owned && test.there {
			there(in, one, differs, noMarks)
		}
		if got := outline(plan.Make(*in)); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
