package state

import (
	"context"
	"fmt"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// retry spaces out the repetitions of one request until patience ends.
type retry struct {
	clock Clock
	until time.Duration
	pause time.Duration
}

func (l *Ledger) retry() *retry {
	return &retry{clock: l.clock, until: l.clock.Mono() + l.patience, pause: firstPause}
}

// wait returns nil when the request may be sent again. Otherwise it gives why
// the last one failed, as ErrNoAnswer, or the cause of the context's end.
func (r *retry) wait(ctx context.Context, failed error) error {
	if ctx.Err() == nil && r.clock.Mono()+r.pause > r.until {
		return fmt.Errorf("%w: %w", ErrNoAnswer, failed)
	}
	if err := r.clock.Sleep(ctx, r.pause); err != nil {
		return fmt.Errorf("%w: %w", err, failed)
	}
	r.pause = min(2*r.pause, longPause)
	return nil
}
