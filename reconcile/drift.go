package reconcile

import (
	"encoding/json"
	"fmt"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
)

// What the record tells of one object's drift: so many fields, and of a value so
// many bytes.
const (
	toldFields = 5
	toldBytes  = 60
)

// drifted tells what somebody else wrote, for the record: field, live value,
// wanted value, manager and time. Values of Secrets are masked.
func drifted(diff []plan.FieldDiff) string {
	var told []string
	for i, d := range diff {
		if i == toldFields {
			told = append(told, fmt.Sprintf("and %d more", len(diff)-i))
			break
		}
		text := d.Path + " is " + brief(d.Old) + ", not " + brief(d.New)
		if d.Masked {
			text = d.Path + " is another secret value"
		}
		if d.Manager != "" {
			text += " (" + d.Manager + " at " + d.At + ")"
		}
		told = append(told, text)
	}
	return strings.Join(told, "; ")
}

// brief gives a value in one short line.
func brief(value any) string {
	if value == nil {
		return "absent"
	}
	text, err := json.Marshal(value)
	if err != nil || len(text) > toldBytes {
		return "a long value"
	}
	return string(text)
}
