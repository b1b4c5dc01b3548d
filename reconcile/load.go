package reconcile

import (
	"context"
	"errors"
	"fmt"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// ledger is the state of one attempt: the head it started from and, once the
// lease is held, the tenure.
type ledger struct {
	head    state.Head
	tenure  *state.Tenure
	loaded  bool
	skipped bool
	// label is the value of our label on every object of this ledger.
	label string
	kinds plan.Kinds
	// cluster is the UID of the target.
	cluster string
	// seen is what the last run observed; lists is what this one listed.
	seen  state.Observation
	lists *listing
	// owners tells which app has an object in its inventory, for every app of
	// the ledger.
	owners map[object.ID]plan.Holder
}

// holding runs work, under the lease when it is held.
func (l *ledger) holding(ctx context.Context, work func(context.Context) error) error {
	if l.tenure == nil {
		return work(ctx)
	}
	return l.tenure.While(ctx, work)
}

// load reads the head. While another run works on the ledger it waits, until
// that run shows life (this one is skipped) or is proven dead (this one takes
// over).
func (r *runner) load(ctx context.Context) (*ledger, error) {
	defer r.stage("load")()
	l := &ledger{}
	head, err := r.job.Ledger.Load(ctx)
	if err != nil {
		return l, fmt.Errorf("load state: %w", within(ctx, err))
	}
	if head.Seq == 0 && r.job.Mode == Sync {
		if _, err := r.job.Ledger.Probe(ctx); err != nil {
			return l, fmt.Errorf("first use of this state: %w", within(ctx, err))
		}
	}
	l.head, l.loaded, l.label = head, true, LedgerLabel(head.Lineage)
	if head.Idle() || r.job.Mode == PlanOnly {
		return l, l.readObserved(ctx, r)
	}
	r.tell(Event{Stage: "wait", Message: fmt.Sprintf("run %s of %s holds the lease", head.Lease.Run, head.Lease.Holder)})
	waited, err := r.job.Ledger.Wait(ctx, head, r.job.LockTimeout)
	if err != nil {
		return l, fmt.Errorf("wait for the lease: %w", within(ctx, err))
	}
	l.head = waited.Head
	if waited.End != state.Stale {
		l.skipped = true
		return l, nil
	}
	doubt, err := r.doubt(ctx, waited.Head)
	if err != nil {
		return l, fmt.Errorf("take over from run %s: %w", waited.Head.Lease.Run, within(ctx, err))
	}
	l.tenure, err = r.job.Ledger.TakeOver(ctx, waited, doubt)
	if _, ok := errors.AsType[*state.HeldError](err); ok {
		l.skipped = true
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("take over from run %s: %w", waited.Head.Lease.Run, within(ctx, err))
	}
	l.head = l.tenure.Head()
	return l, l.readObserved(ctx, r)
}

// readObserved reads the last observation. One that is lost costs a closer look
// at everything, and nothing else.
func (l *ledger) readObserved(ctx context.Context, r *runner) error {
	if l.head.Observed == nil {
		return nil
	}
	data, err := r.job.Ledger.Read(ctx, *l.head.Observed)
	if err == nil {
		l.seen, err = state.DecodeObservation(data)
	}
	switch {
	case errors.Is(err, state.ErrDamaged):
		r.warn("the last observation cannot be read, everything is looked at closely: " + err.Error())
		return nil
	case err != nil:
		return fmt.Errorf("load state: %w", within(ctx, err))
	}
	return nil
}

// doubt marks every member of an app whose plan its own run did not settle: what
// that run sent may still be on its way. It is committed with the take-over,
// since whatever becomes of this run, its end closes all plans.
func (r *runner) doubt(ctx context.Context, head state.Head) (edit func(*state.Head), err error) {
	doubted := map[string]state.Ref{}
	for name, app := range head.Apps {
		if app.Plan == nil || app.Inventory == nil {
			continue
		}
		inventory, err := r.inventory(ctx, app.Inventory)
		if err != nil {
			return nil, fmt.Errorf("inventory of app %s: %w", name, err)
		}
		inventory.App = name
		doubted[name], err = r.putInventory(ctx, inventory.Doubt(head.Stamp.Now, func(state.Member) bool { return true }))
		if err != nil {
			return nil, err
		}
	}
	return func(head *state.Head) {
		for name, ref := range doubted {
			app := head.Apps[name]
			app.Inventory = &ref
			head.Apps[name] = app
		}
	}, nil
}
