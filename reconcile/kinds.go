package reconcile

import (
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// definedKinds are the kinds whose CustomResourceDefinition some app of this run
// renders, each with its scope.
func definedKinds(apps []*app) map[object.GroupKind]plan.Kind {
	defined := map[object.GroupKind]plan.Kind{}
	for _, a := range apps {
		for _, o := range a.rendered.Set.Objects() {
			if o.ID.GroupKind() != (object.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}) {
				continue
			}
			spec, _ := o.Content()["spec"].(map[string]any)
			names, _ := spec["names"].(map[string]any)
			group, _ := spec["group"].(string)
			kind, _ := names["kind"].(string)
			defined[object.GroupKind{Group: group, Kind: kind}] = plan.Kind{Namespaced: spec["scope"] == "Namespaced"}
		}
	}
	return defined
}

// rescope gives an object in a namespace as its kind's scope demands: what a
// renderer could not know, because another app brings the kind, or an operator
// does during the run. What the server serves counts before what is defined.
func (a *app) rescope(o object.Object, kinds plan.Kinds, defined map[object.GroupKind]plan.Kind) object.Object {
	kind, known := kinds.Served[o.ID.GroupKind()]
	if !known {
		kind, known = defined[o.ID.GroupKind()]
	}
	switch {
	case !known:
	case !kind.Namespaced && o.ID.Namespace != "":
		return o.WithNamespace("")
	case kind.Namespaced && o.ID.Namespace == "" && a.Namespace != "":
		return o.WithNamespace(a.Namespace)
	case kind.Namespaced && o.ID.Namespace == "":
		return o.WithNamespace("default")
	}
	return o
}
