package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// Rollback takes one app back to a set that was kept, and pins it there. The run
// that it is part of carries it out like any other change: through plan and guards.
type Rollback struct {
	App string
	// To is a run, a commit, the version of a chart, or the beginning of one (4
	// characters at least); empty is the set before the present one.
	To string
	// Until is when the pin ends by itself; zero is never.
	Until time.Time
	// UntilChange: the pin ends when the app's source, or its configuration, is
	// another one.
	UntilChange bool
}

// ErrNotKept says that there is no such set to go back to (exit 12).
var ErrNotKept = errors.New("no such set is kept")

// shortestTo is how many characters of a run or commit name it.
const shortestTo = 4

// pin finds the apps that stay at a kept set in this run.
func (r *runner) pin(ctx context.Context, l *ledger, apps []*app) error {
	r.pins = map[string]*state.Pin{}
	for _, a := range apps {
		if a.left != plan.NotLeft {
			continue
		}
		if back := r.job.Rollback; back != nil && back.App == a.Name {
			pin, err := r.pinTo(ctx, l, a, *back)
			if err != nil {
				return fmt.Errorf("roll back %s: %w", a.Name, err)
			}
			r.pins[a.Name], a.prior.Pin = pin, pin
		}
		switch pin := a.prior.Pin; {
		case pin == nil || pin.Set == nil:
			if q := a.prior.Quarantine; q != nil {
				a.fixed = q.Set
			}
		case !pin.Until.IsZero() && !r.began.Before(pin.Until):
			r.warn(fmt.Sprintf("the pin of the app %s ended at %s: it follows its source again", a.Name, pin.Until.Format(time.RFC3339)))
			r.pins[a.Name], a.prior.Pin = nil, nil
		default:
			a.fixed = pin.Set
		}
	}
	return nil
}

// pinTo makes the pin that a rollback asks for.
func (r *runner) pinTo(ctx context.Context, l *ledger, a *app, back Rollback) (*state.Pin, error) {
	if err := r.reason(); err != nil {
		return nil, err
	}
	at, set, err := choose(ctx, r.job.Ledger, a.Name, l.head.Apps[a.Name], back.To)
	if err != nil {
		return nil, err
	}
	return &state.Pin{
		Revision: set.Revision, Set: &at, Reason: r.job.Reason, Actor: r.job.Actor, Since: r.began.UTC(),
		Until: back.Until, UntilChange: back.UntilChange,
	}, nil
}

// choose finds the kept set that is meant.
func choose(ctx context.Context, ledger *state.Ledger, name string, a state.App, to string) (state.Kept, state.KeptSet, error) {
	sets := make([]state.KeptSet, len(a.Kept))
	var there []string
	for i, kept := range a.Kept {
		var err error
		if sets[i], err = readKept(ctx, ledger, name, kept); err != nil {
			return state.Kept{}, state.KeptSet{}, err
		}
		there = append(there, sets[i].Run+" ("+revisionText(sets[i])+")")
	}
	at := -1
	if to == "" {
		at = 1 + slices.IndexFunc(a.Kept, func(k state.Kept) bool {
			if a.Pin != nil && a.Pin.Set != nil {
				return k == *a.Pin.Set
			}
			return k.Digest == a.Present
		})
	} else if len(to) >= shortestTo {
		at = slices.IndexFunc(sets, func(s state.KeptSet) bool { return names(s, to) })
	}
	if at < 0 || at >= len(sets) {
		what := "before the present one"
		if to != "" {
			what = "of " + to
		}
		if len(there) == 0 {
			there = []string{"none"}
		}
		return state.Kept{}, state.KeptSet{}, &Fault{Exit: ExitConfig, Err: fmt.Errorf("%w: %s; there are: %s", ErrNotKept, what, strings.Join(there, ", "))}
	}
	return a.Kept[at], sets[at], nil
}

// names says whether to is the beginning of a name of the set.
func names(s state.KeptSet, to string) bool {
	all := []string{s.Run, s.Digest}
	if s.Revision != nil {
		all = append(all, s.Revision.Commit)
	}
	if s.Chart != nil {
		all = append(all, s.Chart.Version)
	}
	return slices.ContainsFunc(all, func(name string) bool { return strings.HasPrefix(name, to) })
}

// revisionText gives the revision of a kept set to people.
func revisionText(s state.KeptSet) string {
	switch {
	case s.Revision != nil:
		return fmt.Sprintf("%.10s", s.Revision.Commit)
	case s.Chart != nil:
		return s.Chart.Name + " " + s.Chart.Version
	}
	return "no revision"
}

// staysFixed says whether an app stays at its kept set, and takes that for its
// inputs. One that only waits for other inputs looks its source up first; when
// that does not answer, it stays.
func (r *runner) staysFixed(ctx context.Context, l *ledger, a *app) bool {
	bad := ""
	switch pin, quarantine := a.prior.Pin, a.prior.Quarantine; {
	case pin != nil && !pin.UntilChange:
		a.stay()
		return true
	case pin != nil:
		bad = pin.Inputs
	default:
		bad = quarantine.Inputs
	}
	revision, err := a.Source.Resolve(ctx)
	if err != nil {
		r.warn(fmt.Sprintf("the app %s stays at its kept set: resolve: %s", a.Name, within(ctx, err)))
		a.stay()
		return true
	}
	a.revision = revision
	a.digestInputs(l.kinds)
	base, _, _ := strings.Cut(a.inputs, "+")
	was, _, _ := strings.Cut(bad, "+")
	switch {
	case base == was:
	case a.prior.Pin != nil && bad == "":
		pin := *a.prior.Pin
		pin.Inputs = base
		r.pins[a.Name], a.prior.Pin = &pin, &pin
	case a.prior.Pin != nil:
		r.warn(fmt.Sprintf("the pin of the app %s ended: its inputs changed", a.Name))
		r.pins[a.Name], a.prior.Pin, a.fixed = nil, nil, nil
		return false
	default:
		// Whether the commit touched what was rendered, rendering tells.
		a.fixed = nil
		return false
	}
	a.stay()
	return true
}

// stay takes the kept set for the app's inputs.
func (a *app) stay() {
	a.rest, a.inputs = "", "set:"+a.fixed.Set.SHA256
	a.revision = revisionOf(a.prior.Revision, a.prior.Chart)
	if a.prior.Pin != nil && a.prior.Pin.Revision != nil {
		a.revision = revisionOf(a.prior.Pin.Revision, nil)
	}
}

// repin writes into the head what became of the pins.
func (r *runner) repin(head *state.Head) {
	for name, pin := range r.pins {
		if a, known := head.Apps[name]; known {
			a.Pin = pin
			head.Apps[name] = a
		}
	}
}

// stays says why the app stays at a kept set.
func (a *app) stays() string {
	if pin := a.prior.Pin; pin != nil {
		return "pinned to " + pin.Text()
	}
	return "quarantined: " + a.prior.Quarantine.Text()
}

// rolled says what a rollback did to the ledger.
func (r *runner) rolled() string {
	pin := r.pins[r.job.Rollback.App]
	if pin == nil {
		return ""
	}
	return fmt.Sprintf("pinned the app %s to %s", r.job.Rollback.App, pin.Text())
}
