package state

import (
	"fmt"
	"time"
)

// Text says to people where the app stays, who said so and why, and until when.
func (p Pin) Text() string {
	at := "a kept set"
	switch {
	case p.Revision != nil:
		at = fmt.Sprintf("%.10s", p.Revision.Commit)
	case p.Set != nil:
		at = "the set of run " + p.Set.Set.Run()
	}
	until := ""
	switch {
	case !p.Until.IsZero():
		until = " until " + p.Until.UTC().Format(time.RFC3339)
	case p.UntilChange:
		until = " until its inputs change"
	}
	return fmt.Sprintf("%s by %s%s: %s", at, p.Actor, until, p.Reason)
}

// Text says to people what is not tried again, and why.
func (q Quarantine) Text() string {
	at := "its inputs are"
	if q.Commit != "" {
		at = fmt.Sprintf("%.10s is", q.Commit)
	}
	text := fmt.Sprintf("%s not tried again since run %s", at, q.Run)
	if q.Reason != "" {
		text += ": " + q.Reason
	}
	return text
}
