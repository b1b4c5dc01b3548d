package plan

import "tidemark.dev/tidemark/render/object"

// Kinds is what a server serves.
type Kinds struct {
	// Version is the server's version, "v1.37.2".
	Version string
	Served  map[object.GroupKind]Kind
	// Failing holds the groups that could not be discovered, each with the
	// reason: nothing is known of their kinds, and Served lacks them.
	Failing map[string]string
}

// Kind is one kind that a server serves.
type Kind struct {
	// Versions served, the preferred one first.
	Versions   []string
	Namespaced bool
	// Resource is the kind's name in the server's paths, "deployments".
	Resource string
	// Fixed: objects of the kind cannot be listed and patched (a TokenReview, a
	// Binding), so that none can be applied, observed or pruned.
	Fixed bool
}

// Defines gives the kind that a CustomResourceDefinition defines, and whether o
// is one.
func Defines(o object.Object) (kind object.GroupKind, namespaced, defines bool) {
	if o.ID.GroupKind() != (object.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}) {
		return object.GroupKind{}, false, false
	}
	spec, _ := o.Content()["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	group, _ := spec["group"].(string)
	name, _ := names["kind"].(string)
	return object.GroupKind{Group: group, Kind: name}, spec["scope"] == "Namespaced", true
}

// Redefines gives the kinds whose definition, in the set, the plan makes or
// changes.
func (p Plan) Redefines(want object.Set) map[object.GroupKind]bool {
	kinds := map[object.GroupKind]bool{}
	for _, c := range p.Changes {
		if o, wanted := want.Get(c.ID); wanted && c.Action.Writes() {
			if kind, _, defines := Defines(o); defines {
				kinds[kind] = true
			}
		}
	}
	return kinds
}
