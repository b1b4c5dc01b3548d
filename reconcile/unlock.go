package reconcile

import (
	"context"
	"fmt"

	"tidemark.dev/tidemark/state"
)

// Unlock takes the lease of a run that is dead away from it, and frees it. It
// watches the run as another run would, and is refused while that shows life;
// force does not wait, and stops a living run where it stands. What the run may
// have left on its way to the cluster is noted, so that the next run fences it
// off. Of the job it needs the ledger, and no cluster.
func Unlock(ctx context.Context, job Job, run string, force bool) (state.Record, error) {
	r := start(job)
	record, err := r.unlock(ctx, run, force)
	if err != nil {
		return record, fmt.Errorf("unlock: %w", err)
	}
	return record, nil
}

func (r *runner) unlock(ctx context.Context, run string, force bool) (state.Record, error) {
	if err := r.reason(); err != nil {
		return state.Record{}, err
	}
	head, err := r.job.Ledger.Load(ctx)
	if err != nil {
		return state.Record{}, within(ctx, err)
	}
	switch {
	case head.Idle():
		return state.Record{}, Refused(fmt.Errorf("%w: nobody holds the lease", ErrNeedless))
	case head.Lease.Run != run:
		return state.Record{}, Refused(fmt.Errorf("%w: %s, not run %s", ErrNotDead, (&state.HeldError{Head: head}).Error(), run))
	}
	waited, how := state.Waited{End: state.Stale, Head: head}, "although it was not proven dead"
	if !force {
		if waited, err = r.watch(ctx, head); err != nil {
			return state.Record{}, err
		}
		how = "which was dead"
	}
	doubt, err := doubt(ctx, r.job.Ledger, waited.Head)
	if err != nil {
		return state.Record{}, within(ctx, err)
	}
	l := &ledger{head: waited.Head}
	lasting, done := lasting(ctx)
	defer done()
	if l.tenure, err = r.job.Ledger.TakeOver(lasting, waited, doubt); err != nil {
		return state.Record{}, within(ctx, err)
	}
	holder := ""
	if head.Lease.Holder != "" {
		holder = " of " + head.Lease.Holder
	}
	return r.conclude(ctx, l, state.Record{
		Verdict: state.Unchanged, Apps: []state.AppRecord{},
		Message: fmt.Sprintf("took the lease from run %s%s, %s", run, holder, how),
	}, func(*state.Head) {})
}

// watch waits until the holder of a lease is proven dead; whatever else it sees
// is a refusal.
func (r *runner) watch(ctx context.Context, head state.Head) (state.Waited, error) {
	run := head.Lease.Run
	r.tell(Event{Stage: "wait", Message: fmt.Sprintf("whether run %s shows life", run)})
	waited, err := r.job.Ledger.Wait(ctx, head, r.job.LockTimeout)
	if err != nil {
		return state.Waited{}, within(ctx, err)
	}
	switch waited.End {
	case state.Stale:
		return waited, nil
	case state.Freed:
		err = fmt.Errorf("%w: run %s gave the lease back by itself", ErrNeedless, run)
	case state.Moved:
		err = fmt.Errorf("%w: run %s is alive", ErrNotDead, run)
		if waited.Head.Lease.Run != run {
			err = fmt.Errorf("%w: run %s has it by now", ErrNotDead, waited.Head.Lease.Run)
		}
	case state.TimedOut:
		err = fmt.Errorf("%w: within %s run %s was not proven dead", ErrNotDead, r.job.LockTimeout, run)
	}
	return state.Waited{}, Refused(err)
}
