package render

import "tidemark.dev/tidemark/render/object"

// scopeFunc says whether the objects of a kind live in a namespace.
type scopeFunc func(object.GroupKind) (namespaced, known bool)

func crdKind() object.GroupKind {
	return object.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
}

// scopes gives the scopes of all kinds that can be known. Those of built-in
// kinds are fixed. Of other kinds, the CustomResourceDefinitions in the set win
// over what the cluster serves, since they are about to be applied.
func scopes(objects []object.Object, cluster scopeFunc) scopeFunc {
	defined := map[object.GroupKind]bool{}
	for _, o := range objects {
		if o.ID.GroupKind() != crdKind() {
			continue
		}
		spec, _ := o.Content()["spec"].(map[string]any)
		names, _ := spec["names"].(map[string]any)
		group, _ := spec["group"].(string)
		kind, _ := names["kind"].(string)
		switch scope, _ := spec["scope"].(string); scope {
		case "Namespaced":
			defined[object.GroupKind{Group: group, Kind: kind}] = true
		case "Cluster":
			defined[object.GroupKind{Group: group, Kind: kind}] = false
		}
	}
	return func(kind object.GroupKind) (namespaced, known bool) {
		if namespaced, known = object.BuiltinScope(kind); known {
			return namespaced, known
		}
		if namespaced, known = defined[kind]; known || cluster == nil {
			return namespaced, known
		}
		return cluster(kind)
	}
}
