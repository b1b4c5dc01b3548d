// Package source holds what is rendered: a Revision of a repository and the
// Tree of files in it. How a revision is fetched is the business of others.
//
// Law: everything in a Tree was written by somebody who may be hostile. A Tree
// never looks outside itself: a symbolic link that leads out of the repository
// is an error, never a read.
package source

import "time"

// Chart names one version of a chart of a registry.
type Chart struct {
	Repo    string `json:"repo"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Digest is that of the archive, "sha256:…"; empty until it is known.
	Digest string `json:"digest,omitempty"`
}

// Revision is one commit of one repository, or, for an app that is only a
// registry chart, one version of that chart; an app that takes its values from
// a repository and its chart from a registry has both.
type Revision struct {
	// Repo is the repository's URL without credentials.
	Repo string `json:"repo"`
	// Ref is what was asked for, in full where a look-up found it:
	// "refs/heads/main". It is empty when a commit was asked for.
	Ref string `json:"ref,omitempty"`
	// Commit is the full object name in hexadecimal.
	Commit string `json:"commit"`
	// Author ("Name <address>"), Subject (the first line of the message) and
	// Time are known once the commit was fetched.
	Author  string    `json:"author,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Time    time.Time `json:"time,omitzero"`

	// Chart is the registry chart, nil when none is used.
	Chart *Chart `json:"chart,omitempty"`

	// Tree holds the files; nil until the commit was fetched.
	Tree *Tree `json:"-"`
}
