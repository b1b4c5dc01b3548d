package object

import (
	"cmp"
	"strings"
)

// ID names one Kubernetes object in one cluster. The API version is not part
// of it: an object that moves from v1beta1 to v1 is the same object.
// Namespace is empty for cluster-scoped kinds, whatever a manifest says.
type ID struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// GroupKind names a kind of object.
type GroupKind struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

// String gives the kind as kubectl writes it: "Deployment.apps", "ConfigMap".
func (gk GroupKind) String() string {
	if gk.Group == "" {
		return gk.Kind
	}
	return gk.Kind + "." + gk.Group
}

// Compare orders kinds by group, then kind.
func (gk GroupKind) Compare(other GroupKind) int {
	return cmp.Or(cmp.Compare(gk.Group, other.Group), cmp.Compare(gk.Kind, other.Kind))
}

// GroupKind gives the kind this ID is of.
func (id ID) GroupKind() GroupKind { return GroupKind{Group: id.Group, Kind: id.Kind} }

// String gives the ID as people read it: "Deployment.apps shop/web", or
// "Namespace shop" for a cluster-scoped object.
func (id ID) String() string {
	if id.Namespace == "" {
		return id.GroupKind().String() + " " + id.Name
	}
	return id.GroupKind().String() + " " + id.Namespace + "/" + id.Name
}

// Mark gives the ID as one token, "group/kind/namespace/name" with an empty
// field for what is absent: the text that the annotation AnnotationID holds.
func (id ID) Mark() string {
	return strings.Join([]string{id.Group, id.Kind, id.Namespace, id.Name}, "/")
}

// Compare orders IDs by namespace, group, kind and name: cluster-scoped
// objects come first.
func (id ID) Compare(other ID) int {
	return cmp.Or(
		cmp.Compare(id.Namespace, other.Namespace),
		cmp.Compare(id.Group, other.Group),
		cmp.Compare(id.Kind, other.Kind),
		cmp.Compare(id.Name, other.Name),
	)
}
