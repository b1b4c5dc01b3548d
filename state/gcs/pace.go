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
	now := s.clock.Mono()
	turn := max(now, s.next[name])
	s.next[name] = turn + interval
	s.mu.Unlock()
	if turn == now {
		return nil
	}
	return s.clock.Sleep(ctx, turn-now)
}
