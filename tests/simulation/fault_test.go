package simulation

import (
	"cmp"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// single lets one thing go wrong with one effect of one process.
type single struct {
	plain
	what fault
	of   string // the process
	at   int    // the number of the effect, from 0
	name string // or its name
	met  int
}

func (s *single) strike(m *message) fault {
	if m.from.name != s.of || !m.writes && s.what.after() {
		return none
	}
	s.met++
	if s.met == s.at+1 && s.name == "" || m.name == s.name {
		return s.what
	}
	return none
}

// after: the fault comes when an effect has been had. For a read, which has none,
// it is the same as the fault that comes before the next effect.
func (f fault) after() bool { return f == killAfter || f == killLate || f == pauseAfter }

// tally is what the parts of a test did.
type tally struct{ cases, runs, effects, faults atomic.Int64 }

func (a *tally) add(w *world) {
	a.cases.Add(1)
	a.runs.Add(int64(w.counts.runs))
	a.effects.Add(int64(w.counts.messages))
	a.faults.Add(int64(w.struck))
}

// TestSingleFault tells each scenario once for every effect of a run and every
// fault: something goes wrong, others come meanwhile, and after two clean runs
// everything is as it should be.
func TestSingleFault(t *testing.T) {
	var all tally
	t.Cleanup(func() {
		t.Logf("counts: single faults: %d scenarios, %d cases, %d faults, %d runs, %d effects",
			len(scenarios), all.cases.Load(), all.faults.Load(), all.runs.Load(), all.effects.Load())
	})
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			past := before(t, s)
			for what := range faults {
				t.Run(what.String(), func(t *testing.T) {
					for at, met := 0, true; met && !t.Failed(); at++ {
						synctest.Test(t, func(t *testing.T) {
							w := past.after(t, 0)
							policy := &single{what: what, of: "p1", at: at}
							w.single(s, policy)
							all.add(w)
							met = policy.met > at && what != none
							if w.report(); t.Failed() {
								t.Logf("effect %d", at)
							}
						})
					}
				})
			}
		})
	}
}

// single tells a scenario with one fault of p1; p2 comes right after, p3 when p1
// must have ended, while what it sent may still be on its way.
func (w *world) single(s scenario, policy *single) {
	w.choose = policy
	w.start("p1", s.ref, 0, 0)
	w.start("p2", s.then, time.Second, 0)
	w.start("p3", s.then, 2*ttl, 0)
	w.run()
	w.judge("the fault")
	w.clean(s)
}

// clean lets run after run come by, one at a time: after two of them everything
// is as it should be, and a third finds nothing to do. Where one changes neither
// the cluster nor what the next one starts from, that one would do the same.
func (w *world) clean(s scenario) {
	ends := cmp.Or(s.ends, s.then)
	for i := 1; ; i++ {
		if s.agrees {
			w.agree(i, s.then)
		}
		before := w.ground()
		p := w.alone(fmt.Sprintf("clean%d", i), s.then, time.Minute)
		if i == 3 || p.writes == 0 && reflect.DeepEqual(before, w.ground()) {
			w.converged(w.endsAt(ends))
			w.healthy()
			w.ends(p, s.exit)
			w.quiet(p, ends != s.then)
			return
		}
	}
}
