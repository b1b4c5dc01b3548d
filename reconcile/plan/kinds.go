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
	// Fixed: objects of the kind cannot be listed and patched (a TokenReview, a
	// Binding), so that none can be applied, observed or pruned.
	Fixed bool
}
