// Package apply carries a plan out: in the plan's order, side by side within a
// level, with the preconditions that the plan was made on.
//
// Laws: acting never decides: an object that is not as the plan saw it is left
// to the next run. Every request to an existing object names its UID and
// resourceVersion. A lost answer is unknown, never failed. Prunes come last, and
// only when every apply of the app succeeded.
package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Work is a plan and what it needs to be carried out.
type Work struct {
	Plan plan.Plan
	// Want holds the desired objects of the plan.
	Want object.Set
	// Hook gives the object of a hook's change.
	Hook func(plan.Change) (object.Object, bool)
	// Live is what the plan was made on.
	Live plan.Live
	// Force takes fields back from other managers.
	Force       bool
	Propagation string
	// Ledger is the value of the ledger's label.
	Ledger string
}

// Options say how to work.
type Options struct {
	// Width is how many requests are under way at once; 0 is 32.
	Width int
	// Sending is asked before every request: it gives the context to send it with,
	// which bounds it, or an error that stops all sending. The function that it
	// gives is called when the answer came. Required.
	Sending func(context.Context) (context.Context, context.CancelFunc, error)
	// Sleep waits, or returns early with the context's cause. Required.
	Sleep func(context.Context, time.Duration) error
	// Founded is called once the definitions and namespaces of the plan were
	// applied, and before anything else is; it may wait. nil is nothing. A plan of
	// nothing else does not call it.
	Founded func()
	// Healthy waits until objects are healthy, for as long as it may, and gives
	// those that are not. It is asked before a wave that has others before it, and
	// before what depends on other objects. nil takes every object for healthy.
	Healthy func(ctx context.Context, ids []object.ID) map[object.ID]Unhealthy
	// Pruning is asked once, before the first prune and when everything else is done;
	// what it says holds the prunes back. nil is nothing, and so is "".
	Pruning func(ctx context.Context) (hold string)
	// HooksEnded is told of hooks that ended, before any of them is deleted; after
	// an error none is. nil keeps them all.
	HooksEnded func(ctx context.Context, ended []Outcome) error
	// Applied is shared by all apps of a run. Required.
	Applied *Applied
	// Progress is told of each outcome; nil tells nobody. It is called from
	// many goroutines.
	Progress func(Outcome)
}

func (o Options) width() int {
	if o.Width == 0 {
		return defaultWidth
	}
	return o.Width
}

const (
	defaultWidth = 32
	// attempts bounds how often one request is sent again, be it because the
	// server was busy or because the object moved without a change that matters.
	attempts = 5
	// establishTime bounds the wait until definitions are served.
	establishTime = time.Minute
	// longestWait bounds what a server may ask for by Retry-After.
	longestWait = 30 * time.Second
)

// Do carries the work out and gives what became of each change. It never
// fails as a whole: what could not be done is in the outcomes.
func Do(ctx context.Context, cluster Cluster, work Work, options Options) Result {
	d := &doer{cluster: cluster, work: work, options: options, redefined: work.Plan.Redefines(work.Want), made: map[object.ID]string{}}
	way := course{doer: d, healthy: map[object.ID]bool{}}
	result := Result{App: work.Plan.App, Outcomes: make([]Outcome, len(work.Plan.Changes))}
	founded := options.Founded == nil
	begun := 0 // the first change of the stage
	for _, level := range levels(work.Plan.Changes) {
		changes, outcomes := work.Plan.Changes[level.from:level.to], result.Outcomes[level.from:level.to]
		if !founded && !changes[0].Founds() {
			founded = true
			options.Founded()
		}
		if !plan.SameStage(work.Plan.Changes[begun], changes[0]) {
			d.end(ctx, result.Outcomes[begun:level.from])
			begun = level.from
		}
		d.level(ctx, changes, outcomes, way.hold(ctx, changes, result.Outcomes[:level.from]))
	}
	d.end(ctx, result.Outcomes[begun:])
	return result
}

type doer struct {
	cluster Cluster
	work    Work
	options Options
	// redefined are the kinds whose definition the work makes or changes.
	redefined map[object.GroupKind]bool
	// made are the hooks that this work made, by their UIDs. Levels write it.
	made map[object.ID]string
}

// wanted gives the desired object of a change.
func (d *doer) wanted(c plan.Change) (object.Object, bool) {
	if c.IsHook() && d.work.Hook != nil {
		return d.work.Hook(c)
	}
	return d.work.Want.Get(c.ID)
}

// level carries out changes[i] into outcomes[i], side by side, but for those of
// which hold says why not.
func (d *doer) level(ctx context.Context, changes []plan.Change, outcomes []Outcome, hold func(plan.Change) string) {
	var group errgroup.Group
	group.SetLimit(d.options.width())
	for i, change := range changes {
		group.Go(func() error {
			outcome := Outcome{Change: change, Verdict: Held, Message: hold(change)}
			if outcome.Message == "" || !change.Action.Writes() && change.Action != plan.Await {
				outcome = d.change(ctx, change)
			} else if outcome.Message == notNeeded {
				outcome.Verdict = Spared
			}
			outcomes[i] = outcome
			if d.options.Progress != nil {
				d.options.Progress(outcome)
			}
			return nil
		})
	}
	_ = group.Wait()
	d.establish(ctx, changes, outcomes)
	d.finish(ctx, changes, outcomes)
}

// establish waits until the definitions of a level are served, since what comes
// after may be of their kinds. One that is not in time has failed.
func (d *doer) establish(ctx context.Context, changes []plan.Change, outcomes []Outcome) {
	var names []string
	var waiting []int
	for i, c := range changes {
		if c.ID.Kind == "CustomResourceDefinition" && c.Action != plan.Prune && outcomes[i].Verdict.Done() && outcomes[i].Meta.UID != "" {
			names, waiting = append(names, c.ID.Name), append(waiting, i)
		}
	}
	if len(names) == 0 || ctx.Err() != nil {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, establishTime)
	defer cancel()
	err := d.cluster.Established(bounded, names)
	if err == nil || ctx.Err() != nil {
		return // of a run that ends, nothing comes after
	}
	for _, i := range waiting {
		outcomes[i].Verdict, outcomes[i].Message = Failed, err.Error()
	}
}

// change carries out one change.
func (d *doer) change(ctx context.Context, c plan.Change) Outcome {
	switch c.Action {
	case plan.Create:
		return d.create(ctx, c)
	case plan.Update:
		return d.update(ctx, c, Changed)
	case plan.Adopt:
		return d.update(ctx, c, Adopted)
	case plan.Replace:
		return d.replace(ctx, c)
	case plan.Prune:
		return d.prune(ctx, c)
	case plan.Run:
		return d.run(ctx, c)
	case plan.Await:
		if c.Reason == plan.ReasonFailed {
			return Outcome{Change: c, Verdict: Failed, Message: c.Note}
		}
		return Outcome{Change: c, Verdict: Pending}
	case plan.HandOver, plan.Keep, plan.Forget, plan.Report, plan.Defer, plan.Fence:
	}
	if outcome, noted := Noted(c); noted {
		return outcome
	}
	return Outcome{Change: c, Verdict: Failed, Message: fmt.Sprintf("unknown action %q", c.Action)}
}

// Noted gives the outcome of a change that asks nothing of the cluster, and
// whether c is such a change.
func Noted(c plan.Change) (Outcome, bool) {
	o := Outcome{Change: c, Message: c.Note}
	switch c.Action {
	case plan.HandOver:
		o.Verdict, o.Message = HandedOver, "to "+c.To
	case plan.Keep:
		o.Verdict = Kept
	case plan.Forget:
		o.Verdict = Forgotten
	case plan.Report:
		o.Verdict = Reported
	case plan.Defer:
		o.Verdict = Deferred
		if c.Reason == plan.ReasonConflict {
			o.Verdict = Failed
		}
	case plan.Create, plan.Update, plan.Adopt, plan.Replace, plan.Prune, plan.Run, plan.Await, plan.Fence:
	}
	return o, o.Verdict != ""
}

// send asks whether it may, sends, and sends again while the server is busy.
func (d *doer) send(ctx context.Context, request func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := d.once(ctx, request)
		var busy *BusyError
		if !errors.As(err, &busy) || attempt == attempts {
			return err
		}
		if err := d.options.Sleep(ctx, min(max(busy.After, time.Second), longestWait)); err != nil {
			return errUnsent{err}
		}
	}
}

// sendWanted sends an apply. The server takes a moment to judge objects by a
// definition that was changed, and refuses by the old one until then.
func (d *doer) sendWanted(ctx context.Context, c plan.Change, request func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := d.send(ctx, request)
		if !errors.Is(err, ErrRejected) || !d.redefined[c.ID.GroupKind()] || attempt == attempts {
			return err
		}
		if d.options.Sleep(ctx, time.Second) != nil {
			return err
		}
	}
}

// once sends a request, if it still may.
func (d *doer) once(ctx context.Context, request func(context.Context) error) error {
	if ctx.Err() != nil {
		return errUnsent{context.Cause(ctx)}
	}
	sending, done, err := d.options.Sending(ctx)
	if err != nil {
		return errUnsent{err}
	}
	defer done()
	return request(sending)
}

// errUnsent is why a request was never sent.
type errUnsent struct{ cause error }

func (e errUnsent) Error() string { return "not sent: " + e.cause.Error() }

func (e errUnsent) Unwrap() error { return e.cause }

// failed gives the outcome of a request that did not succeed.
func (d *doer) failed(c plan.Change, err error) Outcome {
	o := Outcome{Change: c, Verdict: Failed, Message: err.Error()}
	var unsent errUnsent
	switch {
	case errors.As(err, &unsent):
		o.Verdict = Unsent
	case errors.Is(err, ErrNoKind):
		o.Verdict = Deferred
	case errors.Is(err, ErrUnanswered):
		o.Verdict = Unknown
	}
	if want, ok := d.wanted(c); ok && o.Verdict == Failed {
		o.Message = want.Origin.String() + ": " + o.Message
	}
	return o
}
