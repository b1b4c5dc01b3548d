package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// Why a command is refused (exit 10).
var (
	// ErrNeedless: things are as the command would make them.
	ErrNeedless = errors.New("there is nothing to do")
	// ErrNotDead: the lease is another run's, or its holder was not proven dead.
	ErrNotDead = errors.New("the lease is not to be taken away")
)

// Refused marks an error as that of a rule which stands against what was asked
// (exit 10).
func Refused(err error) error { return &Fault{Exit: ExitRefused, Err: err} }

// reason checks that a command which changes the ledger by hand says why.
func (r *runner) reason() error {
	if strings.TrimSpace(r.job.Reason) == "" {
		return errors.New("give a reason: it stands in the record")
	}
	return nil
}

// begin reads the ledger for a command that a person waits for. It waits while
// another run is at work, and takes over from one that is dead.
func (r *runner) begin(ctx context.Context) (*ledger, error) {
	if err := r.reason(); err != nil {
		return nil, err
	}
	l, err := r.load(ctx)
	switch {
	case err != nil:
		return l, err
	case l.skipped && !l.head.Idle():
		return l, &state.HeldError{Head: l.head}
	}
	if l.skipped { // it was at work, and is done
		l.skipped = false
		err = r.hear(ctx, l)
	}
	return l, err
}

// commit makes a command's plans the ones that are being carried out, and takes
// the lease if it is not held yet.
func (r *runner) commit(ctx context.Context, l *ledger, p plan.Plan, inventory state.Inventory) error {
	c, err := r.commitment(ctx, p.App, p, inventory)
	if err != nil {
		return fmt.Errorf("claim: %w", within(ctx, err))
	}
	edit := func(head *state.Head) {
		a := head.Apps[c.app]
		a.Plan, a.Inventory = &c.plan, &c.inventory
		head.Apps[c.app] = a
	}
	ctx, done := lasting(ctx)
	defer done()
	if l.tenure != nil {
		return l.tenure.Commit(ctx, edit)
	}
	l.tenure, err = r.job.Ledger.Claim(ctx, l.head, func(head *state.Head) {
		hears(head)
		edit(head)
	})
	return within(ctx, err)
}

// signed gives the record of a command: who asked for it, when and why.
func (r *runner) signed(rec state.Record, config string) state.Record {
	rec.Trigger, rec.Actor, rec.Tool, rec.Config = r.job.Trigger, r.job.Actor, r.job.Tool, config
	rec.Started, rec.Finished = r.began.UTC(), r.job.Now().UTC()
	rec.Message = fmt.Sprintf("%s %s: %s", r.job.Actor, rec.Message, r.job.Reason)
	rec.Warnings, rec.Cost = slices.Concat(rec.Warnings, r.warnings), r.cost()
	return r.redacted(rec)
}

// conclude ends a command with one write of the head: what edit changes, and the
// record.
func (r *runner) conclude(ctx context.Context, l *ledger, rec state.Record, edit func(*state.Head)) (state.Record, error) {
	rec = r.signed(rec, l.head.Config)
	ctx, done := lasting(ctx)
	defer done()
	_, written, err := l.tenure.Settle(ctx, rec, func(head *state.Head) {
		l.witness.into(head)
		edit(head)
	})
	if err != nil {
		return rec, within(ctx, err)
	}
	return written, nil
}
