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
			if gk, namespaced, defines := plan.Defines(o); defines {
				defined[gk] = plan.Kind{Namespaced: namespaced}
			}
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
