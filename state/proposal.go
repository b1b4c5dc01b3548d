package state

import "time"

// Proposal is a plan that waits for a person's word.
type Proposal struct {
	PlanHash string `json:"planHash"`
	// Plan is the blob that holds it, as a plan that is saved to a file.
	Plan Ref `json:"plan"`
	// Looked is the commit up to which the repository was searched for a commit
	// that approves it.
	Looked string `json:"looked,omitempty"`
	// Since is when it was proposed first.
	Since time.Time `json:"since"`
}
