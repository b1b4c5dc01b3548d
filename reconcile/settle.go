package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// settleTime is how long an interrupted run may take to leave its record.
const settleTime = 5 * time.Second

// lasting gives a context that outlives ctx by settleTime: a write of the head
// that is cut off in the middle leaves a lease that nobody may take for a while,
// and one to the cluster leaves an object in doubt. When the lease is lost, there
// is nothing to wait for. The caller must call done.
func lasting(ctx context.Context) (_ context.Context, done func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), state.ErrLost) {
			cancel(context.Cause(ctx))
			return
		}
		time.AfterFunc(settleTime, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() {
		stop()
		cancel(context.Canceled)
	}
}

// settled is what one app brings into the head at the end.
type settled struct {
	app       *app
	inventory *state.Ref
	result    *state.Ref
	set       *state.Ref
	kept      []state.Kept // nil leaves them as they are
	proposal  *state.Proposal
	complete  bool
}

// settle ends the run with one write of the head: the record, the narrowed
// inventories, the revisions of the apps that are fully applied, what was
// observed; and it frees the lease. cause is what ended the run early.
func (r *runner) settle(ctx context.Context, l *ledger, apps []*app, cause error) error {
	defer r.stage("settle")()
	if l.tenure != nil && errors.Is(cause, state.ErrRestart) {
		// Nobody but the holder moves the head.
		cause = fmt.Errorf("%w: %s", state.ErrLost, cause) //nolint:errorlint // It must not start over.
	}
	r.report.Plans = plansOf(apps)
	r.report.Record = r.redacted(r.record(l, apps, cause))
	r.savePlans(ctx, l, apps)
	if errors.Is(cause, state.ErrRestart) {
		return cause
	}
	if r.job.Mode == PlanOnly || l.skipped || !l.loaded || errors.Is(cause, state.ErrLost) || errors.Is(cause, ErrWitness) {
		return cause
	}
	ctx, done := lasting(ctx)
	defer done()
	record, err := r.write(ctx, l, apps)
	var held *state.HeldError
	switch {
	case errors.Is(err, state.ErrRestart):
		return err
	case errors.As(err, &held) && cause != nil && !isHeld(cause):
		return cause // another run is at work, which is no reason to call this one well ended
	case errors.As(err, &held) && cause == nil && r.report.Record.Exit != ExitOK && r.report.Record.Exit != ExitRefused:
		// A refusal is different: it may be due to what the other run is doing just now.
		r.report.Record.Message = join(r.report.Record.Message, "not recorded, since "+held.Error())
		return nil
	case errors.As(err, &held):
		l.skipped, l.head = true, held.Head
		r.report.Record = r.record(l, nil, nil)
		return nil
	case err != nil:
		err = fmt.Errorf("settle: %w", err)
		r.report.Record.Exit = Worst(r.report.Record.Exit, ExitOf(err))
		r.report.Record.Verdict = state.Failed
		r.report.Record.Message = join(r.report.Record.Message, err.Error())
		return errors.Join(cause, err)
	}
	r.report.Record, r.report.Recorded = record, true
	return cause
}

// write puts what the head will name, and writes the head.
func (r *runner) write(ctx context.Context, l *ledger, apps []*app) (state.Record, error) {
	ends, err := r.ends(ctx, l, apps)
	if err != nil {
		return state.Record{}, err
	}
	r.refer(ends)
	memo, err := r.remember(ctx, l, apps, ends)
	if err != nil {
		return state.Record{}, err
	}
	config, err := r.keepConfig(ctx, l)
	if err != nil {
		return state.Record{}, err
	}
	edit := func(head *state.Head) {
		if config != nil {
			head.Committed = config
		}
		if l.cluster != "" {
			head.Cluster = l.cluster
		}
		if r.config.Digest != "" {
			head.Config = r.config.Digest
		}
		if memo.observed != nil {
			head.Observed = memo.observed
		}
		if memo.reads != nil {
			head.Reads = memo.reads
		}
		head.Ended(r.job.Now())
		l.witness.into(head)
		r.repin(head)
		for _, end := range ends {
			head.Apps[end.app.Name] = end.into(head.Apps[end.app.Name])
			if end.app.gone() {
				delete(head.Apps, end.app.Name)
			}
		}
	}
	if l.tenure != nil {
		_, record, err := l.tenure.Settle(ctx, r.report.Record, edit)
		return record, err
	}
	fold := time.Duration(0)
	if r.config.FoldUnchanged && r.report.Record.Verdict == state.Unchanged && !slices.ContainsFunc(apps, (*app).moved) {
		fold = time.Hour
	}
	_, record, err := r.job.Ledger.Append(ctx, l.head, r.report.Record, fold, edit)
	return record, err
}

// into gives what the head holds of the app from now on.
func (end settled) into(a state.App) state.App {
	if end.inventory != nil {
		a.Inventory = end.inventory
	}
	if end.result != nil {
		a.Result = end.result
	}
	if end.kept != nil {
		a.Kept = end.kept
	}
	if end.app.results != nil || end.complete && end.app.planned {
		a.Present = state.KeptDigest(end.app.digest)
	}
	a.Contests = end.app.contests(Sync)
	a.Left, a.Quarantine = end.app.left == plan.LeftStays, end.app.quarantine()
	if end.set != nil {
		a.Set = end.set
	}
	end.app.foundInto(&a)
	a.Proposal = end.proposal
	if end.app.stale {
		a.Approval = nil
	}
	a.Hooks = end.app.hooked(a.Hooks)
	switch {
	case end.app.left != plan.NotLeft:
		a.Inputs = "" // should it come back, it is looked at as a whole
	case end.complete:
		a.Inputs = end.app.inputs
		a.Revision, a.Chart = end.app.applied()
		a.NewCluster = false
	case end.app.results != nil:
		// What is live is neither the old revision nor the new one: the next run
		// looks at everything.
		a.Inputs = ""
	}
	return a
}

// ends stores what became of each app.
func (r *runner) ends(ctx context.Context, l *ledger, apps []*app) ([]settled, error) {
	var ends []settled
	changed := map[string]bool{}
	for _, a := range apps {
		if a.err != nil && a.results == nil {
			continue
		}
		ends = append(ends, settled{app: a, complete: a.succeeded()})
		if a.recalled != nil {
			if len(adoptedElsewhere(a, apps)) == 0 {
				continue
			}
			if err := r.readInventories(ctx, []*app{a}); err != nil {
				return nil, err
			}
		}
		after := narrow(a, l, r.job.Ledger.TTL(), apps)
		changed[a.Name] = !sameInventory(after, a.owned) || a.results != nil || a.strayed
		a.owned = after
	}
	return ends, storeAll(len(ends), func(i int) error { return r.store(ctx, &ends[i], changed[ends[i].app.Name]) })
}

// store puts what the head will name of one app.
func (r *runner) store(ctx context.Context, end *settled, inventory bool) error {
	a := end.app
	var err error
	if end.proposal, err = r.proposed(ctx, a); err != nil {
		return err
	}
	if inventory {
		ref, err := putInventory(ctx, r.job.Ledger, a.owned)
		if err != nil {
			return err
		}
		end.inventory = &ref
	}
	err = r.keepSet(ctx, end)
	if err == nil {
		err = r.keep(ctx, end)
	}
	if err != nil || a.results == nil {
		return err
	}
	data, err := json.Marshal(a.results)
	if err != nil {
		return fmt.Errorf("encode result of %s: %w", a.Name, err)
	}
	ref, err := r.job.Ledger.Put(ctx, "result-"+a.Name, r.redact(data))
	if err != nil {
		return err
	}
	end.result = &ref
	return nil
}

func sameInventory(a, b state.Inventory) bool {
	first, err := a.Encode()
	second, err2 := b.Encode()
	return err == nil && err2 == nil && string(first) == string(second)
}

// outcomes gives the last outcome of each object of an app; for an app that had
// nothing to act on, what its plan says about the inventory. A plan that must
// not be carried out changes nothing.
func (a *app) outcomes() map[object.ID]apply.Outcome {
	last := map[object.ID]apply.Outcome{}
	if a.planned && !a.acts() && !a.blocked() {
		for _, c := range a.plan.Changes {
			if outcome, noted := apply.Noted(c); noted {
				last[c.ID] = outcome
			}
		}
	}
	for _, result := range a.results {
		for _, o := range result.Outcomes {
			if _, noted := last[o.Change.ID]; noted && o.Verdict == apply.Fenced {
				continue // that it stays, or goes to another app, says more
			}
			last[o.Change.ID] = o
		}
	}
	for id := range a.relocated {
		delete(last, id)
	}
	return last
}

// moved says whether the app comes to another revision.
func (a *app) moved() bool {
	if a.left != plan.NotLeft {
		return !a.prior.Left
	}
	return a.prior.Revision != nil && a.prior.Revision.Commit != a.revision.Commit
}

// blocked says whether the app's plan must not be carried out.
func (a *app) blocked() bool {
	return len(a.plan.Refusals) > 0 || len(a.plan.Invalid) > 0 || a.waits()
}

// waits says whether there is something to do that may not be done now.
func (a *app) waits() bool { return a.plan.Waits != "" && a.plan.Acts() }

// succeeded says whether the cluster now holds everything that the app wants.
func (a *app) succeeded() bool {
	switch {
	case a.err != nil, a.blocked(), a.acts() && a.results == nil, !a.well(), a.reverted != nil:
		return false
	case a.untouched:
		return true
	}
	for _, o := range a.outcomes() {
		if !o.Verdict.Done() {
			return false
		}
	}
	return a.planned
}

func plansOf(apps []*app) []plan.Plan {
	var plans []plan.Plan
	for _, a := range apps {
		if a.planned {
			plans = append(plans, a.plan)
		}
	}
	return plans
}
