package term

import (
	"cmp"
	"fmt"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// Plans shows what a run would do, app by app, with the fields that would
// change; for apps that have no plan, why.
func Plans(record state.Record, plans []plan.Plan, style Style) string {
	p := &page{Style: style}
	byApp := map[string]plan.Plan{}
	for _, one := range plans {
		byApp[one.App] = one
	}
	untouched := 0
	for _, app := range record.Apps {
		one, planned := byApp[app.Name]
		if !planned {
			p.title(app, verdictColor(app.Verdict))
			p.appTrouble(app)
			if app.Verdict == state.Unchanged {
				untouched += app.Counts.Unchanged
				p.line("  %s", summary(nil, app.Counts.Unchanged))
			}
			p.line("")
			continue
		}
		delete(byApp, app.Name)
		app.Engine = cmp.Or(app.Engine, one.Engine)
		p.title(app, "")
		p.commits(style.Logs[app.Name])
		p.plan(one)
	}
	for _, one := range plans {
		if _, left := byApp[one.App]; left {
			p.line("%s", p.Paint.as(bold, Escape(one.App)))
			p.plan(one)
		}
	}
	p.warnings("", record.Warnings)
	p.line("%s", p.Paint.as(bold, planSummary(plans, untouched)))
	return p.String()
}

// title names an app and what it wants.
func (p *page) title(app state.AppRecord, color string) {
	name := Escape(app.Name)
	if color != "" {
		name = p.Paint.as(color, name)
	}
	p.line("%s  %s", p.Paint.as(bold, name), p.Paint.as(dim, wanted(app)+renderedBy(app)))
}

// commits lists what a plan brings, as far as a page has room.
func (p *page) commits(log *source.Log) {
	if log == nil {
		return
	}
	for i, c := range log.Commits {
		if i == commitsShown {
			p.more(len(log.Commits) - i)
			break
		}
		p.line("  %s %s %s", p.Paint.as(cyan, shortCommit(Escape(c.Hash))), Escape(shorten(c.Subject, 70)), p.Paint.as(dim, Escape("("+authorName(c.Author)+")")))
	}
	if log.Note != "" {
		p.line("  %s", p.Paint.as(dim, Escape(log.Note)))
	}
}

// commitsShown is how many commits a page lists.
const commitsShown = 10

// wanted says which revision and chart an app wants.
func wanted(app state.AppRecord) string {
	var parts []string
	if r := app.Revision; r != nil && r.Commit != "" {
		text := shortRef(r.Ref) + shortCommit(r.Commit)
		if r.Subject != "" {
			text += " " + fmt.Sprintf("%q", shorten(r.Subject, 60))
		}
		parts = append(parts, text)
	}
	if c := app.Chart; c != nil && c.Name != "" {
		parts = append(parts, "chart "+c.Name+" "+c.Version)
	}
	return Escape(strings.Join(parts, ", "))
}

// renderedBy says which engine rendered an app, where it is known.
func renderedBy(app state.AppRecord) string {
	if app.Engine == "" {
		return ""
	}
	return Escape("  (" + app.Engine + ")")
}

func shortRef(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if name, ok := strings.CutPrefix(ref, prefix); ok {
			return name + "@"
		}
	}
	if ref == "" {
		return ""
	}
	return ref + "@"
}

func shortCommit(commit string) string {
	if len(commit) > 10 {
		return commit[:10]
	}
	return commit
}

func (p *page) plan(one plan.Plan) {
	listed, left := p.limited(len(one.Changes))
	for _, c := range one.Changes[:listed] {
		p.change(c)
	}
	p.more(left)
	for _, invalid := range one.Invalid {
		p.line("  %s %s", p.Paint.as(red, "the server refuses:"), Escape(invalid))
	}
	p.warnings("  ", one.Warnings)
	approvable := false
	for _, r := range one.Refusals {
		p.refusal(r.Reason, r.Message)
		approvable = approvable || r.Approvable
	}
	if approvable || one.NeedsApproval {
		p.approve(one.Hash)
	}
	if one.Waits != "" {
		p.line("  %s %s", p.Paint.as(yellow, "waits:"), Escape(one.Waits))
	}
	if one.Approved {
		p.line("  %s", p.Paint.as(green, "approved: the next sync carries this plan out"))
	}
	p.line("  %s", appSummary(one))
	p.line("")
}

// approve tells how to let a plan pass.
func (p *page) approve(hash string) {
	p.line("  to let exactly this pass, once: %s", p.Paint.as(cyan, p.command("approve "+Escape(hash)+" --reason '…'")))
}

// limited gives how many of n changes to list, and how many are left.
func (p *page) limited(n int) (listed, left int) {
	if p.Limit <= 0 || n <= p.Limit {
		return n, 0
	}
	return p.Limit, n - p.Limit
}

func (p *page) more(left int) {
	if left > 0 {
		p.line("  %s", p.Paint.as(dim, fmt.Sprintf("… and %d more", left)))
	}
}

func (p *page) warnings(indent string, warnings []string) {
	for _, w := range warnings {
		p.line("%s%s %s", indent, p.Paint.as(yellow, "warning:"), Escape(w))
	}
}

// sign gives the mark and colour of an action.
func sign(action plan.Action) (mark, color string) {
	switch action {
	case plan.Create:
		return "+", green
	case plan.Update:
		return "~", yellow
	case plan.Adopt:
		return ">", cyan
	case plan.Replace:
		return "-/+", red
	case plan.Prune:
		return "-", red
	case plan.Defer:
		return "?", yellow
	case plan.Run, plan.Await:
		return "!", cyan
	case plan.HandOver, plan.Keep, plan.Forget, plan.Report, plan.Fence:
	}
	return "=", dim
}

// because says why a change is there and, where its mark does not tell, what it
// does.
func because(action plan.Action, reason plan.Reason) string {
	switch action {
	case plan.Create, plan.Update, plan.Adopt, plan.Prune:
		return string(reason)
	case plan.Replace, plan.HandOver, plan.Keep, plan.Forget, plan.Defer, plan.Report, plan.Fence, plan.Run, plan.Await:
	}
	return string(action) + ", " + string(reason)
}

func (p *page) change(c plan.Change) {
	mark, color := sign(c.Action)
	note := because(c.Action, c.Reason)
	if c.IsHook() {
		note = c.Hook + " hook, " + note
	}
	if c.To != "" {
		note += ", to " + c.To
	}
	p.line("  %s %s  %s", p.Paint.as(color, mark), Escape(c.ID.String()), p.Paint.as(dim, Escape("("+note+")")))
	for _, d := range c.Diff {
		p.field(d)
		if d.Manager != "" {
			p.line("        %s", p.Paint.as(dim, "written by "+Escape(d.Manager)+" at "+Escape(d.At)))
		}
	}
	for _, loser := range c.Losers {
		p.line("      %s %s", p.Paint.as(dim, "taken from"), Escape(loser))
	}
	if c.Note != "" {
		p.line("      %s %s", p.Paint.as(yellow, "note:"), Escape(c.Note))
	}
}

func (p *page) field(d plan.FieldDiff) {
	name := Escape(d.Path)
	switch {
	case d.Masked:
		p.line("      %s: %s", name, p.Paint.as(dim, "(secret value changes)"))
	case d.Old == nil:
		p.line("      %s: %s", name, p.Paint.as(green, "+ "+value(d.New)))
	case d.New == nil:
		p.line("      %s: %s", name, p.Paint.as(red, "- "+value(d.Old)))
	case isText(d.Old) || isText(d.New):
		p.text(name, fmt.Sprint(d.Old), fmt.Sprint(d.New))
	default:
		old, now := values(d.Old, d.New)
		p.line("      %s: %s → %s", name, p.Paint.as(red, old), p.Paint.as(green, now))
	}
}

func (p *page) text(name, old, now string) {
	p.line("      %s:", name)
	for _, line := range lineDiff(old, now) {
		color := dim
		switch {
		case strings.HasPrefix(line, "- "):
			color = red
		case strings.HasPrefix(line, "+ "):
			color = green
		}
		p.line("        %s", p.Paint.as(color, line))
	}
}

func appSummary(one plan.Plan) string { return summary(one.Changes, one.Unchanged) }

// planSummary counts over all apps; those without a plan have untouched objects.
func planSummary(plans []plan.Plan, untouched int) string {
	var changes []plan.Change
	unchanged := untouched
	for _, one := range plans {
		changes = append(changes, one.Changes...)
		unchanged += one.Unchanged
	}
	return "Plan: " + summary(changes, unchanged)
}

// summary counts: "3 to create, 1 to change; 40 unchanged".
func summary(changes []plan.Change, unchanged int) string {
	n := map[plan.Action]int{}
	for _, c := range changes {
		n[c.Action]++
	}
	text := counted(
		count{n[plan.Create], "to create"}, count{n[plan.Update], "to change"}, count{n[plan.Adopt], "to adopt"},
		count{n[plan.Replace], "to replace"}, count{n[plan.Prune], "to prune"}, count{n[plan.Run], "to run"}, count{n[plan.Await], "to wait for"}, count{n[plan.HandOver], "to hand over"}, count{n[plan.Defer], "deferred"},
		count{n[plan.Report], "drifted"}, count{n[plan.Keep], "kept"}, count{n[plan.Forget], "to forget"},
	)
	if text == "" {
		text = "nothing to do"
	}
	return fmt.Sprintf("%s; %d unchanged", text, unchanged)
}
