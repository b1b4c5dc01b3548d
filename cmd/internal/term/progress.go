package term

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// Line shows a run on one line of a terminal, which is gone when the run ends.
// It is safe for concurrent use.
type Line struct {
	w     io.Writer
	paint Paint
	width func() int

	mu      sync.Mutex
	event   reconcile.Event
	object  string
	frame   int
	drawn   bool
	ended   chan struct{}
	drawing sync.WaitGroup
}

const (
	barWidth = 20
	// cadence is how often the line is drawn anew.
	cadence = 120 * time.Millisecond
)

// NewLine begins to draw. The caller must call End. width tells how many
// characters the terminal is wide.
func NewLine(w io.Writer, paint Paint, width func() int) *Line {
	l := &Line{w: w, paint: paint, width: width, ended: make(chan struct{})}
	l.drawing.Add(1)
	go l.keepDrawing()
	return l
}

func (l *Line) keepDrawing() {
	defer l.drawing.Done()
	ticker := time.NewTicker(cadence)
	defer ticker.Stop()
	for {
		select {
		case <-l.ended:
			return
		case <-ticker.C:
			l.Draw()
		}
	}
}

// Draw draws the line anew. It happens by itself several times a second.
func (l *Line) Draw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.event.Stage == "" {
		return
	}
	l.frame++
	l.drawn = true
	l.write("\r\x1b[K" + l.content())
}

// Tell takes what happens now.
func (l *Line) Tell(e reconcile.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Total == 0 && e.Stage == l.event.Stage {
		e.Done, e.Total = l.event.Done, l.event.Total
	}
	l.event, l.object = e, ""
	if e.Change != nil {
		l.object = e.Change.ID.String()
	}
}

// End stops drawing and cleans the line.
func (l *Line) End(state.Record) {
	close(l.ended)
	l.drawing.Wait()
	if l.drawn {
		l.write("\r\x1b[K")
	}
}

// write shows a text. A terminal that is gone is no reason to end a run.
func (l *Line) write(text string) { _, _ = io.WriteString(l.w, text) }

// content is the line as it stands now, without what starts and ends it.
func (l *Line) content() string {
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	parts := []string{l.event.Stage}
	if l.event.App != "" {
		parts = append(parts, l.event.App)
	}
	if total := l.event.Total; total > 0 {
		full := barWidth * min(l.event.Done, total) / total
		parts = append(parts, strings.Repeat("█", full)+strings.Repeat("░", barWidth-full), fmt.Sprintf("%d/%d", l.event.Done, total))
	}
	for _, text := range []string{l.object, l.event.Message} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	text := shorten(Escape(strings.Join(parts, "  ")), max(l.width()-3, 10))
	return l.paint.as(cyan, string(frames[l.frame%len(frames)])) + " " + text
}
