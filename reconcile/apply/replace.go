package apply

import (
	"context"
	"errors"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
)

// goneLooks bounds how often it is looked whether a deleted object is gone, with
// pauses of up to longestPause between the looks: about half a minute.
const (
	goneLooks    = 20
	longestPause = 2 * time.Second
)

// replace deletes exactly the object that was compared, waits until it is gone,
// and makes the desired one. Whatever ends it in between: the object is a member
// of the inventory without a UID, so that the next run makes it.
func (d *doer) replace(ctx context.Context, c plan.Change) Outcome {
	if d.options.Applied.has(c.UID) {
		return Outcome{Change: c, Verdict: Moved, Message: "this run applied the same object under another name"}
	}
	at := Target{UID: c.UID, ResourceVersion: c.ResourceVersion}
	err := d.retry(ctx, c, d.work.Live[c.ID].Meta, &at, func(ctx context.Context) error {
		return d.cluster.Delete(ctx, c.ID, c.Version, at, d.work.Propagation)
	})
	// An answer that was lost leaves open whether it is going.
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrUnanswered) {
		return d.unsettled(c, err)
	}
	if gone, waiting := d.gone(ctx, c, err != nil); !gone {
		if err == nil {
			err = waiting
		}
		if err == nil {
			return Outcome{Change: c, Verdict: Deferred, Message: "it is being deleted, and is made again when it is gone"}
		}
		return d.unsettled(c, err)
	}
	outcome := d.create(ctx, c)
	if outcome.Verdict == Created {
		outcome.Verdict = Replaced
	}
	return outcome
}

// gone waits until the object that a change deletes is gone, or another one is in
// its place. In doubt it looks once only: an object that stands may never go.
func (d *doer) gone(ctx context.Context, c plan.Change, doubt bool) (bool, error) {
	pause := 50 * time.Millisecond
	for look := 1; ; look++ {
		meta, err := d.read(ctx, c)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && meta.UID != c.UID:
			return true, nil
		case err != nil:
			return false, err
		case look == goneLooks, doubt && !meta.Terminating:
			return false, nil
		}
		if err := d.options.Sleep(ctx, pause); err != nil {
			return false, errUnsent{err}
		}
		pause = min(2*pause, longestPause)
	}
}
