package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// ledger is the state of one attempt: the head it started from and, once the
// lease is held, the tenure.
type ledger struct {
	head   state.Head
	tenure *state.Tenure
	// watches show what becomes of what is applied; nil while nothing is.
	watches *watches
	witness testimony
	loaded  bool
	skipped bool
	// label is the value of our label on every object of this ledger.
	label string
	kinds plan.Kinds
	// cluster is the UID of the target.
	cluster string
	// recalled: kinds are those that the last run learned of.
	recalled bool
	// seen is what the last run observed; lists is what this one listed.
	seen  state.Observation
	lists *listing
	// reads is what the last renderings read; nil until it is asked for.
	reads map[string]state.AppReads
	// holdings are all apps of the ledger and of the run.
	holdings map[string]*app
	// owners tells which app has an object in its inventory: of the objects that a
	// plan of this run is about, or of all of them when searched.
	owners   map[object.ID]plan.Holder
	searched bool
	// before are the apps that each app comes after.
	before map[string][]string
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
	l.head, l.loaded, l.label = head, true, LedgerLabel(head.Lineage)
	if head.Idle() || r.job.Mode == PlanOnly {
		return l, r.recollect(ctx, l)
	}
	r.tell(Event{Stage: "wait", Message: fmt.Sprintf("run %s of %s holds the lease", head.Lease.Run, head.Lease.Holder)})
	waited, err := r.job.Ledger.Wait(ctx, head, r.job.LockTimeout)
	if err != nil {
		return l, fmt.Errorf("wait for the lease: %w", within(ctx, err))
	}
	l.head = waited.Head
	switch waited.End {
	case state.Stale:
	case state.TimedOut:
		return l, &Fault{Exit: ExitUnreachable, Err: fmt.Errorf(
			"wait for the lease: within %s it cannot be told whether run %s lives: give --lock-timeout more than %s, or leave it out",
			r.job.LockTimeout, head.Lease.Run, time.Duration(head.Lease.TTL)*5/4)}
	case state.Moved, state.Freed:
		l.skipped = true
		return l, nil
	}
	// A lease is not taken on the word of an old head, nor from where another
	// cluster is reached.
	err = r.hear(ctx, l)
	if err == nil {
		err = l.witness.unheard
	}
	if err == nil && !r.anyCluster {
		err = r.identify(ctx, l)
	}
	if err != nil {
		return l, fmt.Errorf("load state: %w", err)
	}
	doubt, err := doubt(ctx, r.job.Ledger, waited.Head)
	if err != nil {
		return l, fmt.Errorf("take over from run %s: %w", waited.Head.Lease.Run, within(ctx, err))
	}
	l.tenure, err = r.job.Ledger.TakeOver(ctx, waited, func(head *state.Head) {
		hears(head)
		doubt(head)
	})
	if _, ok := errors.AsType[*state.HeldError](err); ok {
		l.skipped = true
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("take over from run %s: %w", waited.Head.Lease.Run, within(ctx, err))
	}
	l.head = l.tenure.Head()
	if l.witness.behind {
		return l, nil // what was observed is of what the cluster lost
	}
	return l, l.readObserved(ctx, r)
}

// recollect hears the witness and reads what the last run observed, side by side.
func (r *runner) recollect(ctx context.Context, l *ledger) error {
	var observed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		observed = l.readObserved(ctx, r)
	}()
	err := r.hear(ctx, l)
	<-done
	if l.witness.behind {
		l.seen = state.Observation{} // it was of what the cluster lost
	}
	if err != nil {
		return fmt.Errorf("load state: %w", err)
	}
	return observed
}

// prove begins to probe a store before its first use: what a store is not fit for
// would only show when it is too late. What it gives waits for the proof, without
// which nothing may be written.
func (r *runner) prove(ctx context.Context, l *ledger) (proven func() error) {
	if l.head.Seq > 0 || r.job.Mode != Sync {
		return func() error { return nil }
	}
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		var probed state.Probed
		if probed, err = r.job.Ledger.Probe(ctx); err == nil && probed.Left != "" {
			r.warn("an object of the probe of this state could not be removed: " + probed.Left)
		}
	}()
	return func() error {
		if <-done; err != nil {
			l.loaded = false // nothing is written there
			return fmt.Errorf("first use of this state: %w", within(ctx, err))
		}
		return nil
	}
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
	case errors.Is(err, state.ErrDamaged), errors.Is(err, state.ErrNewer):
		r.warn("the last observation cannot be read, everything is looked at closely: " + err.Error())
		return nil
	case err != nil:
		return fmt.Errorf("load state: %w", within(ctx, err))
	}
	return nil
}

// doubt marks every member that the plan of a run means to touch which did not
// settle it: what that run sent may still be on its way. It is committed with the
// take-over, since whatever becomes of this run, its end closes all plans.
func doubt(ctx context.Context, ledger *state.Ledger, head state.Head) (edit func(*state.Head), err error) {
	doubted := map[string]state.Ref{}
	for _, name := range slices.Sorted(maps.Keys(head.Apps)) {
		app := head.Apps[name]
		if app.Plan == nil || app.Inventory == nil {
			continue
		}
		actions, err := openPlan(ctx, ledger, *app.Plan)
		if err != nil {
			return nil, fmt.Errorf("open plan of app %s: %w", name, err)
		}
		inventory, err := inventoryOf(ctx, ledger, name, app.Inventory)
		if err != nil {
			return nil, err
		}
		inventory = inventory.Doubt(head.Stamp.Now, func(m state.Member) bool { return actions[m.ID].Writes() })
		inventory = inventory.Haunt(head.Stamp.Now, func(m state.Member) bool {
			return actions[m.ID] == plan.Create || actions[m.ID] == plan.Replace || actions[m.ID] == plan.Run
		})
		if doubted[name], err = putInventory(ctx, ledger, inventory); err != nil {
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

// openPlan gives what a plan that was not settled means to do, by object.
func openPlan(ctx context.Context, ledger *state.Ledger, ref state.Ref) (map[object.ID]plan.Action, error) {
	data, err := ledger.Read(ctx, ref)
	if err != nil {
		return nil, err
	}
	var open plan.Plan
	if err := json.Unmarshal(data, &open); err != nil {
		return nil, fmt.Errorf("%w: decode %s: %w", state.ErrDamaged, ref.Path, err)
	}
	actions := map[object.ID]plan.Action{}
	for _, c := range open.Changes {
		actions[c.ID] = c.Action
	}
	return actions, nil
}

// inventoryOf reads what an app owns; nothing, when it owns nothing yet.
func inventoryOf(ctx context.Context, ledger *state.Ledger, app string, ref *state.Ref) (state.Inventory, error) {
	inventory := state.Inventory{App: app}
	if ref == nil {
		return inventory, nil
	}
	data, err := ledger.Read(ctx, *ref)
	if err == nil {
		inventory, err = state.DecodeInventory(data)
	}
	if err == nil && inventory.App != app {
		err = fmt.Errorf("%w: it is the inventory of the app %q", state.ErrDamaged, inventory.App)
	}
	if err != nil {
		return state.Inventory{}, fmt.Errorf("inventory of app %s: %w", app, err)
	}
	return inventory, nil
}

func putInventory(ctx context.Context, ledger *state.Ledger, inventory state.Inventory) (state.Ref, error) {
	data, err := inventory.Encode()
	if err != nil {
		return state.Ref{}, err
	}
	return ledger.Put(ctx, "inventory-"+inventory.App, data)
}
