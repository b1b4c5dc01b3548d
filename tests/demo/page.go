package main

import (
	"fmt"
	"os"
)

// page is what the reader sees: headings, prose and commands, in colour at a terminal.
type page struct {
	out      *os.File
	terminal bool
	color    bool
	step     int
}

func newPage(out *os.File) *page {
	info, err := out.Stat()
	p := &page{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
	p.color = p.terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return p
}

const (
	bold = "\x1b[1m"
	dim  = "\x1b[2m"
	cyan = "\x1b[36m"
)

func (p *page) as(style, text string) string {
	if !p.color {
		return text
	}
	return style + text + "\x1b[0m"
}

// heading begins the next step.
func (p *page) heading(title string) {
	p.step++
	fmt.Fprintf(p.out, "\n%s\n", p.as(bold, fmt.Sprintf("%d. %s", p.step, title)))
}

// say is prose.
func (p *page) say(text string) { fmt.Fprintln(p.out, text) }

// command shows what a user would type.
func (p *page) command(line string) {
	fmt.Fprintf(p.out, "%s %s\n", p.as(dim, "$"), p.as(cyan, line))
}
