package term

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tidemark.dev/tidemark/state"
)

// Status is what a ledger's head tells people, with what waits for approval.
type Status struct {
	Head state.Head
	// Records are the newest ones, newest first.
	Records []state.Record
	Now     time.Time
}

// Text shows the status: the apps, what waits, who holds the lease.
func (s Status) Text(style Style) string {
	p := &page{Style: style}
	if s.Head.Seq == 0 {
		p.line("no run yet")
		return p.String()
	}
	p.apps(s)
	p.waiting(s)
	if s.Head.Freeze.Holds(s.Now) {
		p.line("%s %s", p.Paint.as(yellow, "frozen:"), Escape(suspended(s.Head.Freeze)))
	}
	lease := s.Head.Lease
	switch {
	case !lease.Free:
		p.line("%s run %s of %s, since %s", p.Paint.as(yellow, "lease: held by"), Escape(lease.Run), Escape(lease.Holder), when(lease.Renewed))
	case s.Head.Open():
		p.line("%s run %s left a plan open; the next run takes over", p.Paint.as(yellow, "lease: free, but"), Escape(lease.Run))
	default:
		p.line("lease: free")
	}
	if a := s.Head.Audit; a.Seq > 0 {
		folded := ""
		if a.Folded != nil {
			folded = fmt.Sprintf(", and %s since", plural(a.Folded.Runs, "unchanged run"))
		}
		p.line("last run: %s, record %d, %s (%s)%s", p.Paint.as(verdictColor(a.Verdict), Escape(string(a.Verdict))), a.Seq, when(a.Finished), ago(s.Now.Sub(a.Finished)), folded)
	}
	return p.String()
}

func (p *page) apps(s Status) {
	last := s.last()
	rows := [][]string{{"APP", "REVISION", "LAST RUN", "HEALTH", ""}}
	for _, name := range slices.Sorted(maps.Keys(s.Head.Apps)) {
		app := s.Head.Apps[name]
		rows = append(rows, []string{name, applied(app), string(last[name].Verdict), string(app.Health), notes(app, s.Now)})
	}
	p.table(rows)
}

func applied(app state.App) string {
	return wanted(state.AppRecord{Revision: app.Revision, Chart: app.Chart})
}

func notes(app state.App, now time.Time) string {
	var list []string
	if app.Plan != nil {
		list = append(list, "plan open")
	}
	if app.Left {
		list = append(list, "left the configuration: its objects stay")
	}
	if app.NewCluster {
		list = append(list, "new cluster: nothing is pruned yet")
	}
	if app.Suspend.Holds(now) {
		list = append(list, "suspended: "+suspended(app.Suspend))
	}
	if app.Pin != nil {
		list = append(list, "pinned to "+app.Pin.Text())
	}
	if app.Quarantine != nil {
		list = append(list, "quarantined: "+app.Quarantine.Text())
	}
	for _, c := range app.Contests {
		if c.Contested() {
			list = append(list, c.Text())
		}
	}
	if app.Approval != nil {
		list = append(list, "approved by "+app.Approval.Actor+": "+app.Approval.Reason)
	}
	return strings.Join(list, "; ")
}

// suspended says who suspended, for how long and why.
func suspended(s *state.Suspension) string {
	until := ""
	if !s.Until.IsZero() {
		until = ", until " + when(s.Until)
	}
	return "by " + s.Actor + until + ": " + s.Reason
}

// last gives the newest word on each app. The record of a command says nothing of
// how the app is.
func (s Status) last() map[string]state.AppRecord {
	last := map[string]state.AppRecord{}
	for _, r := range s.Records {
		for _, app := range r.Apps {
			if _, known := last[app.Name]; !known && r.Command == "" {
				last[app.Name] = app
			}
		}
	}
	return last
}

// waiting shows the plans that were refused last and are not approved yet.
func (p *page) waiting(s Status) {
	last := s.last()
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if last[name].Verdict == state.Waiting {
			p.line("%s %s: %s", p.Paint.as(yellow, "waits:"), Escape(name), Escape(last[name].Message))
			if approval := s.Head.Apps[name].Approval; last[name].Proposal != nil && (approval == nil || approval.PlanHash != last[name].PlanHash) {
				p.approve(last[name].PlanHash)
			}
		}
		for _, r := range last[name].Refusals {
			if approval := s.Head.Apps[name].Approval; r.PlanHash == "" || approval != nil && approval.PlanHash == r.PlanHash {
				continue
			}
			p.line("%s %s: %s", p.Paint.as(yellow, "waits for approval:"), Escape(name), Escape(r.Message))
			p.approve(r.PlanHash)
			break
		}
	}
}

// History shows records, a line each, newest first.
func History(records []state.Record, style Style) string {
	p := &page{Style: style}
	if len(records) == 0 {
		p.line("no run yet")
		return p.String()
	}
	rows := [][]string{{"RECORD", "FINISHED", "VERDICT", "EXIT", "TRIGGER", "ACTOR", "WHAT"}}
	for _, r := range records {
		rows = append(rows, []string{fmt.Sprint(r.Seq), when(r.Finished), string(r.Verdict), fmt.Sprint(r.Exit), r.Trigger, r.Actor, what(r)})
	}
	p.table(rows)
	return p.String()
}

func what(r state.Record) string {
	var parts []string
	if r.Folded != nil {
		parts = append(parts, fmt.Sprintf("(after %s)", plural(r.Folded.Runs, "unchanged run")))
	}
	if r.Message != "" {
		parts = append(parts, r.Message)
	}
	for _, app := range r.Apps {
		if app.Verdict == state.Unchanged {
			continue
		}
		c := app.Counts
		c.Unchanged = 0
		text := strings.TrimSpace(app.Name + " " + counts(c))
		if app.Message != "" {
			text += ": " + app.Message
		}
		if text != app.Name || app.Verdict != state.Changed { // else the record's message has said it
			parts = append(parts, text)
		}
	}
	return shorten(strings.Join(parts, "; "), widest)
}

// table shows rows in columns; the first is the heading.
func (p *page) table(rows [][]string) {
	w := tabwriter.NewWriter(p, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = Escape(cell)
		}
		for len(cells) > 1 && cells[len(cells)-1] == "" {
			cells = cells[:len(cells)-1]
		}
		_, _ = io.WriteString(w, strings.Join(cells, "\t")+"\n") // It writes to memory.
	}
	_ = w.Flush()
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// ago gives a time span in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute") + " ago"
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour") + " ago"
	}
	return plural(int(d/(24*time.Hour)), "day") + " ago"
}
