package term

import (
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/history"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// AppHistory shows what records tell of one app, a line each, newest first.
func AppHistory(app string, records []state.Record, style Style) string {
	p := &page{Style: style}
	if len(records) == 0 {
		p.line("no record tells of the app %s", Escape(app))
		return p.String()
	}
	rows := [][]string{{"RECORD", "FINISHED", "VERDICT", "TRIGGER", "ACTOR", "REVISION", "WHAT"}}
	for _, r := range records {
		for _, one := range r.Apps {
			text := counts(one.Counts)
			if one.Message != "" {
				text = shorten(one.Message, widest)
			}
			rows = append(rows, []string{fmt.Sprint(r.Seq), when(r.Finished), string(one.Verdict), r.Trigger, r.Actor, wanted(one), text})
		}
	}
	p.table(rows)
	return p.String()
}

// Diff shows what changed between two runs, app by app.
func Diff(d history.Diff, style Style) string {
	p := &page{Style: style}
	p.line("%s", p.Paint.as(dim, fmt.Sprintf("from record %d (%s) to record %d (%s)", d.From.Seq, when(d.From.Finished), d.To.Seq, when(d.To.Finished))))
	var total []plan.Change
	unchanged := 0
	for _, app := range d.Apps {
		unchanged += app.Unchanged
		if len(app.Changes) == 0 && app.Unknown == "" {
			continue
		}
		p.line("")
		p.line("%s  %s", p.Paint.as(bold, Escape(app.App)), p.Paint.as(dim, stood(app.From)+" → "+stood(app.To)))
		if app.Unknown != "" {
			p.line("  %s %s", p.Paint.as(yellow, "not known:"), Escape(app.Unknown))
		}
		for _, c := range app.Changes {
			mark, color := sign(c.Action)
			p.line("  %s %s  %s", p.Paint.as(color, mark), Escape(c.ID.String()), p.Paint.as(dim, Escape(c.File)))
			p.fields(c.Diff)
			if c.Note != "" {
				p.line("      %s %s", p.Paint.as(yellow, "note:"), Escape(c.Note))
			}
			total = append(total, plan.Change{Action: c.Action})
		}
	}
	n := map[plan.Action]int{}
	for _, c := range total {
		n[c.Action]++
	}
	text := counted(count{n[plan.Create], "new"}, count{n[plan.Update], "changed"}, count{n[plan.Prune], "gone"}, count{unchanged, "unchanged"})
	p.line("")
	p.line("%s", p.Paint.as(bold, or(text, "nothing stood applied")))
	return p.String()
}

func (p *page) fields(fields []plan.FieldDiff) {
	for _, f := range fields {
		p.field(f)
	}
}

// stood names a revision that was applied.
func stood(at *history.Applied) string {
	if at == nil {
		return "nothing"
	}
	return or(wanted(state.AppRecord{Revision: at.Revision, Chart: at.Chart}), "no revision")
}

// Why shows the story of an object, newest first.
func Why(w history.Why, style Style) string {
	p := &page{Style: style}
	owner := "in no inventory now"
	if w.App != "" {
		owner = "app " + w.App
	}
	p.line("%s  %s", p.Paint.as(bold, Escape(w.ID.String())), p.Paint.as(dim, Escape(owner)))
	for _, write := range w.Writes {
		p.line("")
		p.write(w.App, write)
	}
	if len(w.Writes) == 0 {
		p.line("  no record of the newest %d tells who wrote it", w.Searched)
		return p.String()
	}
	if last := w.Writes[len(w.Writes)-1]; !slices.Contains([]string{"created", "adopted"}, last.Outcome) && w.Whole {
		p.line("")
		p.line("%s", p.Paint.as(dim, "what came before is in no record"))
	}
	return p.String()
}

func (p *page) write(owner string, w history.Write) {
	mark, color := sign(plan.Action(w.Action))
	by := ""
	if w.App != owner {
		by = " for the app " + Escape(w.App)
	}
	p.line("  %s %s%s  %s", p.Paint.as(color, mark), Escape(w.Outcome), by, p.Paint.as(dim, Escape("("+w.Reason+")")))
	rows := [][]string{{"when", when(w.Finished)}, {"run", fmt.Sprintf("%s, record %d", w.Run.Run, w.Seq)}, {"by", w.Trigger + ", " + w.Actor}}
	if r := w.Revision; r != nil && r.Commit != "" {
		rows = append(rows, []string{"repository", r.Repo})
		commit := shortRef(r.Ref) + r.Commit
		if w.From != "" && w.From != r.Commit {
			commit += " (before: " + shortCommit(w.From) + ")"
		}
		rows = append(rows, []string{"commit", commit})
		if r.Subject != "" {
			rows = append(rows, []string{"", strings.TrimSuffix(fmt.Sprintf("%q by %s", shorten(r.Subject, 60), r.Author), " by ")})
		}
	}
	if c := w.Chart; c != nil && c.Name != "" {
		rows = append(rows, []string{"chart", c.Name + " " + c.Version + " of " + c.Repo})
	}
	if w.File != "" {
		file := w.File
		if w.Document > 0 {
			file += fmt.Sprintf(" (document %d)", w.Document)
		}
		rows = append(rows, []string{"file", file})
	}
	for i := range rows {
		rows[i][0] = "    " + rows[i][0]
	}
	p.table(rows)
	p.fields(w.Diff)
	for _, line := range lines(w.Message) {
		p.line("      %s", Escape(line))
	}
	if w.Unknown != "" {
		p.line("      %s %s", p.Paint.as(yellow, "not known:"), Escape(w.Unknown))
	}
}
