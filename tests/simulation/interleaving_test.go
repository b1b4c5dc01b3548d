package simulation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// slots is how many writes of each of two runs are interleaved in every order;
// what they write after that comes as it can.
const slots = 7

// interleaved delivers the writes of two processes in one order, and reads at
// once. It lets time pass until the process whose turn it is has a write: the
// other one's writes are on their way meanwhile.
type interleaved struct {
	plain
	a, b *process
	// path is who writes, as far as it was decided before; from there on a does as
	// long as there is a choice.
	path  string
	taken []turn
	used  map[*process]int
}

// turn is one turn that was taken.
type turn struct {
	who  byte
	free bool // the other one could have had it
}

func (i *interleaved) next(ready []*message) *message {
	if m := i.plain.next(ready); m == nil || !m.writes {
		return m
	}
	who, free := i.turn()
	if who == nil {
		return i.plain.next(ready)
	}
	for _, m := range ready {
		if m.from == who {
			i.taken = append(i.taken, turn{i.letter(who), free})
			i.used[who]++
			return m
		}
	}
	return nil
}

// turn gives whose turn it is, and whether there is a choice; nil when all turns
// were taken.
func (i *interleaved) turn() (who *process, free bool) {
	may := func(p *process) bool { return i.used[p] < slots && !p.over() }
	switch {
	case !may(i.a) && !may(i.b):
		return nil, false
	case !may(i.a):
		return i.b, false
	case !may(i.b):
		return i.a, false
	case len(i.taken) < len(i.path) && i.path[len(i.taken)] == 'b':
		return i.b, true
	}
	return i.a, true
}

func (i *interleaved) letter(p *process) byte {
	if p == i.a {
		return 'a'
	}
	return 'b'
}

// following gives the path after the one that was taken, in the order of the
// alphabet, or "" when that was the last.
func following(taken []turn) string {
	for at, last := range slices.Backward(taken) {
		if last.free && last.who == 'a' {
			var path strings.Builder
			for _, t := range taken[:at] {
				path.WriteByte(t.who)
			}
			return path.String() + "b"
		}
	}
	return ""
}

// TestInterleavings lets two runs begin at once, and their first seven writes to
// store and cluster come in every order: 3,432 of them. Orders in which a run ends
// before it had all its turns are the same from there on, and are told once. A
// soak tells every scenario that way.
func TestInterleavings(t *testing.T) {
	pairs := []pair{
		{"both install", find(t, "first-install"), "r1", "r1"},
		{"one prunes, the other reverts", find(t, "add-and-remove"), "r2", "r3"},
		{"both take over", find(t, "take-over"), "r3", "r3"},
		{"one changes, the other reverts", find(t, "change"), "r2", "r1"},
		{"both carry out what was approved", find(t, "approved"), "r2", "r2"},
		{"one carries out what was approved, the other wants another plan", find(t, "approved"), "r2", "r3"},
	}
	if os.Getenv("TIDEMARK_SOAK") != "" {
		for _, s := range scenarios {
			pairs = append(pairs, pair{s.name, s, s.ref, s.then}, pair{s.name + " turned round", s, s.then, s.ref})
		}
	}
	var all tally
	t.Cleanup(func() {
		t.Logf("counts: interleavings: %d pairs of runs, 3432 schedules each, %d of them different, %d runs, %d effects",
			len(pairs), all.cases.Load(), all.runs.Load(), all.effects.Load())
	})
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := p.scenario
			past := before(t, s)
			for path, more := "", true; more && !t.Failed(); {
				synctest.Test(t, func(t *testing.T) {
					w := past.after(t, 0)
					order := w.interleave(path, p.a, p.b)
					w.clean(s)
					all.add(w)
					if w.report(); t.Failed() {
						t.Logf("order %s", order)
					}
					path = following(order.taken)
					more = path != ""
				})
			}
		})
	}
}

// pair is two runs on the past of a scenario.
type pair struct {
	name     string
	scenario scenario
	a, b     string // their revisions
}

// interleave lets two runs write by turns.
func (w *world) interleave(path, a, b string) *interleaved {
	order := &interleaved{path: path, used: map[*process]int{}}
	w.choose = order
	order.a, order.b = w.start("a", a, 0, 0), w.start("b", b, 0, 0)
	w.run()
	w.judge("the interleaving")
	w.choose = plain{}
	return order
}

func (i *interleaved) String() string {
	var path strings.Builder
	for _, t := range i.taken {
		fmt.Fprintf(&path, "%c", t.who)
	}
	return path.String()
}
