package term

import (
	"fmt"
	"strings"

	"tidemark.dev/tidemark/reconcile"
)

// Examined is a check of a doctor, and what to do about it.
type Examined struct {
	reconcile.Check
	Advice string
}

// Doctor shows what a doctor found: a line for each check, and below those that
// did not go well what to do.
func Doctor(checks []Examined, style Style) string {
	p := &page{Style: style}
	wide := 0
	for _, c := range checks {
		wide = max(wide, len(c.Part)+len(c.What)+2)
	}
	n := map[reconcile.Health]int{}
	for i, c := range checks {
		n[c.Health]++
		label := fmt.Sprintf("%-*s", min(wide, 40), Escape(c.Part)+": "+Escape(c.What))
		health := p.Paint.as(healthColor(c.Health), fmt.Sprintf("%-9s", c.Health))
		indent := 9 + 1 + len([]rune(label)) + 2
		p.wrapped(health+" "+label+"  ", indent, c.Message)
		// What helps against several is said once, after the last of them.
		if c.Advice != "" && (i+1 == len(checks) || checks[i+1].Advice != c.Advice) {
			p.wrapped(strings.Repeat(" ", indent)+p.Paint.as(cyan, "hint:")+" ", indent+len("hint: "), c.Advice)
		}
	}
	p.line("%s", p.Paint.as(bold, counted(
		count{n[reconcile.Fine], "ok"}, count{n[reconcile.Warning], plain(n[reconcile.Warning], "warning")},
		count{n[reconcile.Failed], "failed"}, count{n[reconcile.Unchecked], "unchecked"},
	)))
	return p.String()
}

// pageWidth is how wide a table may be where its cells can be broken.
const pageWidth = 100

// wrapped shows a text behind what begins its first line, and breaks it between
// words; further lines are indented.
func (p *page) wrapped(begin string, indent int, text string) {
	line, room := "", max(pageWidth-indent, 30)
	for word := range strings.FieldsSeq(Escape(text)) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > room {
			p.line("%s%s", begin, line)
			begin, line = strings.Repeat(" ", indent), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	p.line("%s%s", begin, line)
}

func healthColor(h reconcile.Health) string {
	switch h {
	case reconcile.Fine:
		return green
	case reconcile.Warning:
		return yellow
	case reconcile.Failed:
		return red
	case reconcile.Unchecked:
	}
	return dim
}

// plain gives "warning", "warnings".
func plain(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
