package term

import (
	"fmt"

	"tidemark.dev/tidemark/state"
)

// Heading shows what a record says about its run, before its apps.
func Heading(r state.Record, style Style) string {
	p := &page{Style: style}
	p.line("%s", p.Paint.as(bold, fmt.Sprintf("record %d of run %s", r.Seq, Escape(r.Run))))
	p.table([][]string{
		{"started", when(r.Started)},
		{"finished", when(r.Finished)},
		{"trigger", r.Trigger},
		{"actor", r.Actor},
		{"tool", r.Tool},
		{"lineage", r.Lineage},
		{"epoch", fmt.Sprint(r.Epoch)},
		{"exit", fmt.Sprint(r.Exit)},
		{"previous", r.Previous},
	})
	for _, line := range lines(r.Message) {
		p.line("%s", Escape(line))
	}
	p.line("")
	return p.String()
}

// Chain shows what verifying the records found.
func Chain(c state.Chain, style Style) string {
	p := &page{Style: style}
	for _, f := range c.Findings {
		p.line("%s record %d: %s", p.Paint.as(red, "wrong:"), f.Seq, Escape(f.Message))
	}
	if len(c.Findings) == 0 {
		p.line("%s: %s, none missing, every hash as the next record names it", p.Paint.as(green, "the chain is whole"), fmt.Sprintf("%d records", c.Records))
	}
	return p.String()
}
