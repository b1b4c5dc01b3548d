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
	// UntilChange: the pin ends when the app is made of something else. See
	// decisions/0033.
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
	prior := l.head.Apps[a.Name]
	sets, err := keptSets(ctx, r.job.Ledger, a.Name, prior.Kept)
	if err != nil {
		return nil, err
	}
	at, err := choose(sets, prior, back.To)
	if err != nil {
		return nil, err
	}
	pin := &state.Pin{
		Revision: sets[at].Revision, Set: &prior.Kept[at], Reason: r.job.Reason, Actor: r.job.Actor, Since: r.began.UTC(),
		Until: back.Until, UntilChange: back.UntilChange,
	}
	leave(pin, prior, sets)
	return pin, nil
}

// leave notes in the pin what the app is taken away from, as far as the ledger
// knows.
func leave(pin *state.Pin, prior state.App, sets []state.KeptSet) {
	if was := prior.Pin; was != nil {
		pin.Inputs, pin.Content = was.Inputs, was.Content
		return
	}
	if at := slices.IndexFunc(prior.Kept, func(k state.Kept) bool { return k.Digest == prior.Present }); at >= 0 && prior.Quarantine == nil {
		pin.Inputs, _, _ = strings.Cut(prior.Inputs, "+")
		pin.Content = sets[at].Inputs
	}
}

// keptSets reads them.
func keptSets(ctx context.Context, ledger *state.Ledger, name string, kept []state.Kept) ([]state.KeptSet, error) {
	sets := make([]state.KeptSet, len(kept))
	for i, k := range kept {
		var err error
		if sets[i], err = readKept(ctx, ledger, name, k); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// choose finds the kept set that is meant.
func choose(sets []state.KeptSet, a state.App, to string) (int, error) {
	var there []string
	for _, set := range sets {
		there = append(there, set.Run+" ("+revisionText(set)+")")
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
		return 0, &Fault{Exit: ExitConfig, Err: fmt.Errorf("%w: %s; there are: %s", ErrNotKept, what, strings.Join(there, ", "))}
	}
	return at, nil
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
		r.repinned(a, &pin)
	case a.prior.Pin != nil && a.prior.Pin.Content == "":
		r.unpin(a)
		return false
	default:
		// Whether the commit touched what was rendered, rendering tells.
		a.fixed = nil
		return false
	}
	a.stay()
	return true
}

// unpin ends a pin that was made until the inputs change.
func (r *runner) unpin(a *app) {
	r.warn(fmt.Sprintf("the pin of the app %s ended: its inputs changed", a.Name))
	a.fixed = nil
	r.repinned(a, nil)
}

// repinned notes what becomes of an app's pin.
func (r *runner) repinned(a *app, pin *state.Pin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pins[a.Name], a.prior.Pin = pin, pin
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
	q := *a.prior.Quarantine
	if a.reverted != nil {
		q.Reason = "" // it is what the app's message begins with
	}
	return "quarantined: " + q.Text()
}

// rolled says what a rollback did to the ledger.
func (r *runner) rolled() string {
	pin := r.pins[r.job.Rollback.App]
	if pin == nil {
		return ""
	}
	return fmt.Sprintf("pinned the app %s to %s", r.job.Rollback.App, pin.Text())
}
