package term

import (
	"fmt"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// Record shows what a run did, app by app.
func Record(r state.Record, style Style) string {
	p := &page{Style: style}
	for _, app := range r.Apps {
		p.app(app)
	}
	p.warnings("", r.Warnings)
	p.interrupted(r)
	if r.Verdict == state.Skipped {
		p.line("%s", Escape(r.Message))
	}
	p.line("%s", p.runLine(r))
	return p.String()
}

func (p *page) interrupted(r state.Record) {
	if len(r.Interrupted) > 0 {
		p.line("%s %s", p.Paint.as(yellow, "taken over from the interrupted run"), Escape(strings.Join(r.Interrupted, ", ")))
	}
}

func (p *page) app(app state.AppRecord) {
	p.line("%s  %s  %s", p.Paint.as(bold, Escape(app.Name)), p.Paint.as(verdictColor(app.Verdict), Escape(string(app.Verdict))), p.Paint.as(dim, moved(app)+renderedBy(app)))
	listed, left := p.limited(len(app.Changes))
	// What went wrong is never among those that are left out.
	shown := 0
	for _, c := range app.Changes {
		if shown < listed || c.Message != "" {
			p.recorded(c)
			shown++
		}
	}
	p.more(min(left, len(app.Changes)-shown))
	p.appTrouble(app)
	p.health(app)
	if text := counts(app.Counts); text != "" {
		p.line("  %s", text)
	}
}

// moved says from where to where an app went.
func moved(app state.AppRecord) string {
	text := wanted(app)
	commit := ""
	if app.Revision != nil {
		commit = app.Revision.Commit
	}
	if app.From != "" && app.From != commit && text != "" {
		text = Escape(shortCommit(app.From)) + " → " + text
	}
	return text
}

// appTrouble shows what stood in the way of an app.
func (p *page) appTrouble(app state.AppRecord) {
	color := red
	if app.Verdict == state.Waiting || app.Verdict == state.Unchanged {
		color = yellow
	}
	for _, line := range lines(app.Message) {
		p.line("  %s", p.Paint.as(color, Escape(line)))
	}
	listed, left := p.limited(len(app.Refusals))
	for _, r := range app.Refusals[:listed] {
		p.refusal(r.Reason, r.Message)
	}
	p.more(left)
	for _, r := range app.Refusals {
		if r.PlanHash != "" {
			p.approve(r.PlanHash)
			break
		}
	}
	if app.Proposal != nil && len(app.Refusals) == 0 {
		p.approve(app.PlanHash)
	}
	p.warnings("  ", app.Warnings)
}

func (p *page) recorded(c state.Change) {
	mark, color := sign(plan.Action(c.Action))
	note := because(plan.Action(c.Action), plan.Reason(c.Reason))
	switch {
	case c.Action == reconcile.ActionDetach:
		mark, color = "<", cyan
		note = strings.ReplaceAll(c.Outcome, "-", " ")
	case !expected(c):
		note = c.Outcome + ": " + note
	}
	p.line("  %s %s  %s", p.Paint.as(color, mark), Escape(c.ID.String()), p.Paint.as(dim, Escape("("+note+")")))
	for _, line := range lines(c.Message) {
		p.line("      %s", p.Paint.as(yellow, Escape(line)))
	}
}

func (p *page) refusal(reason, message string) {
	p.line("  %s %s", p.Paint.as(red, "refused ("+Escape(reason)+"):"), Escape(message))
}

// expected says whether the outcome of a change says no more than its mark.
func expected(c state.Change) bool {
	switch apply.Verdict(c.Outcome) {
	case "", apply.Created, apply.Changed, apply.Adopted, apply.Replaced, apply.Pruned, apply.Fenced, apply.HandedOver, apply.Kept, apply.Forgotten, apply.Reported, apply.Ran, apply.Spared:
		return true
	case apply.Deferred, apply.Failed, apply.Moved, apply.TakenFirst, apply.Unknown, apply.Unsent, apply.Held, apply.Pending:
	}
	return false
}

func counts(c state.Counts) string {
	return counted(
		count{c.Created, "created"}, count{c.Changed, "changed"}, count{c.Adopted, "adopted"}, count{c.Pruned, "pruned"},
		count{c.Drifted, "drifted"}, count{c.Deferred, "deferred"}, count{c.Failed, "failed"}, count{c.Kept, "kept"},
		count{c.Unchanged, "unchanged"},
	)
}

func verdictColor(v state.Verdict) string {
	switch v {
	case state.Changed, state.Unchanged:
		return green
	case state.Waiting, state.Skipped, state.Partial, state.RolledBack:
		return yellow
	case state.Refused, state.Failed, state.Interrupted:
		return red
	}
	return dim
}

// runLine is the last line: the run as a whole.
func (p *page) runLine(r state.Record) string {
	text := p.Paint.as(verdictColor(r.Verdict), Escape(string(r.Verdict)))
	text += fmt.Sprintf(": %s in %s", plural(len(r.Apps), "app"), seconds(r.Cost.Seconds))
	if r.Seq > 0 {
		text += fmt.Sprintf(", record %d", r.Seq)
	}
	if r.Run != "" {
		text += ", run " + Escape(r.Run)
	}
	return text
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
