package servers

import (
	"context"
	"net/http"
)

// deaf is a ResponseWriter that nobody hears.
type deaf struct{ header http.Header }

func (d deaf) Header() http.Header         { return d.header }
func (d deaf) Write(b []byte) (int, error) { return len(b), nil }
func (d deaf) WriteHeader(int)             {}

// late holds the beginning of an answer back.
type late struct {
	http.ResponseWriter
	until <-chan struct{}
	ctx   context.Context //nolint:containedctx // the request's own, for as long as it is answered
}

func (l *late) WriteHeader(status int) {
	if !wait(l.ctx, l.until) {
		cut(l.ResponseWriter)
	}
	l.ResponseWriter.WriteHeader(status)
}

func (l *late) Unwrap() http.ResponseWriter { return l.ResponseWriter }

// telling tells that an answer begins.
type telling struct {
	http.ResponseWriter
	tell func(status int)
}

func (t *telling) WriteHeader(status int) {
	if status >= http.StatusOK { // before it, the server only says that it goes on
		t.tell(status)
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *telling) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// short cuts an answer off in the middle.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(b []byte) (int, error) {
	n := min(len(b), s.left)
	_, err := s.ResponseWriter.Write(b[:n])
	s.left -= n
	if s.left == 0 {
		_ = http.NewResponseController(s.ResponseWriter).Flush() // what came through came through
		cut(s.ResponseWriter)
	}
	return n, err
}

func (s *short) Unwrap() http.ResponseWriter { return s.ResponseWriter }
