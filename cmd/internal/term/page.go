package term

import (
	"fmt"
	"strings"

	"tidemark.dev/tidemark/render/source"
)

// Style says how results are shown. The zero Style is plain and shows all.
type Style struct {
	Paint Paint
	// Limit is how many changes of an app are listed; 0 lists all.
	Limit int
	// Flags go into commands that people are told to run, so that these find
	// the same ledger: "--config tidemark.yaml".
	Flags string
	// Logs are the commits that plans bring, by app.
	Logs map[string]*source.Log
}

// page gathers lines.
type page struct {
	strings.Builder
	Style
}

func (p *page) line(format string, args ...any) {
	_, _ = p.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n") // It writes to memory.
}

// command gives a command line of Tidemark with the flags that find the ledger.
func (p *page) command(words string) string {
	return strings.TrimSpace("tidemark " + words + " " + p.Flags)
}

// lines gives the lines of a text, none for an empty one.
func lines(text string) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// plural gives "1 object", "2 objects".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// counted joins the counts that are not zero: "2 created, 1 pruned".
func counted(parts ...count) string {
	var list []string
	for _, c := range parts {
		if c.n > 0 {
			list = append(list, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	return strings.Join(list, ", ")
}

type count struct {
	n    int
	word string
}
