package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// dropDelay is how long blobs stay after the record that dropped them, so
	// that whoever still reads by an old head finds them.
	dropDelay = 7 * 24 * time.Hour
	// collectAtMost bounds the records that one run looks at.
	collectAtMost = 100
)

// Collectable gives the runs whose blobs may be deleted, of those that a record
// dropped: none before the record is seven days old and outside the retention,
// by the store's clock, and none that the head still names. ready is false while
// the record is too young; then no later record needs to be looked at.
func Collectable(record Record, head Head, retention time.Duration) (runs []string, ready bool) {
	if !old(record.Finished, head, retention) {
		return nil, false
	}
	named := append(head.Runs(), head.Lease.Run)
	for _, run := range record.Dropped {
		if !slices.Contains(named, run) {
			runs = append(runs, run)
		}
	}
	return runs, true
}

// old says whether what a run dropped that finished then may be collected.
func old(finished time.Time, head Head, retention time.Duration) bool {
	return head.Stamp.Now.Sub(finished) > max(dropDelay, retention)
}

// Collect deletes blobs of runs that nothing needs any more (Collectable), where
// the store is a Sweeper, and gives the number of blobs deleted. It goes on where
// the run before stopped and looks at a hundred records at most, and at none
// before the next is old enough. What it reached is stored by Settle.
//
// Errors: ErrLost, and those of the store. They harm nothing but the collection.
func (t *Tenure) Collect(ctx context.Context, retention time.Duration) (deleted int, err error) {
	sweeper, ok := t.ledger.store.(Sweeper)
	if !ok {
		return 0, nil
	}
	head, err := t.ledger.Load(ctx)
	if err != nil {
		return 0, fmt.Errorf("collect: %w", err)
	}
	if oldest := head.Audit.Oldest; !oldest.IsZero() && !old(oldest, head, retention) {
		return 0, nil
	}
	for seq := head.Audit.Swept + 1; seq <= head.Audit.Seq && seq <= head.Audit.Swept+collectAtMost; seq++ {
		record, _, err := t.ledger.ReadRecord(ctx, head, seq)
		var runs []string
		switch {
		case errors.Is(err, ErrNotFound): // An old record that its owner removed.
		case err != nil:
			return deleted, fmt.Errorf("collect: %w", err)
		default:
			var ready bool
			if runs, ready = Collectable(record, head, retention); !ready {
				t.mu.Lock()
				t.oldest = record.Finished
				t.mu.Unlock()
				return deleted, nil
			}
		}
		for _, run := range runs {
			n, err := t.sweep(ctx, sweeper, runsPrefix+run+"/")
			deleted += n
			if err != nil {
				return deleted, fmt.Errorf("collect run %s: %w", run, err)
			}
		}
		t.mu.Lock()
		t.swept = seq
		t.mu.Unlock()
	}
	return deleted, nil
}

// sweep deletes all objects below a prefix while the tenure holds.
func (t *Tenure) sweep(ctx context.Context, sweeper Sweeper, prefix string) (int, error) {
	t.ledger.requests.Add(1)
	entries, err := sweeper.List(ctx, prefix)
	if err != nil {
		return 0, err
	}
	for i, entry := range entries {
		if err := t.Check(); err != nil {
			return i, err
		}
		t.ledger.requests.Add(1)
		if err := sweeper.Delete(ctx, entry.Name); err != nil {
			return i, fmt.Errorf("delete %s: %w", entry.Name, err)
		}
	}
	return len(entries), nil
}
