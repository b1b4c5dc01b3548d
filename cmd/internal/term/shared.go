package term

import (
	"io"
	"strings"
	"sync"
)

// Shared gives a writer that several may write through at once: what is written
// in one piece stays together.
func Shared(w io.Writer) io.Writer { return &shared{w: w} }

type shared struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// Prefixed gives a writer that puts a prefix before each line; a piece that is
// written is expected to be one whole line or more.
func Prefixed(w io.Writer, prefix string) io.Writer { return prefixed{w: w, prefix: prefix} }

type prefixed struct {
	w      io.Writer
	prefix string
}

func (w prefixed) Write(p []byte) (int, error) {
	var b strings.Builder
	for line := range strings.Lines(string(p)) {
		b.WriteString(w.prefix + line)
	}
	if _, err := io.WriteString(w.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}
