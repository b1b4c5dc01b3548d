package state

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// While runs work and renews the lease every quarter of its TTL meanwhile. When
// the lease is lost or the right to send ends, work's context ends with ErrLost as
// its cause, and While gives ErrLost joined with the error of work, once work has
// returned. Otherwise it gives the error of work as it is.
//
// The end of ctx ends work, but renewing goes on until work has returned.
func (t *Tenure) While(ctx context.Context, work func(context.Context) error) error {
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	renewing, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	ended := make(chan error, 1)
	go func() {
		lost := t.keep(renewing)
		if lost != nil {
			stop(lost)
		}
		ended <- lost
	}()

	err := work(working)
	done()
	switch lost := <-ended; {
	case lost == nil:
		return err
	case err == nil || errors.Is(err, ErrLost):
		return lost
	default:
		return errors.Join(lost, err)
	}
}

// keep renews the lease until pausing ends (nil) or the right to send does
// (ErrLost).
func (t *Tenure) keep(pausing context.Context) error {
	pause := t.ledger.ttl / 4
	for {
		t.mu.Lock()
		due := t.renewed.mono + pause - t.ledger.clock.Mono() // A Commit renews too.
		t.mu.Unlock()
		if due > 0 {
			if t.ledger.clock.Sleep(pausing, due) != nil {
				return nil
			}
			continue
		}
		if err := t.Check(); err != nil {
			return err
		}
		err := t.renew(pausing)
		if errors.Is(err, ErrLost) {
			return err
		}
		if over := t.Check(); over != nil {
			return fmt.Errorf("%w: %w", over, err)
		}
		if err != nil && t.ledger.clock.Sleep(pausing, min(pause/4, t.Left())) != nil {
			return nil
		}
	}
}

// lastRenewal is how long a renewal may go on that is under way when the work is
// done.
const lastRenewal = 5 * time.Second

// renew writes the head with nothing changed but the renewal. The end of ctx does
// not break it off at once, since a write that was sent had better be known to be
// done or not; the end of the right to send does.
func (t *Tenure) renew(ctx context.Context) error {
	pausing := ctx
	ctx, cancel := within(context.WithoutCancel(pausing), t.ledger.clock, t.Left())
	defer cancel()
	defer context.AfterFunc(pausing, func() {
		if t.ledger.clock.Sleep(ctx, lastRenewal) == nil {
			cancel()
		}
	})()
	_, err := t.advance(ctx, func(base Head) (Head, error) { return t.ledger.revise(base, nil) })
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	return nil
}
