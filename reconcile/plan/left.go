package plan

// Left says what becomes of an app that the configuration wants no more.
type Left int

// What an app may be told.
const (
	// NotLeft: the configuration wants the app.
	NotLeft Left = iota
	// LeftStays: the configuration does not name it any more, which may be a slip:
	// its objects stay, but for those that another app wants.
	LeftStays
	// LeftRemoved: somebody said that it is to go. Nothing counts as a slip then, so
	// that no budget holds; what is protected still wants an approval.
	LeftRemoved
)
