package plan

import "tidemark.dev/tidemark/render/object"

// guardInhabited refuses to prune a namespace that objects are wanted in, by
// this app or another: they would go with it, and no approval is meant so.
func (p *Plan) guardInhabited(in Input, pruned []Change) {
	for _, c := range pruned {
		if c.ID.GroupKind() != (object.GroupKind{Kind: "Namespace"}) {
			continue
		}
		if id, wanted := in.inhabitant(c.ID.Name); wanted {
			p.refuseObject(RefusedInhabited, c.ID, "%s left the set, and %s is still wanted in it", c.ID, id)
		}
	}
}

// inhabitant gives an object that is wanted in the namespace.
func (in Input) inhabitant(namespace string) (object.ID, bool) {
	for _, o := range in.Want.Objects() {
		if o.ID.Namespace == namespace {
			return o.ID, true
		}
	}
	id, wanted := in.Others.Inhabits[namespace]
	return id, wanted
}
