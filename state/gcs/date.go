package gcs

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// The storage library does not tell when the store answered, so the transport
// writes it down for whoever asks by the request's context.

type dateKey struct{}

// dateNote holds the Date header of the newest answer.
type dateNote struct {
	mu  sync.Mutex
	now time.Time
}

func noteDate(ctx context.Context) (context.Context, *dateNote) {
	note := &dateNote{}
	return context.WithValue(ctx, dateKey{}, note), note
}

func (n *dateNote) date() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

// dated fills in the notes.
type dated struct{ base http.RoundTripper }

func (d dated) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := d.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if note, ok := request.Context().Value(dateKey{}).(*dateNote); ok {
		if now, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			note.mu.Lock()
			note.now = now
			note.mu.Unlock()
		}
	}
	return response, nil
}
