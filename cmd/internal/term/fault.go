package term

// Fault shows an error to people: what went wrong, in as many lines as it has,
// and apart from it what to do.
func Fault(err error, hint string, style Style) string {
	p := &page{Style: style}
	for i, line := range lines(err.Error()) {
		if i == 0 {
			p.line("%s %s", p.Paint.as(red, "tidemark:"), Escape(line))
			continue
		}
		p.line("  %s", Escape(line))
	}
	if hint != "" {
		p.line("%s %s", p.Paint.as(cyan, "hint:"), EscapeLines(hint))
	}
	return p.String()
}

// Hint shows what to do.
func Hint(text string, style Style) string {
	return style.Paint.as(cyan, "hint:") + " " + EscapeLines(text) + "\n"
}

// Warning shows what is worth a look and stops nothing.
func Warning(text string, style Style) string {
	return style.Paint.as(yellow, "warning:") + " " + EscapeLines(text) + "\n"
}
