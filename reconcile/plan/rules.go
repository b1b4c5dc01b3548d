package plan

// Rules is what an app's configuration says about planning. The zero value is
// the safe default of each.
type Rules struct {
	// Adopt lists tools whose objects the app may take over: see Tools.
	Adopt []string
	// RefuseConflicts: fields that another manager took from us fail the object
	// instead of being taken back.
	RefuseConflicts bool
	// Drift says what becomes of drift, and Kinds of that of some kinds: the first
	// that fits wins over Drift, and an object's AnnotationDrift over both.
	Drift Drift
	Kinds []KindDrift
	// Replace: an object with a field that cannot be changed is deleted and made
	// again; otherwise the object itself must opt in.
	Replace bool
	// KeepAll: nothing of the app is pruned.
	KeepAll bool
	// RequireApproval: nothing is carried out that nobody approved.
	RequireApproval bool
	// RefuseRewind: a revision that is not known to descend from the one before needs
	// an approval; otherwise the plan warns of one that does not.
	RefuseRewind bool
	// Propagation of deletes: background (also when empty), foreground, orphan.
	Propagation string
}
