package plan_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
)

// A definition and what needs its change come in one commit: what the server
// says by the old one is no reason against the plan.
func TestMakeRedefinesAKind(t *testing.T) {
	t.Parallel()
	tides := manifest(id("apiextensions.k8s.io/CustomResourceDefinition//tides.sea"), map[string]any{
		"spec": map[string]any{"group": "sea", "scope": "Namespaced", "names": map[string]any{"kind": "Tide"}},
	})
	spring, ebb := id("sea/Tide/shop/spring"), id("sea/Tide/shop/ebb")
	scene := func(definition func(*plan.Observed)) func(*plan.Input) {
		refused := dry(plan.DryRun{Rejected: ".spec.metres: field not declared in schema"})
		return func(in *plan.Input) {
			wantObject(in, tides, "tides-2")
			own(in, tides.ID, "tides-1")
			there(in, tides.ID, definition)
			want(in, spring, "spring-2")
			own(in, spring, "spring-1")
			there(in, spring, refused)
			want(in, ebb, "ebb-2")
			gone(in, ebb)
			seen := in.Live[ebb]
			refused(&seen)
			in.Live[ebb] = seen
		}
	}
	p := decide(t, scene(differs), "change tides.sea (desired); create ebb (new); change spring (desired)")
	for _, c := range p.Changes[1:] {
		if !strings.Contains(c.Note, "its definition changes with this run") || !strings.Contains(c.Note, ".spec.metres") {
			t.Errorf("%s: note = %q, want why it was not validated", c.ID, c.Note)
		}
	}
	decide(t, scene(same), "invalid; invalid; unchanged 1")
}
