package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// movedError says that the head is another than the one a write was based on,
// and not the one it wrote.
type movedError struct{ current Head }

// Error names the head's last holder.
func (e *movedError) Error() string {
	return fmt.Sprintf("write %d of the head is not this run's; run %s had the lease last", e.current.Seq, e.current.Lease.Run)
}

// write replaces the head base by next: the one place where a head is written.
//
// Whatever the store answers but yes, the outcome is unknown: even a refused
// condition may be the echo of an own write whose answer was lost. So the head is
// read back. The own nonce there is success; base unchanged lets the identical
// bytes be sent again, since they take effect at most once; anything else is a
// *movedError. ErrNoAnswer leaves the outcome unknown for good.
func (l *Ledger) write(ctx context.Context, base, next Head) (Head, error) {
	data, err := EncodeHead(next)
	if err != nil {
		return Head{}, err
	}
	if next, err = DecodeHead(data); err != nil { // what readers will see
		return Head{}, err
	}
	again := l.retry()
	for {
		stamp, err := l.send(ctx, base, data)
		if err == nil {
			next.Stamp = stamp
			return next, nil
		}
		current, readErr := l.Load(ctx)
		switch {
		case readErr != nil:
			return Head{}, fmt.Errorf("write %s: outcome unknown: %w: %w", headName, readErr, err)
		case current.Nonce == next.Nonce:
			return current, nil
		case current.Seq == 0 && base.Seq > 0:
			return Head{}, fmt.Errorf("write %s: %w: it is gone", headName, ErrDamaged)
		case current.Nonce != base.Nonce:
			return Head{}, &movedError{current: current}
		case errors.Is(err, ErrRefused):
			return Head{}, fmt.Errorf("write %s: %w", headName, err)
		}
		base.Stamp = current.Stamp
		if err := again.wait(ctx, err); err != nil {
			return Head{}, fmt.Errorf("write %s: outcome unknown: %w", headName, err)
		}
	}
}

// send asks the store once to replace base.
func (l *Ledger) send(ctx context.Context, base Head, data []byte) (Stamp, error) {
	if base.Seq == 0 {
		return l.create(ctx, headName, data, l.headTimeout())
	}
	return l.swap(ctx, headName, data, base.Stamp.Version, l.headTimeout())
}

// revise gives the head that follows base: edit's changes, a new number and
// nonce. What edit may not change stays as it is.
func (l *Ledger) revise(base Head, edit func(*Head)) (Head, error) {
	nonce, err := l.draw()
	if err != nil {
		return Head{}, err
	}
	next := base.clone()
	if edit != nil {
		edit(&next)
	}
	kept := base.clone()
	kept.Format, kept.Seq, kept.Nonce, kept.Stamp = Format, base.Seq+1, nonce, Stamp{}
	kept.Cluster, kept.Config, kept.Committed = next.Cluster, next.Config, next.Committed
	kept.Observed, kept.Reads, kept.Apps = next.Observed, next.Reads, next.Apps
	kept.Heard, kept.Witnessed, kept.Freeze = next.Heard, next.Witnessed, next.Freeze
	if kept.Apps == nil {
		kept.Apps = map[string]App{}
	}
	named := kept.Runs()
	for _, run := range base.Runs() {
		if !slices.Contains(named, run) && !slices.Contains(kept.Audit.Dropped, run) {
			kept.Audit.Dropped = append(kept.Audit.Dropped, run)
		}
	}
	return kept, nil
}
