package term

import (
	"fmt"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// Ledger is everything that a state holds, for people who repair it.
type Ledger struct {
	Head     state.Head
	Holdings []reconcile.Holding
	// Members lists the objects of each holding.
	Members bool
	Now     time.Time
}

// Text shows the ledger.
func (l Ledger) Text(style Style) string {
	p := &page{Style: style}
	if l.Head.Seq == 0 {
		p.line("there is no head: nothing ran with this state yet, or it was lost")
		return p.String()
	}
	h := l.Head
	rows := [][]string{
		{"lineage", h.Lineage},
		{"label", reconcile.LedgerLabel(h.Lineage)},
		{"cluster", or(h.Cluster, "none yet")},
		{"epoch", fmt.Sprintf("%d, write %d of the head%s", h.Epoch, h.Seq, l.witnessed())},
		{"lease", l.lease()},
		{"config", or(h.Config, "none yet")},
	}
	if a := h.Audit; a.Seq > 0 {
		rows = append(rows, []string{"records", fmt.Sprintf("%d, the newest %s, %s (%s)", a.Seq, a.Verdict, when(a.Finished), ago(l.Now.Sub(a.Finished)))})
	}
	p.table(rows)
	p.line("")
	if !l.Members {
		p.holdings(l.Holdings, l.Now)
	}
	for _, holding := range l.Holdings {
		if l.Members {
			p.members(holding, l.Now)
		}
		if holding.Err != nil {
			p.line("%s %s", p.Paint.as(red, "damaged:"), Escape(holding.Err.Error()))
		}
	}
	return p.String()
}

func (l Ledger) witnessed() string {
	if l.Head.Witnessed == 0 {
		return ""
	}
	return fmt.Sprintf(", the cluster knows epoch %d", l.Head.Witnessed)
}

// lease says who has the lease. How old it is goes by the store's clock alone.
func (l Ledger) lease() string {
	lease, stamp := l.Head.Lease, l.Head.Stamp
	age := stamp.Now.Sub(stamp.Modified).Round(time.Second)
	switch {
	case !lease.Free:
		return fmt.Sprintf("run %s of %s has it, renewed %s ago, for %s", lease.Run, lease.Holder, age, lease.TTL)
	case l.Head.Open():
		return fmt.Sprintf("free, but run %s left a plan open", lease.Run)
	case lease.Run == "":
		return "free"
	}
	return fmt.Sprintf("free; run %s had it last", lease.Run)
}

const unreadable = "the inventory cannot be read"

func (p *page) holdings(holdings []reconcile.Holding, now time.Time) {
	rows := [][]string{{"APP", "REVISION", "OBJECTS", "OF THEM", ""}}
	for _, h := range holdings {
		t := h.Tally()
		objects, which := fmt.Sprint(t.Objects), tally(t)
		if h.Err != nil {
			objects, which = "?", unreadable
		}
		rows = append(rows, []string{h.Name, revisionOf(h.App), objects, which, notes(h.App, now)})
	}
	if len(holdings) == 0 {
		p.line("no apps")
		return
	}
	p.table(rows)
}

func tally(t reconcile.Tally) string {
	ghosts := "ghost"
	if t.Ghosts > 1 {
		ghosts = "ghosts"
	}
	return counted(count{t.Created, "created"}, count{t.Adopted, "adopted"}, count{t.Kept, "kept"}, count{t.Ghosts, ghosts}, count{t.Doubted, "in doubt"})
}

// revisionOf names what was applied last, without its subject.
func revisionOf(app state.App) string {
	var parts []string
	if r := app.Revision; r != nil {
		parts = append(parts, shortRef(r.Ref)+shortCommit(r.Commit))
	}
	if c := app.Chart; c != nil && c.Name != "" {
		parts = append(parts, "chart "+c.Name+" "+c.Version)
	}
	return or(strings.Join(parts, ", "), "-")
}

func (p *page) members(h reconcile.Holding, now time.Time) {
	which := or(tally(h.Tally()), "no objects")
	if h.Err != nil {
		which = unreadable
	}
	p.line("%s  %s", p.Paint.as(bold, Escape(h.Name)), p.Paint.as(dim, which))
	if text := notes(h.App, now); text != "" {
		p.line("%s", Escape(text))
	}
	if len(h.Members) == 0 {
		return
	}
	rows := [][]string{{"OBJECT", "ORIGIN", "UID", ""}}
	for _, m := range h.Members {
		rows = append(rows, []string{m.ID.String(), string(m.Origin), or(m.UID, "not known"), doubts(m)})
	}
	p.table(rows)
}

// doubts says what is special about a member.
func doubts(m state.Member) string {
	var list []string
	if m.Kept {
		list = append(list, "kept")
	}
	if m.Ghost != nil && m.UID == "" {
		list = append(list, "ghost since "+when(*m.Ghost))
	}
	if m.Unsettled != nil {
		list = append(list, "in doubt since "+when(*m.Unsettled))
	}
	return strings.Join(list, ", ")
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
