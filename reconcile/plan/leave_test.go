package plan_test

import (
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// What becomes of the member "one", which left the set; "two" stays in it.
func TestMakeDecidesAboutALeftMember(t *testing.T) {
	t.Parallel()
	owned := func(in *plan.Input) { own(in, one, "d1") }
	is := func(edit ...func(*plan.Observed)) func(*plan.Input) {
		return func(in *plan.Input) { own(in, one, "d1"); there(in, one, edit...) }
	}
	otherWants := func(in *plan.Input) { in.Others.Wants[one] = "other" }
	otherUnknown := func(in *plan.Input) { in.Others.Unknown = []string{"other"} }
	newCluster := func(in *plan.Input) { in.NewCluster = true }
	keepAll := func(in *plan.Input) { in.Rules.KeepAll = true }
	flux := func(o *plan.Observed) { noMarks(o); labelled("kustomize.toolkit.fluxcd.io/name", "web")(o) }
	type edits []func(*plan.Input)
	for _, c := range []struct {
		name string
		in   edits
		want string
	}{
		{"ours", edits{is()}, "prune one (removed)"},
		{"ours, certain", edits{is(certain)}, "prune one (removed)"},
		{"ours, another UID with our marks", edits{is(uid("restored"))}, "prune one (removed)"},
		{"absent", edits{owned, func(in *plan.Input) { gone(in, one) }}, "forget one (gone)"},
		{"absent, wanted by another app", edits{owned, otherWants, func(in *plan.Input) { gone(in, one) }}, "forget one (gone)"},
		{"no kind", edits{owned, func(in *plan.Input) { in.Live[one] = plan.Observed{NoKind: true} }}, "forget one (gone)"},
		{"not looked at", edits{owned}, "keep one (no-proof)"},
		{"discovery fails", edits{owned, func(in *plan.Input) { in.Live[one] = plan.Observed{Why: "503"} }}, "keep one (no-proof)"},
		{"wanted by another app", edits{is(), otherWants}, "hand-over one (wanted)"},
		{"wanted by another app, opted out", edits{is(annotated("tidemark.dev/prune", "disabled")), otherWants}, "hand-over one (wanted)"},
		{"wanted by another app, kept", edits{func(in *plan.Input) { own(in, one, "d1", kept); there(in, one) }, otherWants}, "hand-over one (wanted)"},
		{"wanted by another app, no marks", edits{is(noMarks), otherWants}, "keep one (disagrees)"},
		{"perhaps wanted by another app", edits{is(), otherUnknown}, "keep one (no-proof)"},
		{"perhaps wanted by another app, absent", edits{owned, otherUnknown, func(in *plan.Input) { gone(in, one) }}, "forget one (gone)"},
		{"ours, in another cluster", edits{is(), newCluster}, "keep one (new-cluster)"},
		{"absent, in another cluster", edits{owned, newCluster, func(in *plan.Input) { gone(in, one) }}, "forget one (gone)"},
		{"taken, in another cluster", edits{is(flux), newCluster}, "forget one (taken)"},
		{"taken", edits{is(flux)}, "forget one (taken)"},
		{"taken by another ledger", edits{is(labelled(object.LabelLedger, "9999"))}, "forget one (taken)"},
		{"taken by another ledger, terminating", edits{is(labelled(object.LabelLedger, "9999"), terminating)}, "forget one (taken)"},
		{"taken by a controller", edits{is(noMarks, controlled)}, "forget one (taken)"},
		{"terminating", edits{is(terminating)}, "keep one (terminating)"},
		{"no marks, same UID", edits{is(noMarks)}, "keep one (disagrees)"},
		{"no label, same UID", edits{is(noLabel)}, "keep one (disagrees)"},
		{"no annotation, same UID", edits{is(noAnnotation)}, "keep one (disagrees)"},
		{"a copy", edits{is(annotated(object.AnnotationID, two.Mark()))}, "keep one (disagrees)"},
		{"controlled, with our marks", edits{is(controlled)}, "keep one (disagrees)"},
		{"another app's marks", edits{is(labelled(object.LabelApp, "other"))}, "keep one (disagrees)"},
		{"the app keeps everything", edits{is(), keepAll}, "keep one (opted-out)"},
		{"kept before", edits{func(in *plan.Input) { own(in, one, "d1", kept); there(in, one) }}, "keep one (opted-out)"},
		{"kept before, absent", edits{func(in *plan.Input) { own(in, one, "d1", kept); gone(in, one) }}, "forget one (gone)"},
		{"never seen, present", edits{func(in *plan.Input) { own(in, one, "", unseen); there(in, one) }}, "prune one (removed)"},

		{"opted out", edits{is(annotated("tidemark.dev/prune", "disabled"))}, "keep one (opted-out)"},
		{"opted out as in Flux", edits{is(annotated("kustomize.toolkit.fluxcd.io/prune", "Disabled"))}, "keep one (opted-out)"},
		{"opted out as in Flux, by label", edits{is(labelled("kustomize.toolkit.fluxcd.io/prune", "disabled"))}, "keep one (opted-out)"},
		{"opted out as in Argo CD", edits{is(annotated("argocd.argoproj.io/sync-options", "Validate=false, Prune=false"))}, "keep one (opted-out)"},
		{"opted out as in Helm", edits{is(annotated("helm.sh/resource-policy", "keep"))}, "keep one (opted-out)"},
		{"opted out as in cli-utils", edits{is(annotated("client.lifecycle.config.k8s.io/deletion", "detach"))}, "keep one (opted-out)"},
		{"not opted out", edits{is(annotated("argocd.argoproj.io/sync-options", "Prune=true"))}, "prune one (removed)"},
		{"not opted out, empty", edits{is(annotated("tidemark.dev/prune", ""))}, "prune one (removed)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			decide(t, func(in *plan.Input) {
				want(in, two, "d2")
				own(in, two, "d2")
				there(in, two, certain)
				for _, edit := range c.in {
					edit(in)
				}
			}, c.want+"; unchanged 1")
		})
	}
}

func TestMakeNeverPrunesTheClustersOwnNamespaces(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"kube-system", "kube-public", "kube-node-lease", "default"} {
		space := id("/Namespace//" + name)
		decide(t, func(in *plan.Input) {
			want(in, one, "d1")
			own(in, one, "d1")
			there(in, one, certain)
			own(in, space, "d1")
			there(in, space)
		}, "keep "+name+" (system); unchanged 1")
	}
	// Something of that name which is no Namespace is like any other.
	config := id("/ConfigMap/shop/default")
	decide(t, func(in *plan.Input) {
		want(in, one, "d1")
		own(in, one, "d1")
		there(in, one, certain)
		own(in, config, "d1")
		there(in, config)
	}, "prune default (removed); unchanged 1")
}

func TestMakeNamesTheNewOwner(t *testing.T) {
	t.Parallel()
	in := input()
	own(in, one, "d1")
	there(in, one)
	in.Others.Wants[one] = "other"
	p := plan.Make(*in)
	if len(p.Changes) != 1 || p.Changes[0].To != "other" || len(p.Refusals) != 0 {
		t.Errorf("got %+v, want the object handed over to other, and nothing refused", p)
	}
}
