package state

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"time"
)

// Clock is the time as one runner sees it: two clocks, since a wall clock may
// be set and a monotonic one may stand still while the machine sleeps.
type Clock interface {
	// Wall gives the date and time.
	Wall() time.Time
	// Mono gives the time since some moment in the past; it never goes back.
	Mono() time.Duration
	// Sleep returns nil after d of Mono, or the cause of the context's end.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock gives the clock of this machine.
func SystemClock() Clock { return systemClock{start: time.Now()} } //nolint:forbidigo // The one real clock.

type systemClock struct{ start time.Time }

func (systemClock) Wall() time.Time { return time.Now().Round(0) } //nolint:forbidigo // The one real clock.

func (c systemClock) Mono() time.Duration { return time.Since(c.start) }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errTimeout is why the ledger gave up waiting for one answer.
var errTimeout = errors.New("no answer in time")

// within gives a context that ends after d of the clock. The caller must call
// the function it returns.
func within(ctx context.Context, clock Clock, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		if clock.Sleep(ctx, d) == nil {
			cancel(fmt.Errorf("%w (%s)", errTimeout, d))
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// Duration is a time.Duration that is written as people write it: "1m0s".
type Duration time.Duration

var (
	_ encoding.TextMarshaler   = Duration(0)
	_ encoding.TextUnmarshaler = (*Duration)(nil)
)

// String gives the duration as it is written.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText gives the duration as it is written.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(parsed)
	return nil
}
