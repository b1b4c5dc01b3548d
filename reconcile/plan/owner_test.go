package plan_test

import (
	"slices"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

func TestOwnerOf(t *testing.T) {
	t.Parallel()
	managed := func(names ...string) plan.Meta { return plan.Meta{UID: "u", Managers: names} }
	with := func(edit ...func(*plan.Observed)) plan.Meta {
		seen := plan.Observed{Meta: marked(one)}
		for _, e := range edit {
			e(&seen)
		}
		return seen.Meta
	}
	for _, c := range []struct {
		name  string
		id    object.ID
		meta  plan.Meta
		owner plan.Owner
		tool  string
	}{
		{"no metadata", one, plan.Meta{}, plan.Free, ""},
		{"ours", one, with(), plan.Ours, ""},
		{"ours, though helm made it once", one, with(annotated("meta.helm.sh/release-name", "web"), func(o *plan.Observed) { o.Managers = []string{"helm", "tidemark"} }), plan.Ours, ""},
		{"names another object", one, with(annotated(object.AnnotationID, two.Mark())), plan.Copied, ""},
		{"names no object", one, with(noAnnotation), plan.Copied, ""},
		{"controlled", one, with(controlled), plan.Copied, ""},
		{"another ledger's", one, with(labelled(object.LabelLedger, "9999")), plan.Foreign, "tidemark:9999"},
		{"a copy of another ledger's", one, with(labelled(object.LabelLedger, "9999"), noAnnotation), plan.Free, ""},
		{"a controller's copy of another ledger's", one, with(labelled(object.LabelLedger, "9999"), noAnnotation, controlled), plan.Foreign, "controller"},
		{"only the annotation", one, with(noLabel), plan.Free, ""},
		{"helm", one, with(noMarks, annotated("meta.helm.sh/release-name", "web")), plan.Foreign, "helm"},
		{"argocd", one, with(noMarks, annotated("argocd.argoproj.io/tracking-id", "web:/ConfigMap:shop/one")), plan.Foreign, "argocd"},
		{"flux kustomize", one, with(noMarks, labelled("kustomize.toolkit.fluxcd.io/name", "web")), plan.Foreign, "flux"},
		{"flux helm", one, with(noMarks, labelled("helm.toolkit.fluxcd.io/name", "web")), plan.Foreign, "flux"},
		{"kapp", one, with(noMarks, labelled("kapp.k14s.io/app", "1")), plan.Foreign, "kapp"},
		{"applyset", one, with(noMarks, labelled("applyset.kubernetes.io/part-of", "x")), plan.Foreign, "applyset"},
		{"bootstrap", one, with(noMarks, labelled("kubernetes.io/bootstrapping", "rbac-defaults")), plan.Foreign, "bootstrap"},
		{"addon manager", one, with(noMarks, labelled("addonmanager.kubernetes.io/mode", "Reconcile")), plan.Foreign, "addon-manager"},
		{"controller", one, with(noMarks, controlled), plan.Foreign, "controller"},
		{"a label where the annotation counts", one, with(noMarks, labelled("meta.helm.sh/release-name", "web")), plan.Free, ""},
		{"recommended labels are no marks", one, with(noMarks, labelled("app.kubernetes.io/managed-by", "Helm"), labelled("app.kubernetes.io/instance", "web")), plan.Free, ""},
		{"helm's manager", one, managed("helm"), plan.Foreign, "helm"},
		{"flux' manager", one, managed("kubectl", "kustomize-controller"), plan.Foreign, "flux"},
		{"argocd's manager", one, managed("argocd-controller"), plan.Foreign, "argocd"},
		{"kapp's manager", one, managed("kapp-server-side-apply"), plan.Foreign, "kapp"},
		{"people's managers", one, managed("kubectl", "kubectl-client-side-apply", "kubectl-edit", "Mozilla"), plan.Free, ""},
		{"controllers' managers", one, managed("kube-controller-manager"), plan.Free, ""},
		// A tool's controller writes into its own kinds, whoever applied them.
		{"status of a Kustomization", id("kustomize.toolkit.fluxcd.io/Kustomization/shop/web"), managed("kubectl", "kustomize-controller"), plan.Free, ""},
		{"status of a HelmRelease", id("helm.toolkit.fluxcd.io/HelmRelease/shop/web"), managed("helm-controller"), plan.Free, ""},
		{"status of an Application", id("argoproj.io/Application/argocd/web"), managed("argocd-application-controller"), plan.Free, ""},
		{"a Kustomization that Flux applied", id("kustomize.toolkit.fluxcd.io/Kustomization/shop/web"), plan.Meta{Labels: map[string]string{"kustomize.toolkit.fluxcd.io/name": "flux-system"}}, plan.Foreign, "flux"},
		{"a group that only sounds alike", id("notargoproj.io/Application/argocd/web"), managed("argocd-controller"), plan.Foreign, "argocd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			owner, tool, mark := plan.OwnerOf(c.id, c.meta, ledger)
			if owner != c.owner || tool != c.tool || (mark != "") != (owner == plan.Foreign) {
				t.Errorf("OwnerOf(%s, %+v) = %d, %q, %q; want %d, %q, and a mark if foreign", c.id, c.meta, owner, tool, mark, c.owner, c.tool)
			}
		})
	}
}

func TestTools(t *testing.T) {
	t.Parallel()
	want := []string{"addon-manager", "applyset", "argocd", "bootstrap", "flux", "helm", "kapp"}
	if got := plan.Tools(); !slices.Equal(got, want) {
		t.Errorf("Tools() = %q, want %q", got, want)
	}
}
