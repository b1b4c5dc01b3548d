package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Objects in the order of their phases; those of one line may come in any.
var phases = [][]string{
	{"apiextensions.k8s.io/CustomResourceDefinition//tides.example.com"},
	{"/Namespace//shop"},
	{"rbac.authorization.k8s.io/ClusterRole//web", "storage.k8s.io/StorageClass//fast", "networking.k8s.io/IngressClass//nginx", "scheduling.k8s.io/PriorityClass//high", "/PersistentVolume//disk"},
	{"/ConfigMap/shop/web", "/Secret/shop/web", "/ServiceAccount/shop/web", "/PersistentVolumeClaim/shop/web", "rbac.authorization.k8s.io/Role/shop/web"},
	{"/Service/shop/web", "rbac.authorization.k8s.io/ClusterRoleBinding//web", "rbac.authorization.k8s.io/RoleBinding/shop/web"},
	{"apps/Deployment/shop/web", "apps/StatefulSet/shop/web", "apps/DaemonSet/shop/web", "/Pod/shop/web"},
	{"example.com/Tide/shop/high", "batch/Job/shop/web", "networking.k8s.io/Ingress/shop/web", "autoscaling/HorizontalPodAutoscaler/shop/web"},
	{"apiregistration.k8s.io/APIService//v1.example.com"},
	{"admissionregistration.k8s.io/ValidatingWebhookConfiguration//web", "admissionregistration.k8s.io/MutatingWebhookConfiguration//web"},
}

func TestPhase(t *testing.T) {
	t.Parallel()
	for phase, marks := range phases {
		for _, mark := range marks {
			if got := plan.Phase(id(mark).GroupKind()); got != phase {
				t.Errorf("Phase(%s) = %d, want %d", mark, got, phase)
			}
		}
	}
}

func TestMakeOrdersByPhaseAndPrunesTheOtherWayRound(t *testing.T) {
	t.Parallel()
	in := input()
	for _, mark := range slices.Concat(phases...) {
		made, left := id(mark), id(mark)
		want(in, made, "d")
		gone(in, made)
		left.Name += "-left"
		own(in, left, "d")
		there(in, left)
	}
	own(in, one, "d")
	gone(in, one)
	want(in, two, "d")
	there(in, two, terminating)
	p := plan.Make(*in)

	last, prunes, notes := -1, false, false
	for i, c := range p.Changes {
		phase := plan.Phase(c.ID.GroupKind())
		switch c.Action {
		case plan.Create, plan.Defer:
			if prunes || notes || phase < last {
				t.Errorf("change %d, %s %s, comes too late", i, c.Action, c.ID)
			}
		case plan.Prune:
			if notes || prunes && phase > last {
				t.Errorf("change %d, %s %s, comes too late", i, c.Action, c.ID)
			}
			prunes = true
		case plan.Forget:
			notes = true
		default:
			t.Errorf("change %d is %+v, want a create, defer, prune or forget", i, c)
		}
		last = phase
	}
	if n := len(slices.Concat(phases...)); len(p.Changes) != 2*n+2 || !prunes || !notes {
		t.Errorf("got %d changes, want %d", len(p.Changes), 2*n+2)
	}
}

// crowd gives an input in which everything happens at once.
func crowd() *plan.Input {
	in := input()
	for _, mark := range slices.Concat(phases...) {
		made := id(mark)
		want(in, made, "d1")
		switch len(mark) % 4 {
		case 0:
			gone(in, made)
		case 1:
			there(in, made, noMarks)
		case 2:
			own(in, made, "d0")
			there(in, made, differs)
		case 3:
			own(in, made, "d1")
			there(in, made, certain)
		}
		left := made
		left.Name += "-left"
		own(in, left, "d")
		there(in, left)
	}
	return in
}

func TestMakeGivesEqualPlansForEqualInputs(t *testing.T) {
	t.Parallel()
	first := plan.Make(*crowd())
	for range 20 {
		in := crowd()
		// Other maps, filled in another order, and a set of another order.
		live := plan.Live{}
		ids := slices.Collect(maps.Keys(in.Live))
		slices.Reverse(ids)
		for _, id := range ids {
			live[id] = in.Live[id]
		}
		in.Live = live
		objects := slices.Clone(in.Want.Objects())
		slices.Reverse(objects)
		set, err := object.NewSet(objects, false)
		if err != nil {
			t.Fatal(err)
		}
		in.Want = set
		if diff := cmp.Diff(first, plan.Make(*in)); diff != "" {
			t.Fatalf("equal inputs give another plan (-first +again):\n%s", diff)
		}
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	base := func() *plan.Input {
		in := input()
		want(in, one, "d1")
		own(in, one, "d0")
		there(in, one, differs)
		own(in, two, "d2")
		there(in, two)
		return in
	}
	live := func(id object.ID, edit func(*plan.Observed)) func(*plan.Input) {
		return func(in *plan.Input) { o := in.Live[id]; edit(&o); in.Live[id] = o }
	}
	data := func(old, now any) func(*plan.Observed) {
		return func(o *plan.Observed) {
			o.Content = map[string]any{"metadata": map[string]any{}, "data": map[string]any{"key": old}}
			o.DryRun = &plan.DryRun{Content: map[string]any{"metadata": map[string]any{}, "data": map[string]any{"key": now}}}
		}
	}
	label := func(value string) map[string]any {
		return map[string]any{"metadata": map[string]any{"labels": map[string]any{object.LabelLedger: value}}, "data": map[string]any{"key": "new"}}
	}
	hash := plan.Make(*base()).Hash
	if len(hash) != 64 {
		t.Fatalf("hash = %q, want 64 digits", hash)
	}
	for _, c := range []struct {
		name string
		edit func(*plan.Input)
		same bool
	}{
		{"nothing", func(*plan.Input) {}, true},
		{"resourceVersion", live(one, func(o *plan.Observed) { o.ResourceVersion = "8" }), true},
		{"resourceVersion of a pruned one", live(two, func(o *plan.Observed) { o.ResourceVersion = "8" }), true},
		{"generation", live(one, func(o *plan.Observed) { o.Generation = 8 }), true},
		{"server-owned fields of both contents", live(one, func(o *plan.Observed) {
			o.Content = map[string]any{"metadata": map[string]any{"resourceVersion": "8", "managedFields": []any{}}, "status": "x", "data": map[string]any{"key": "old"}}
		}), true},
		{"the ledger's label", func(in *plan.Input) {
			live(one, func(o *plan.Observed) { o.DryRun = &plan.DryRun{Content: label("4567")} })(in)
		}, true},
		{"approvals", func(in *plan.Input) { in.Approved["x"] = true }, true},
		{"a note", live(two, func(o *plan.Observed) { o.Why = "x" }), true},
		{"the app", func(in *plan.Input) {
			in.App = "other"
			live(two, labelled(object.LabelApp, "other"))(in)
		}, false},
		{"the inputs", func(in *plan.Input) { in.Inputs = "other" }, false},
		{"the set", func(in *plan.Input) { in.SetDigest = "other" }, false},
		{"the old value", live(one, data("older", "new")), false},
		{"the new value", live(one, data("old", "newer")), false},
		{"the type of a value", live(one, data("old", int64(1))), false},
		{"the UID of a pruned one", live(two, uid("other")), false},
		{"one object less", func(in *plan.Input) { gone(in, two) }, false},
		{"one object more", func(in *plan.Input) { want(in, token, ""); gone(in, token) }, false},
		{"another reason", func(in *plan.Input) { own(in, one, "d1") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := base()
			c.edit(in)
			p := plan.Make(*in)
			if (p.Hash == hash) != c.same {
				t.Errorf("same hash: %v, want %v\nplan %+v", p.Hash == hash, c.same, p)
			}
		})
	}
}

// Neither a plan nor its hash holds or hangs on the value of a Secret.
func TestPlanHoldsNoSecret(t *testing.T) {
	t.Parallel()
	make := func(old, now string) plan.Plan {
		in := input()
		want(in, token, "")
		own(in, token, "")
		there(in, token, func(o *plan.Observed) {
			last := "kubectl.kubernetes.io/last-applied-configuration"
			o.Content = map[string]any{"metadata": map[string]any{"annotations": map[string]any{last: old}}, "data": map[string]any{"password": old}, "stringData": map[string]any{"x": old}}
			o.DryRun = &plan.DryRun{Content: map[string]any{"metadata": map[string]any{"annotations": map[string]any{last: now}}, "data": map[string]any{"password": now}}}
		})
		return plan.Make(*in)
	}
	first, second := make("canary-1", "canary-2"), make("canary-3", "canary-4")
	if len(first.Changes) != 1 || len(first.Changes[0].Diff) != 3 {
		t.Fatalf("got %+v, want one change of three fields", first)
	}
	if first.Hash != second.Hash {
		t.Errorf("hash = %s and %s, want it not to hang on values", first.Hash, second.Hash)
	}
	if text := strings.ToLower(cmp.Diff(plan.Plan{}, first)); strings.Contains(text, "canary") {
		t.Errorf("the plan holds the value: %s", text)
	}
}

func TestActs(t *testing.T) {
	t.Parallel()
	for action, want := range map[plan.Action]bool{
		plan.Create: true, plan.Update: true, plan.Adopt: true, plan.Prune: true,
		plan.HandOver: false, plan.Keep: false, plan.Forget: false, plan.Defer: false, plan.Report: false,
	} {
		if got := (plan.Plan{Changes: []plan.Change{{Action: plan.Keep}, {Action: action}}}).Acts(); got != want {
			t.Errorf("Acts() with %s = %v, want %v", action, got, want)
		}
	}
	if (plan.Plan{}).Acts() {
		t.Error("Acts() of the zero plan = true, want false")
	}
}
