package simulation

import (
	"cmp"
	"fmt"
	"reflect"
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
	if m.from.name != s.of {
		return none
	}
	s.met++
	if s.met == s.at+1 && s.name == "" || m.name == s.name {
		return s.what
	}
	return none
}

// TestSingleFault tells each scenario once for every effect of a run and every
// fault: something goes wrong, others come meanwhile, and after two clean runs
// everything is as it should be.
func TestSingleFault(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			past := before(t, s)
			for what := range faults {
				t.Run(what.String(), func(t *testing.T) {
					effects, runs := 0, 0
					for met := true; met; effects++ {
						synctest.Test(t, func(t *testing.T) {
							w := past.after(t, 0)
							policy := &single{what: what, of: "p1", at: effects}
							w.single(s, policy)
							met = policy.met > effects
							runs += w.counts.runs
							w.report()
						})
						if t.Failed() {
							t.Fatalf("effect %d", effects)
						}
						if what == none {
							return
						}
					}
					t.Logf("counts: %d effects, %d runs", effects-1, runs)
				})
			}
		})
	}
}

// single tells a scenario with one fault of p1; p2 comes right after.
func (w *world) single(s scenario, policy *single) {
	w.choose = policy
	w.start("p1", s.ref, 0, 0)
	w.start("p2", s.then, time.Second, 0)
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
		before := w.ground()
		p := w.alone(fmt.Sprintf("clean%d", i), s.then, time.Minute)
		if i == 3 || p.writes == 0 && reflect.DeepEqual(before, w.ground()) {
			w.converged(ends)
			w.ends(p, s.exit)
			w.quiet(p, ends != s.then)
			return
		}
	}
}
