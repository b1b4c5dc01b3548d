package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// refusals lists the reasons of a plan's refusals.
func refusals(p plan.Plan) string {
	var reasons []string
	for _, r := range p.Refusals {
		reasons = append(reasons, r.Reason)
	}
	return strings.Join(reasons, " ")
}

// holding gives an input of stay members of a kind that stay and leave ones that
// left the set.
func holding(in *plan.Input, kind string, stay, leave int) {
	for i := range stay + leave {
		member := id(fmt.Sprintf("%s/shop/%03d", kind, i))
		own(in, member, "d")
		there(in, member, certain)
		if i < stay {
			want(in, member, "d")
		}
	}
}

func TestGuardBudget(t *testing.T) {
	t.Parallel()
	const config, service = "/ConfigMap", "/Service"
	for _, c := range []struct {
		name string
		in   func(*plan.Input)
		want string
	}{
		{"5 of 6", func(in *plan.Input) { holding(in, config, 1, 5) }, ""},
		{"6 of 7", func(in *plan.Input) { holding(in, config, 1, 6) }, "budget"},
		{"6 of 29", func(in *plan.Input) { holding(in, config, 23, 6) }, "budget"},
		{"6 of 30", func(in *plan.Input) { holding(in, config, 24, 6) }, ""},
		{"20 of 100", func(in *plan.Input) { holding(in, config, 80, 20) }, ""},
		{"21 of 100", func(in *plan.Input) { holding(in, config, 79, 21) }, "budget"},
		{"6 of 12 of one kind", func(in *plan.Input) { holding(in, config, 50, 0); holding(in, service, 6, 6) }, ""},
		{"7 of 12 of one kind", func(in *plan.Input) { holding(in, config, 50, 0); holding(in, service, 5, 7) }, "budget"},
		{"5 of 5 of one kind", func(in *plan.Input) { holding(in, config, 50, 0); holding(in, service, 0, 5) }, ""},
		{"6 of 6 of one kind", func(in *plan.Input) { holding(in, config, 50, 0); holding(in, service, 0, 6) }, "budget"},
		{"two kinds over budget", func(in *plan.Input) {
			holding(in, config, 100, 0)
			holding(in, service, 1, 7)
			holding(in, "/ServiceAccount", 1, 7)
		}, "budget budget"},
		{"members that are not live do not count", func(in *plan.Input) {
			holding(in, config, 24, 6)
			for i := range 24 {
				gone(in, id(fmt.Sprintf("/ConfigMap/shop/%03d", i)))
			}
		}, "budget"},
		{"what is not pruned does not count", func(in *plan.Input) {
			holding(in, config, 1, 20)
			for i := range 20 {
				gone(in, id(fmt.Sprintf("/ConfigMap/shop/%03d", i+1)))
			}
		}, ""},
		{"everything is kept", func(in *plan.Input) { holding(in, config, 1, 20); in.Rules.KeepAll = true }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input()
			c.in(in)
			p := plan.Make(*in)
			if got := refusals(p); got != c.want {
				t.Errorf("got %q, want %q: %+v", got, c.want, p.Refusals)
			}
			for _, r := range p.Refusals {
				if !r.Approvable {
					t.Errorf("refusal %+v is not approvable, want it so", r)
				}
			}
		})
	}
}

func TestGuardProtected(t *testing.T) {
	t.Parallel()
	set := id("apps/StatefulSet/shop/db")
	claims := map[string]any{"volumeClaimTemplates": []any{map[string]any{}}}
	spec := func(spec map[string]any) func(*plan.Observed) {
		return func(o *plan.Observed) { o.Content = map[string]any{"spec": spec} }
	}
	policy := func(whenDeleted string) map[string]any {
		return map[string]any{"volumeClaimTemplates": claims["volumeClaimTemplates"], "persistentVolumeClaimRetentionPolicy": map[string]any{"whenDeleted": whenDeleted}}
	}
	for _, c := range []struct {
		name  string
		left  object.ID
		live  func(*plan.Observed)
		owned func(*state.Member)
		self  bool
		want  string
	}{
		{name: "ConfigMap", left: two},
		{name: "Namespace", left: id("/Namespace//annex"), want: "everything in it goes with it"},
		{name: "CustomResourceDefinition", left: id("apiextensions.k8s.io/CustomResourceDefinition//tides.example.com"), want: "every object of its kind"},
		{name: "PersistentVolume", left: id("/PersistentVolume//disk"), want: "its data may go"},
		{name: "PersistentVolumeClaim", left: id("/PersistentVolumeClaim/shop/disk"), want: "its data may go"},
		{name: "APIService", left: id("apiregistration.k8s.io/APIService//v1.example.com"), want: "an API goes with it"},
		{name: "MutatingWebhookConfiguration", left: id("admissionregistration.k8s.io/MutatingWebhookConfiguration//hook"), want: "admission rules"},
		{name: "ValidatingWebhookConfiguration", left: id("admissionregistration.k8s.io/ValidatingWebhookConfiguration//hook"), want: "admission rules"},
		{name: "a kind of that name in another group", left: id("example.com/Namespace/shop/x")},
		{name: "asks first", left: two, live: annotated("argocd.argoproj.io/sync-options", "Validate=false, Prune=confirm"), want: "Prune=confirm"},
		{name: "adopted", left: two, owned: adopted, want: "existed before"},
		{name: "what this run runs from", left: two, self: true, want: "runs from it"},
		{name: "StatefulSet, not looked at", left: set, want: "volume claims"},
		{name: "StatefulSet without claims", left: set, live: spec(map[string]any{})},
		{name: "StatefulSet with claims", left: set, live: spec(claims), want: "volume claims"},
		{name: "StatefulSet that retains its claims", left: set, live: spec(policy("Retain")), want: "volume claims"},
		{name: "StatefulSet that deletes its claims", left: set, live: spec(policy("Delete"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input()
			holding(in, "/ConfigMap", 3, 0)
			edit := func(*state.Member) {}
			if c.owned != nil {
				edit = c.owned
			}
			own(in, c.left, "d", edit)
			look := certain
			if c.live != nil {
				look = c.live
			}
			there(in, c.left, look)
			in.Self[c.left] = c.self
			p := plan.Make(*in)
			switch {
			case c.want == "" && len(p.Refusals) > 0:
				t.Errorf("got %+v, want no refusal for %s", p.Refusals, c.left)
			case c.want != "" && (refusals(p) != "protected" || !strings.Contains(p.Refusals[0].Message, c.want) || !strings.Contains(p.Refusals[0].Message, c.left.String())):
				t.Errorf("got %+v, want %s protected: %s", p.Refusals, c.left, c.want)
			}
		})
	}
}

// A namespace does not go while objects are wanted in it, approved or not.
func TestGuardInhabited(t *testing.T) {
	t.Parallel()
	namespace := id("/Namespace//annex")
	for _, c := range []struct {
		name string
		in   func(*plan.Input)
		want string
	}{
		{"nothing is in it", func(*plan.Input) {}, ""},
		{"an object of the app", func(in *plan.Input) { want(in, id("/ConfigMap/annex/x"), "d") }, "inhabited"},
		{"an object of another app", func(in *plan.Input) {
			in.Others.Inhabits = map[string]object.ID{"annex": id("/ConfigMap/annex/x")}
		}, "inhabited"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input()
			holding(in, "/ConfigMap", 3, 0)
			own(in, namespace, "d")
			there(in, namespace, certain)
			c.in(in)
			in.Approved = map[string]bool{plan.Make(*in).Hash: true}
			p := plan.Make(*in)
			if got := refusals(p); got != c.want {
				t.Errorf("got %q, want %q: %+v", got, c.want, p.Refusals)
			}
		})
	}
}

// All protected objects are told of at once.
func TestGuardProtectedNamesAll(t *testing.T) {
	t.Parallel()
	in := input()
	holding(in, "/ConfigMap", 3, 1)
	for _, left := range []object.ID{id("/Namespace//annex"), id("/PersistentVolumeClaim/shop/disk")} {
		own(in, left, "d")
		there(in, left)
	}
	p := plan.Make(*in)
	if refusals(p) != "protected" || !strings.Contains(p.Refusals[0].Message, "Namespace annex") || !strings.Contains(p.Refusals[0].Message, "shop/disk") || strings.Contains(p.Refusals[0].Message, "shop/003") {
		t.Errorf("got %+v, want one refusal that names the two protected objects only", p.Refusals)
	}
}

func TestGuardSurvivors(t *testing.T) {
	t.Parallel()
	space := id("/Namespace//annex")
	createOnly := func(in *plan.Input) {
		want(in, space, "d")
		own(in, space, "d")
		there(in, space, certain)
		in.CreateOnly[space] = true
	}
	fresh := func(in *plan.Input) { want(in, two, "d"); gone(in, two) }
	for _, c := range []struct {
		name string
		in   []func(*plan.Input)
		want string
	}{
		{"one stays", []func(*plan.Input){func(in *plan.Input) { holding(in, "/ConfigMap", 1, 3) }}, ""},
		{"none stays", []func(*plan.Input){func(in *plan.Input) { holding(in, "/ConfigMap", 0, 3) }, fresh}, "no-survivor"},
		{"the only one goes", []func(*plan.Input){func(in *plan.Input) { holding(in, "/ConfigMap", 0, 1) }, fresh}, "no-survivor"},
		{"only the namespace that we add ourselves stays", []func(*plan.Input){createOnly, func(in *plan.Input) { holding(in, "/ConfigMap", 0, 3) }, fresh}, "no-survivor"},
		{"that namespace and another stay", []func(*plan.Input){createOnly, func(in *plan.Input) { holding(in, "/ConfigMap", 1, 3) }}, ""},
		{"one stays that is absent", []func(*plan.Input){func(in *plan.Input) {
			holding(in, "/ConfigMap", 1, 3)
			gone(in, id("/ConfigMap/shop/000"))
		}}, ""},
		{"none stays, all are handed over", []func(*plan.Input){func(in *plan.Input) {
			holding(in, "/ConfigMap", 0, 3)
			for _, m := range in.Owned.Members {
				in.Others.Wants[m.ID] = "other"
			}
		}, fresh}, ""},
		{"nothing was owned", []func(*plan.Input){fresh}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input()
			for _, edit := range c.in {
				edit(in)
			}
			if p := plan.Make(*in); refusals(p) != c.want {
				t.Errorf("got %q, want %q: %+v", refusals(p), c.want, p)
			}
		})
	}
}

func TestApprovalLetsExactlyThisPlanPass(t *testing.T) {
	t.Parallel()
	in := input()
	holding(in, "/ConfigMap", 1, 6)
	own(in, id("/Namespace//annex"), "d")
	there(in, id("/Namespace//annex"))
	refused := plan.Make(*in)
	if got := refusals(refused); got != "budget protected" || refused.Approved {
		t.Fatalf("got %q, approved %v; want the budget and a protected object refused", got, refused.Approved)
	}
	in.Approved[refused.Hash] = true
	if p := plan.Make(*in); len(p.Refusals) > 0 || !p.Approved || p.Hash != refused.Hash {
		t.Errorf("got %+v, want the approved plan to pass under the same hash %s", p, refused.Hash)
	}
	for _, other := range []string{"", refused.Hash[:12], strings.ToUpper(refused.Hash)} {
		in.Approved = map[string]bool{other: true}
		if p := plan.Make(*in); refusals(p) != "budget protected" || p.Approved {
			t.Errorf("approved %q: got %q, want it refused as before", other, refusals(p))
		}
	}
	// One more object to prune is another plan.
	in.Approved = map[string]bool{refused.Hash: true}
	own(in, id("/ConfigMap/shop/more"), "d")
	there(in, id("/ConfigMap/shop/more"))
	if p := plan.Make(*in); refusals(p) != "budget protected" || p.Approved {
		t.Errorf("got %q, want another plan refused", refusals(p))
	}
}

func TestApprovalLeavesOtherRefusals(t *testing.T) {
	t.Parallel()
	in := input()
	holding(in, "/ConfigMap", 1, 6)
	want(in, two, "d")
	there(in, two, noMarks, annotated("meta.helm.sh/release-name", "web"))
	refused := plan.Make(*in)
	if got := refusals(refused); got != "foreign budget" {
		t.Fatalf("got %q, want foreign and budget", got)
	}
	in.Approved[refused.Hash] = true
	if p := plan.Make(*in); refusals(p) != "foreign" || !p.Approved {
		t.Errorf("got %q, approved %v; want foreign to stand and the budget approved", refusals(p), p.Approved)
	}
	// A plan that no guard stopped uses no approval up.
	in = input()
	holding(in, "/ConfigMap", 1, 1)
	in.Approved[plan.Make(*in).Hash] = true
	if p := plan.Make(*in); p.Approved {
		t.Errorf("got approved, want not: no guard asked for it: %+v", p)
	}
	in = input()
	want(in, two, "d")
	there(in, two, noMarks, annotated("meta.helm.sh/release-name", "web"))
	in.Approved[plan.Make(*in).Hash] = true
	if p := plan.Make(*in); p.Approved || refusals(p) != "foreign" {
		t.Errorf("got approved %v, %q; want what cannot be approved to use no approval up", p.Approved, refusals(p))
	}
}
