package plan

// Rules is what an app's configuration says about planning. The zero value is
// the safe default of each.
type Rules struct {
	// Adopt lists tools whose objects the app may take over: see Tools.
	Adopt []string
	// RefuseConflicts: fields that another manager took from us fail the object
	// instead of being taken back.
	RefuseConflicts bool
	// ReportDrift: drift is shown and left in place.
	ReportDrift bool
	// IgnoreDrift: drift is neither shown nor put right. It wins over ReportDrift,
	// and an object's AnnotationDrift over both.
	IgnoreDrift bool
	// Replace: an object with a field that cannot be changed is deleted and made
	// again; otherwise the object itself must opt in.
	Replace bool
	// KeepAll: nothing of the app is pruned.
	KeepAll bool
	// RequireApproval: nothing is carried out that nobody approved.
	RequireApproval bool
	// Propagation of deletes: background (also when empty), foreground, orphan.
	Propagation string
}
