package term

import (
	"fmt"
	"strings"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

const (
	// commentLimit is what a comment of a pull request may hold, 65,536 characters,
	// less what a workflow may want to add. Bytes are counted, of which there are
	// never fewer.
	commentLimit = 60_000
	// fenceLimit bounds what is shown of the fields of one object.
	fenceLimit = 8_000
	// rowsLimit bounds the table of apps, commitsLimit the list of commits.
	rowsLimit, commitsLimit = 100, 50
)

// Markdown shows saved plans as a comment of a pull request: a line that sums up, a
// table of the apps, and what changes folded away. It is never longer than such a
// comment may be; what is left out is counted.
func Markdown(saved reconcile.Saved, flags string) string {
	m := &comment{}
	var plans []plan.Plan
	untouched := 0
	for _, a := range saved.Apps {
		untouched += a.Unchanged
		if a.Plan != nil {
			plans = append(plans, *a.Plan)
		}
	}
	m.add("### Tidemark: %s\n\n", strings.TrimPrefix(planSummary(plans, untouched), "Plan: "))
	for _, warning := range saved.Warnings {
		m.add("> ⚠️ %s\n", markdown(shorten(warning, 1000)))
	}
	m.add("\n| App | From | To | Plan |\n|---|---|---|---|\n")
	for i, a := range saved.Apps {
		if i == rowsLimit {
			m.add("| … and %s | | | |\n", plural(len(saved.Apps)-i, "more app"))
			break
		}
		m.add("| %s | %s | %s | %s |\n", markdown(a.Name), code(shortCommit(a.From)), m.to(a), markdown(standing(a)))
	}
	for _, a := range saved.Apps {
		m.app(a, flags)
	}
	if m.left > 0 {
		m.b.WriteString(fmt.Sprintf("\n_%s left out: `tidemark plan` shows everything._\n", plural(m.left, "part")))
	}
	return m.b.String()
}

// comment is Markdown that ends before a limit; left counts the parts that did not
// fit.
type comment struct {
	b    strings.Builder
	left int
}

// add adds a part as a whole, or not at all.
func (m *comment) add(format string, args ...any) {
	part := fmt.Sprintf(format, args...)
	if m.left > 0 || m.b.Len()+len(part) > commentLimit {
		m.left++
		return
	}
	m.b.WriteString(part)
}

func (m *comment) to(a reconcile.SavedApp) string {
	return markdown(shorten(wanted(state.AppRecord{Revision: a.Revision, Chart: a.Chart}), 120))
}

// standing says in a few words what is to become of an app.
func standing(a reconcile.SavedApp) string {
	var words []string
	if a.Plan == nil {
		if a.Verdict == state.Unchanged {
			return summary(nil, a.Unchanged)
		}
		return shorten(string(a.Verdict)+": "+a.Message, 300)
	}
	words = append(words, appSummary(*a.Plan))
	if len(a.Plan.Refusals) > 0 || len(a.Plan.Invalid) > 0 {
		words = append(words, "refused")
	}
	if a.Plan.NeedsApproval {
		words = append(words, "needs approval")
	}
	if a.Plan.Approved {
		words = append(words, "approved")
	}
	return strings.Join(words, "; ")
}

func (m *comment) app(a reconcile.SavedApp, flags string) {
	if a.Plan == nil || len(a.Plan.Changes)+len(a.Plan.Refusals)+len(a.Plan.Invalid)+len(a.Plan.Warnings) == 0 {
		return
	}
	m.add("\n#### %s\n\n", markdown(a.Name))
	approvable := a.Plan.NeedsApproval
	for _, r := range a.Plan.Refusals {
		approvable = approvable || r.Approvable
		m.add("- ❌ refused (%s): %s\n", markdown(r.Reason), markdown(shorten(r.Message, 2000)))
	}
	for _, invalid := range a.Plan.Invalid {
		m.add("- ❌ the server refuses: %s\n", markdown(shorten(invalid, 2000)))
	}
	if a.Plan.Waits != "" {
		m.add("- ⏳ waits: %s\n", markdown(shorten(a.Plan.Waits, 1000)))
	}
	for _, warning := range a.Plan.Warnings {
		m.add("- ⚠️ %s\n", markdown(shorten(warning, 1000)))
	}
	if approvable {
		page := page{Style: Style{Flags: flags}}
		m.add("- to let exactly this pass, once: %s\n", code(page.command("approve "+Escape(a.Plan.Hash)+" --reason '…'")))
	}
	m.commits(a.Log)
	for _, c := range a.Plan.Changes {
		m.change(c)
	}
	m.add("\nPlan %s\n", code(a.Plan.Hash))
}

func (m *comment) commits(log *source.Log) {
	if log == nil || len(log.Commits)+len(log.Note) == 0 {
		return
	}
	var list strings.Builder
	for i, c := range log.Commits {
		if i == commitsLimit {
			fmt.Fprintf(&list, "- … and %s\n", plural(len(log.Commits)-i, "more commit"))
			break
		}
		fmt.Fprintf(&list, "- %s %s, %s\n", code(shortCommit(c.Hash)), markdown(shorten(c.Subject, 200)), markdown(shorten(authorName(c.Author), 100)))
	}
	if log.Note != "" {
		fmt.Fprintf(&list, "- %s\n", markdown(log.Note))
	}
	m.add("\n<details><summary>%s</summary>\n\n%s\n</details>\n", plural(len(log.Commits), "commit"), list.String())
}

// authorName gives the name of "Name <address>".
func authorName(author string) string {
	name, _, _ := strings.Cut(author, " <")
	return name
}

// change shows one object, its fields folded away.
func (m *comment) change(c plan.Change) {
	if m.left > 0 {
		m.left++ // it would be left out whatever it holds
		return
	}
	mark, _ := sign(c.Action)
	why := because(c.Action, c.Reason)
	if c.IsHook() {
		why = c.Hook + " hook, " + why
	}
	title := fmt.Sprintf("%s %s (%s)", code(mark), markdown(c.ID.String()), markdown(why))
	page := &page{}
	for _, d := range c.Diff {
		fields(page, d)
	}
	for _, loser := range c.Losers {
		page.line("  taken from %s", Escape(loser))
	}
	if c.To != "" {
		page.line("  to %s", Escape(c.To))
	}
	if c.Note != "" {
		page.line("  note: %s", Escape(c.Note))
	}
	body := page.String()
	if body == "" {
		m.add("\n- %s\n", title)
		return
	}
	if len(body) > fenceLimit {
		cut := strings.LastIndexByte(body[:fenceLimit], '\n') + 1
		body = body[:cut] + fmt.Sprintf("… and %s\n", plural(strings.Count(body[cut:], "\n"), "more line"))
	}
	fence := "```"
	for strings.Contains(body, fence) {
		fence += "`"
	}
	m.add("\n<details><summary>%s</summary>\n\n%sdiff\n%s%s\n\n</details>\n", html(title), fence, body, fence)
}

// fields writes a field's difference as lines of a diff.
func fields(p *page, d plan.FieldDiff) {
	name := Escape(d.Path)
	switch {
	case d.Masked:
		p.line("! %s: (secret value changes)", name)
	case isText(d.Old) || isText(d.New):
		p.line("  %s:", name)
		for _, line := range lineDiff(textOf(d.Old), textOf(d.New)) {
			p.line("%s", line)
		}
	case d.Old == nil:
		p.line("+ %s: %s", name, value(d.New))
	case d.New == nil:
		p.line("- %s: %s", name, value(d.Old))
	default:
		old, now := values(d.Old, d.New)
		p.line("- %s: %s\n+ %s: %s", name, old, name, now)
	}
}

func textOf(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// code gives a text as inline code.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.NewReplacer("`", "'", "|", "¦").Replace(Escape(text)) + "`"
}

// markdown gives a text that means nothing in Markdown: it makes no markup, no
// mention of a person and no reference to an issue.
func markdown(text string) string {
	var b strings.Builder
	for _, r := range strings.Join(strings.Fields(Escape(text)), " ") {
		switch {
		case r == '@' || r == '<' || r == '>' || r == '&' || r == '#':
			fmt.Fprintf(&b, "&#%d;", r)
		case strings.ContainsRune("\\`*_[]|!~", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// html gives inline code as it is written within a tag.
func html(title string) string {
	before, rest, _ := strings.Cut(title, "`")
	inside, after, _ := strings.Cut(rest, "`")
	return before + "<code>" + strings.ReplaceAll(inside, ">", "&gt;") + "</code>" + after
}
