package term

import (
	"fmt"
	"strings"
	"time"

	"tidemark.dev/tidemark/state"
)

// LedgerRun shows on one line how the run of one ledger of a fleet went. width
// is that of the longest name, so that lines of a fleet stand in columns.
func LedgerRun(ledger string, width int, r state.Record, style Style) string {
	p := &page{Style: style}
	var sum state.Counts
	var wrong []string
	if r.Message != "" {
		wrong = append(wrong, r.Message)
	}
	for _, app := range r.Apps {
		sum = plus(sum, app.Counts)
		if app.Message != "" {
			wrong = append(wrong, app.Name+": "+app.Message)
		}
		for _, refusal := range app.Refusals {
			wrong = append(wrong, app.Name+": "+refusal.Message)
		}
	}
	text := counts(sum)
	if r.Exit != 0 || r.Verdict == state.Skipped {
		if text != "" && len(wrong) > 0 {
			text += "; "
		}
		text += strings.Join(wrong, "; ")
	}
	p.line("%-*s  %s  exit %-2d  %s", width, Escape(ledger), p.Paint.as(verdictColor(r.Verdict), fmt.Sprintf("%-11s", Escape(string(r.Verdict)))), r.Exit, Escape(shorten(text, widest)))
	return p.String()
}

func plus(a, b state.Counts) state.Counts {
	return state.Counts{
		Created: a.Created + b.Created, Changed: a.Changed + b.Changed, Pruned: a.Pruned + b.Pruned, Adopted: a.Adopted + b.Adopted,
		Unchanged: a.Unchanged + b.Unchanged, Drifted: a.Drifted + b.Drifted, Failed: a.Failed + b.Failed, Deferred: a.Deferred + b.Deferred,
		Kept: a.Kept + b.Kept,
	}
}

// Fleet is how the runs of a fleet's ledgers went.
type Fleet struct {
	// Runs counts the ledgers that were this process's, by how they went.
	Runs map[state.Verdict]int
	// Ledgers is how many the whole fleet has, and Shard which of them were
	// this process's, empty for all.
	Ledgers int
	Shard   string
	Took    time.Duration
}

// Text shows it on one line.
func (f Fleet) Text(style Style) string {
	p := &page{Style: style}
	runs := 0
	var parts []string
	for _, v := range []state.Verdict{
		state.Changed, state.Unchanged, state.Waiting, state.Skipped, state.Refused, state.Partial, state.RolledBack, state.Failed, state.Interrupted,
	} {
		if n := f.Runs[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.Paint.as(verdictColor(v), string(v))))
			runs += n
		}
	}
	text := plural(runs, "ledger")
	if f.Shard != "" {
		text = fmt.Sprintf("%d of %s (shard %s)", runs, plural(f.Ledgers, "ledger"), f.Shard)
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	p.line("%s in %s", text, seconds(f.Took.Seconds()))
	return p.String()
}
