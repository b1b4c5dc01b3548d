package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/window"
	"tidemark.dev/tidemark/state"
)

// Suspend keeps runs from acting on apps, or on every app of the ledger (a
// freeze) when none is named, until a time or, when that is zero, until Resume.
// Who asked, when and why stand in the head and in a record. It waits for a run
// that is at work to end, and takes over from one that is dead. Of the job it
// needs the ledger, and no cluster.
func Suspend(ctx context.Context, job Job, apps []string, until time.Time) (state.Record, error) {
	r := start(job)
	suspension := &state.Suspension{Reason: job.Reason, Actor: job.Actor, Since: r.began.UTC(), Until: until.UTC()}
	if until.IsZero() {
		suspension.Until = time.Time{}
	}
	what := "suspended " + named(apps)
	if !until.IsZero() {
		if !until.After(r.began) {
			return state.Record{}, fmt.Errorf("suspend: %s is in the past", until.UTC().Format(time.RFC3339))
		}
		what += " until " + until.UTC().Format(time.RFC3339)
	}
	return r.note(ctx, "suspend", what, func(head *state.Head) error {
		if len(apps) == 0 {
			head.Freeze = suspension
		}
		return eachNamed(head, apps, func(app *state.App) { app.Suspend = suspension })
	})
}

// Resume ends what keeps runs from acting on apps, and from following their
// sources: suspensions, pins and quarantines. When no app is
// named it ends a freeze; apps that are suspended by name stay so. With nothing
// to end it is ErrNeedless.
func Resume(ctx context.Context, job Job, apps []string) (state.Record, error) {
	return start(job).note(ctx, "resume", "resumed "+named(apps), func(head *state.Head) error {
		ended := len(apps) == 0 && head.Freeze != nil
		if len(apps) == 0 {
			head.Freeze = nil
		}
		err := eachNamed(head, apps, func(app *state.App) {
			ended = ended || app.Suspend != nil || app.Pin != nil || app.Quarantine != nil
			app.Suspend, app.Pin, app.Quarantine = nil, nil, nil
		})
		if err == nil && !ended {
			err = Refused(fmt.Errorf("%w: nothing keeps runs from acting on %s, as far as the state knows", ErrNeedless, named(apps)))
		}
		return err
	})
}

func named(apps []string) string {
	switch len(apps) {
	case 0:
		return "the whole ledger"
	case 1:
		return "the app " + apps[0]
	}
	return "the apps " + strings.Join(apps, ", ")
}

// eachNamed edits apps of the head, which must know them.
func eachNamed(head *state.Head, apps []string, edit func(*state.App)) error {
	for _, name := range apps {
		app, known := head.Apps[name]
		if !known {
			return fmt.Errorf("there is no app %q; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(head.Apps)), ", "))
		}
		edit(&app)
		head.Apps[name] = app
	}
	return nil
}

// note changes the head on a person's word, with a record of it. edit may be
// called more than once; its error ends the command before anything is written.
func (r *runner) note(ctx context.Context, command, what string, edit func(*state.Head) error) (state.Record, error) {
	l, err := r.lease(ctx, edit)
	if err != nil {
		return state.Record{}, fmt.Errorf("%s: %w", command, within(ctx, err))
	}
	record, err := r.conclude(ctx, l, state.Record{
		Command: command, Verdict: state.Unchanged, Apps: []state.AppRecord{}, Message: what,
	}, func(*state.Head) {})
	if err != nil {
		return record, fmt.Errorf("%s: %w", command, err)
	}
	return record, nil
}

// lease takes the lease for a command that only writes the head, and edits the
// head with the same write.
func (r *runner) lease(ctx context.Context, edit func(*state.Head) error) (*ledger, error) {
	if err := r.reason(); err != nil {
		return nil, err
	}
	var err error
	for range state.Restarts {
		var l *ledger
		if l, err = r.leaseOnce(ctx, edit); err == nil || !errors.Is(err, state.ErrRestart) {
			return l, err
		}
	}
	return nil, err
}

func (r *runner) leaseOnce(ctx context.Context, edit func(*state.Head) error) (*ledger, error) {
	waited, err := r.turn(ctx)
	if err != nil {
		return nil, err
	}
	if waited.Head.Seq == 0 {
		return nil, errors.New("there was no run yet")
	}
	unsettle := func(*state.Head) {}
	if waited.End == state.Stale {
		if unsettle, err = doubt(ctx, r.job.Ledger, waited.Head); err != nil {
			return nil, err
		}
	}
	// What edit says against the head it says before the lease is taken.
	trial := waited.Head
	trial.Apps = maps.Clone(trial.Apps)
	if err := edit(&trial); err != nil {
		return nil, err
	}
	both := func(head *state.Head) {
		unsettle(head)
		_ = edit(head) // It is the head of the trial.
	}
	// From here on a signal must not leave a lease that nobody can take for a while.
	ctx, done := lasting(ctx)
	defer done()
	l := &ledger{head: waited.Head}
	if waited.End == state.Stale {
		l.tenure, err = r.job.Ledger.TakeOver(ctx, waited, both)
	} else {
		l.tenure, err = r.job.Ledger.Claim(ctx, waited.Head, both)
	}
	return l, err
}

// turn waits until nobody is at work on the ledger, or who was is proven dead
// (state.Stale).
func (r *runner) turn(ctx context.Context) (state.Waited, error) {
	head, err := r.job.Ledger.Load(ctx)
	waited := state.Waited{End: state.Freed, Head: head}
	for err == nil && !waited.Head.Idle() && waited.End != state.Stale {
		left := time.Duration(0)
		if r.job.LockTimeout > 0 {
			left = r.began.Add(r.job.LockTimeout).Sub(r.job.Now())
		}
		if left < 0 || waited.End == state.TimedOut {
			return waited, &state.HeldError{Head: waited.Head}
		}
		r.tell(Event{Stage: "wait", Message: fmt.Sprintf("run %s of %s holds the lease", waited.Head.Lease.Run, waited.Head.Lease.Holder)})
		waited, err = r.job.Ledger.Wait(ctx, waited.Head, left)
	}
	return waited, err
}

// waits says why nothing is done about an app now although nothing is wrong with
// it; empty when something may be.
func (r *runner) waits(l *ledger, a *app) string {
	now := r.job.Now()
	var why []string
	for what, s := range map[string]*state.Suspension{"the whole ledger is": l.head.Freeze, "the app is": a.prior.Suspend} {
		if s.Holds(now) {
			why = append(why, what+" "+suspendedBy(s))
		}
	}
	slices.Sort(why)
	if a.Suspend {
		why = append(why, "the configuration suspends the app")
	}
	return strings.Join(why, "; ")
}

// outside says which windows keep an app that has something to do from being
// acted on now.
func (r *runner) outside(a *app) string {
	if !a.plan.Acts() {
		return ""
	}
	manual := r.job.Trigger == "manual" || r.job.Trigger == "cli"
	verdict := window.Judge(r.config.Windows, a.Name, manual, r.job.Now())
	if verdict.Open {
		return ""
	}
	if verdict.Next.IsZero() {
		return verdict.Why
	}
	return verdict.Why + "; next " + verdict.Next.UTC().Format(time.RFC3339)
}

func suspendedBy(s *state.Suspension) string {
	until := ""
	if !s.Until.IsZero() {
		until = " until " + s.Until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("suspended by %s since %s%s: %s", s.Actor, s.Since.UTC().Format(time.RFC3339), until, s.Reason)
}
