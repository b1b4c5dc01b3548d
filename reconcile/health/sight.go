package health

import "tidemark.dev/tidemark/render/object"

// Scope says which objects a watch shows: those of one kind that carry a label
// with a value, or the one of a name. It can be compared.
type Scope struct {
	Kind object.GroupKind
	// Version of the API to see them in; empty is the server's own preference.
	Version string
	// Namespace they are in; empty is all of them, or none.
	Namespace    string
	Label, Value string
	// Name selects one object, whatever its labels.
	Name string
}

// Sight is what a watch shows at once.
type Sight struct {
	// Anew: these are all objects there are; what was shown before is void.
	Anew bool
	// Objects are whole, but for metadata.managedFields, with int64 and float64
	// numbers. They must not be edited.
	Objects []map[string]any
	// Gone are objects that were deleted.
	Gone []object.ID
}
