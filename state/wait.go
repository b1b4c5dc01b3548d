package state

import (
	"context"
	"fmt"
	"time"
)

// Waited is what came of a Wait.
type Waited struct {
	End WaitEnd
	// Head is the newest one.
	Head Head
}

// WaitEnd is how a Wait ended.
type WaitEnd string

// The ends of a Wait.
const (
	// Moved: the holder lives. The run is skipped.
	Moved WaitEnd = "moved"
	// Freed: it moved, and nobody holds the lease now. A scheduled run is skipped
	// like after Moved; a command that a person waits for may start.
	Freed WaitEnd = "freed"
	// Stale: the holder is dead. TakeOver.
	Stale WaitEnd = "stale"
	// TimedOut: neither was certain when the timeout ended.
	TimedOut WaitEnd = "timed-out"
)

// A holder renews every quarter of its TTL, so polling three times as often
// sees it move after a third of its TTL at the latest.
const pollsPerTTL = 12

// Wait watches a head that is not Idle until its holder shows life, or has
// stood still so long that it can be taken over: 1.25 TTL on this runner's
// monotonic clock and more than one TTL by the store's clock. TTL is the holder's.
// A timeout above 0 bounds the wait.
//
// Errors: those of Load.
func (l *Ledger) Wait(ctx context.Context, head Head, timeout time.Duration) (Waited, error) {
	begun := l.clock.Mono()
	current, err := l.Load(ctx)
	if err != nil {
		return Waited{}, fmt.Errorf("wait for run %s: %w", head.Lease.Run, err)
	}
	// Counted from the answer that showed the head first to the question whose
	// answer showed it last, so that slow answers never make the time longer.
	still := l.clock.Mono()
	asked := still
	ttl := max(time.Duration(head.Lease.TTL), minTTL)
	pause := min(max(ttl/pollsPerTTL, 100*time.Millisecond), 5*time.Second)
	for {
		switch {
		case current.Idle():
			return Waited{End: Freed, Head: current}, nil
		case current.Nonce != head.Nonce:
			return Waited{End: Moved, Head: current}, nil
		case asked-still >= ttl+ttl/4 && current.Stamp.Now.Sub(current.Stamp.Modified) > ttl:
			return Waited{End: Stale, Head: current}, nil
		case timeout > 0 && l.clock.Mono()-begun >= timeout:
			return Waited{End: TimedOut, Head: current}, nil
		}
		nap := pause
		if timeout > 0 {
			nap = min(nap, timeout-(l.clock.Mono()-begun))
		}
		if err := l.clock.Sleep(ctx, nap); err != nil {
			return Waited{}, fmt.Errorf("wait for run %s: %w", head.Lease.Run, err)
		}
		asked = l.clock.Mono()
		if current, err = l.Load(ctx); err != nil {
			return Waited{}, fmt.Errorf("wait for run %s: %w", head.Lease.Run, err)
		}
	}
}
