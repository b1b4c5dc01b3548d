package gcs

import (
	"context"
	"time"
)

const (
	// interval is how far apart the writes of one name are, by one process.
	interval     = time.Second
	longestPause = 8 * time.Second
)

// pace waits until a name may be written again.
func (s *Store) pace(ctx context.Context, name string) error {
	s.mu.Lock()
	wait := s.next[name] - s.clock.Mono()
	s.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	return s.clock.Sleep(ctx, wait)
}

// wrote notes that a name was written, or may have been.
func (s *Store) wrote(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next[name] = s.clock.Mono() + interval
}
