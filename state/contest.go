package state

import (
	"fmt"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// contested is how many runs in a row have to put an object right.
const contested = 3

// Contest is an object that somebody else changes, and that runs put right again.
type Contest struct {
	ID object.ID `json:"id"`
	// Runs counts the runs in a row that put it right.
	Runs int `json:"runs"`
	// Managers are the field managers that write it, ours first, as far as the
	// server knows them.
	Managers []string `json:"managers"`
}

// Contested says whether the object drifts back so often that two fight over it.
func (c Contest) Contested() bool { return c.Runs >= contested }

// Text says it in a sentence.
func (c Contest) Text() string {
	others := "somebody else"
	if len(c.Managers) > 1 {
		others = strings.Join(c.Managers[1:], ", ")
	}
	return fmt.Sprintf("%s is contested: it drifts back %d runs in a row, written by %s and %s in turn", c.ID, c.Runs, c.Managers[0], others)
}
