package apply

import (
	"fmt"

	"tidemark.dev/tidemark/render/object"
)

// Permission is the right to do something with the objects of a kind, as
// Kubernetes' access control has it.
type Permission struct {
	// Verb is get, list, watch, create, update, patch or delete.
	Verb string
	Kind object.GroupKind
	// Subresource of the objects, such as a Pod's log; empty is the objects themselves.
	Subresource string
	// Namespace is empty for kinds without namespaces, and for all namespaces.
	Namespace string
	// Name is empty for all objects of the kind.
	Name string
}

// String gives the permission as people read it.
func (p Permission) String() string {
	text := p.Verb + " " + p.Kind.String()
	if p.Subresource != "" {
		text += "/" + p.Subresource
	}
	if p.Namespace != "" {
		text += " in " + p.Namespace
	}
	if p.Name != "" {
		return fmt.Sprintf("%s (%s)", text, p.Name)
	}
	return text
}
