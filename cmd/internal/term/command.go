package term

import (
	"fmt"

	"tidemark.dev/tidemark/state"
)

// Command shows the record of a command that is not a run: what became of each
// object, where it is about objects, and who did what and why.
func Command(r state.Record, style Style) string {
	p := &page{Style: style}
	for _, app := range r.Apps {
		if len(app.Changes) > 0 {
			p.app(app)
		}
	}
	p.warnings("", r.Warnings)
	p.interrupted(r)
	for i, line := range lines(r.Message) {
		if i == 0 && r.Seq > 0 {
			line = fmt.Sprintf("%s (record %d)", line, r.Seq)
		}
		p.line("%s", Escape(line))
	}
	return p.String()
}
