package state

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Tenure is the right to act, from Claim to Settle. It is safe for concurrent
// use.
type Tenure struct {
	ledger *Ledger
	epoch  uint64
	// writing holds a token while nobody writes the head. (A channel, since the
	// wait may be long and ends with the context.)
	writing chan struct{}

	mu      sync.Mutex // guards what follows
	head    Head
	renewed moment    // just before the last successful write was first sent
	swept   uint64    // the newest record whose dropped runs were collected
	oldest  time.Time // when the run of the next such record finished
	ended   error     // ErrLost, or that it is settled
}

// moment is a time on both clocks of a runner.
type moment struct {
	wall time.Time
	mono time.Duration
}

func (l *Ledger) moment() moment { return moment{wall: l.clock.Wall(), mono: l.clock.Mono()} }

var errSettled = errors.New("the run has settled")

// Claim takes the lease on an Idle head: one write raises the epoch and commits
// what edit changes, the plans and the widened inventories. edit and errors are
// as with Append. After an error the lease may be held in this run's name; nothing
// was sent to the cluster and the lease runs out by itself.
func (l *Ledger) Claim(ctx context.Context, base Head, edit func(*Head)) (*Tenure, error) {
	var t *Tenure
	_, err := l.rebasing(base, func(base Head) (head Head, err error) {
		t, err = l.take(ctx, base, nil, edit)
		return head, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	return t, nil
}

// TakeOver is Claim on a head that a Wait found Stale. Waited may also be made by
// hand, when a person insists. The run that was interrupted is named in the
// record of Settle. When the head moved: *HeldError or ErrRestart.
func (l *Ledger) TakeOver(ctx context.Context, waited Waited, edit func(*Head)) (*Tenure, error) {
	base := waited.Head
	if waited.End != Stale || base.Idle() {
		return nil, fmt.Errorf("take over: the head was not found stale: %w", &HeldError{Head: base})
	}
	if l.run == "" {
		return nil, errors.New("take over: the ledger was opened without a run")
	}
	interrupted := append(base.clone().Lease.Interrupted, base.Lease.Run)
	t, err := l.take(ctx, base, interrupted, edit)
	if moved, ok := errors.AsType[*movedError](err); ok {
		if moved.current.Idle() {
			err = fmt.Errorf("%w: %w", ErrRestart, moved)
		} else {
			err = &HeldError{Head: moved.current}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("take over: %w", err)
	}
	return t, nil
}

// take writes the head that gives this run the lease.
func (l *Ledger) take(ctx context.Context, base Head, interrupted []string, edit func(*Head)) (*Tenure, error) {
	if err := l.seal(ctx, base); err != nil {
		return nil, err
	}
	next, err := l.revise(base, edit)
	if err != nil {
		return nil, err
	}
	next.Epoch = base.Epoch + 1
	next.Lease = Lease{Run: l.run, Holder: l.holder, TTL: Duration(l.ttl), Renewed: l.now(), Interrupted: interrupted}
	start := l.moment()
	head, err := l.write(ctx, base, next)
	if err != nil {
		return nil, err
	}
	t := &Tenure{ledger: l, epoch: head.Epoch, writing: make(chan struct{}, 1), head: head, renewed: start}
	t.writing <- struct{}{}
	return t, nil
}

// Head gives the newest head, as this tenure wrote it.
func (t *Tenure) Head() Head {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head
}

// Epoch gives the fence number of this tenure.
func (t *Tenure) Epoch() uint64 { return t.epoch }

// Interrupted gives the runs that were taken over from, oldest first.
func (t *Tenure) Interrupted() []string { return t.Head().clone().Lease.Interrupted }

// Left gives how long the right to send lasts without a further renewal: two
// thirds of the TTL since the last successful renewal began, by the shorter of
// the monotonic and the wall clock; 0 when it ended. The time-out of a request
// must not be longer.
func (t *Tenure) Left() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		return 0
	}
	now := t.ledger.moment()
	spent := max(now.mono-t.renewed.mono, now.wall.Sub(t.renewed.wall))
	return max(0, t.ledger.ttl*2/3-spent)
}

// Check says whether a request may be sent now: nil, or ErrLost. It must be
// asked before each request to the cluster.
func (t *Tenure) Check() error {
	left := t.Left()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended != nil:
		return t.ended
	case left == 0:
		return fmt.Errorf("%w: it was not renewed for %s", ErrLost, t.ledger.ttl*2/3)
	}
	return nil
}

// Sending gives the context for one request to the cluster: it ends with ctx, and
// with the right to send, so that no request outlives the lease that it was sent
// under. It must be asked before each request, and the function that it gives be
// called after it. The error is that of Check.
func (t *Tenure) Sending(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := t.Check(); err != nil {
		return nil, nil, err
	}
	bounded, done := within(ctx, t.ledger.clock, t.Left())
	return bounded, done, nil
}

// Commit writes the head once more while holding: a plan made later in the run,
// with its widened inventory. The lease is renewed with it. edit is as with
// Append.
//
// Errors: ErrLost, ErrNoAnswer.
func (t *Tenure) Commit(ctx context.Context, edit func(*Head)) error {
	_, err := t.advance(ctx, func(base Head) (Head, error) { return t.ledger.revise(base, edit) })
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Settle ends the tenure: one write brings the record and what edit changes (the
// narrowed inventories, the revisions, the observation), closes all open plans
// and frees the lease. It may be tried even when the right to send has ended, for
// the write itself is conditional. It gives the head and the record as written.
//
// Errors: ErrLost, ErrNoAnswer; the lease then runs out by itself.
func (t *Tenure) Settle(ctx context.Context, record Record, edit func(*Head)) (Head, Record, error) {
	var written Record
	head, err := t.advance(ctx, func(base Head) (Head, error) {
		if err := t.ledger.seal(ctx, base); err != nil {
			return Head{}, err
		}
		next, err := t.ledger.revise(base, func(h *Head) {
			if edit != nil {
				edit(h)
			}
			for name, app := range h.Apps {
				app.Plan = nil
				h.Apps[name] = app
			}
		})
		if err != nil {
			return Head{}, err
		}
		t.mu.Lock()
		next.Audit.Swept = max(next.Audit.Swept, t.swept)
		if t.oldest.After(next.Audit.Oldest) {
			next.Audit.Oldest = t.oldest
		}
		t.mu.Unlock()
		if written, err = t.ledger.inscribe(ctx, base, &next, record); err != nil {
			return Head{}, err
		}
		next.Lease.Free = true
		next.Lease.Interrupted = nil
		return next, nil
	})
	if err != nil {
		return Head{}, Record{}, fmt.Errorf("settle: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = errSettled
	return head, written, nil
}

// advance writes the head that follow makes of the newest one. A head of this
// very tenure that it does not know comes from an own write whose outcome stayed
// unknown, since only the holder writes: it is built upon.
func (t *Tenure) advance(ctx context.Context, follow func(base Head) (Head, error)) (Head, error) {
	select {
	case <-t.writing:
		defer func() { t.writing <- struct{}{} }()
	case <-ctx.Done():
		return Head{}, context.Cause(ctx)
	}
	for {
		t.mu.Lock()
		base, ended := t.head, t.ended
		t.mu.Unlock()
		if ended != nil {
			return Head{}, ended
		}
		next, err := follow(base)
		if err != nil {
			return Head{}, err
		}
		next.Lease.Renewed = t.ledger.now()
		start := t.ledger.moment()
		head, err := t.ledger.write(ctx, base, next)
		if next.Audit.Seq > base.Audit.Seq {
			head, err = t.ledger.orRecorded(ctx, head, err, next.Audit)
		}
		var moved *movedError
		switch {
		case err == nil:
			t.mu.Lock()
			t.head, t.renewed = head, start
			t.mu.Unlock()
			return head, nil
		case errors.Is(err, ErrDamaged):
			// The head is gone or unreadable: whoever mends it does not know of this run.
			return Head{}, t.lose(err)
		case !errors.As(err, &moved):
			return Head{}, err
		case t.wrote(moved.current) && moved.current.Seq > base.Seq:
			t.mu.Lock()
			t.head = moved.current
			t.mu.Unlock()
		default:
			return Head{}, t.lose(moved)
		}
	}
}

// wrote says whether a head was written by this tenure and holds the lease.
func (t *Tenure) wrote(head Head) bool {
	return head.Lease.Run == t.ledger.run && head.Epoch == t.epoch && !head.Lease.Free
}

// lose ends the tenure for good.
func (t *Tenure) lose(why error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended == nil {
		t.ended = fmt.Errorf("%w: %w", ErrLost, why)
	}
	return t.ended
}
