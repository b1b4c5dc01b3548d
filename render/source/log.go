package source

import "time"

// Log is what lies between two commits.
type Log struct {
	// Commits are those that the later one brings, newest first.
	Commits []Commit `json:"commits"`
	// Descends: the later commit is known to descend from the earlier one.
	Descends bool `json:"descends"`
	// Note says why Commits is not all that there is; empty when it is.
	Note string `json:"note,omitempty"`
}

// Commit is one commit, as its maker told of it.
type Commit struct {
	Hash string `json:"hash"`
	// Author and Committer are "Name <address>".
	Author    string `json:"author"`
	Committer string `json:"committer,omitempty"`
	Subject   string `json:"subject"`
	// Message is the whole message, the subject included.
	Message string `json:"-"`
	// Time is when it was committed.
	Time time.Time `json:"time"`
}
