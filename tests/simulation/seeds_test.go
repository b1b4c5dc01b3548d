package simulation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/render/object"
)

// chance lets everything happen that a seed draws: any order, any delay, any
// fault.
type chance struct {
	*rand.Rand
	w      *world
	struck map[*process]int
}

// Of the effects of a run, one in so many goes wrong; no run has more than two
// faults. Between two messages, time passes once in so many.
const (
	wrong   = 40
	mostBad = 2
	idle    = 12
)

func (c *chance) next(ready []*message) *message {
	switch {
	case len(ready) == 0:
		return nil
	case c.IntN(idle) == 0:
		c.w.later(time.Duration(c.IntN(20_000))*time.Millisecond, func() {})
		return nil
	}
	return ready[c.IntN(len(ready))]
}

func (c *chance) strike(m *message) fault {
	if c.IntN(wrong) > 0 || c.struck[m.from] == mostBad {
		return none
	}
	c.struck[m.from]++
	return none + 1 + fault(c.IntN(int(faults-1)))
}

// seeded tells one story that a seed draws: which past, how many runs at which
// revisions, when each begins, how wrong its clock is, and what goes wrong.
func (w *world) seeded(s scenario, draw *rand.Rand) {
	w.choose = &chance{Rand: draw, w: w, struck: map[*process]int{}}
	refs := w.refs()
	for i := range 2 + draw.IntN(3) {
		wait := time.Duration(draw.IntN(100)) * time.Second
		skew := time.Duration(draw.IntN(600)-300) * time.Second
		w.start(fmt.Sprintf("p%d", i+1), refs[draw.IntN(len(refs))], wait, skew)
	}
	if draw.IntN(4) == 0 {
		w.unlock("person", refs[draw.IntN(len(refs))], time.Duration(draw.IntN(100))*time.Second)
	}
	for range draw.IntN(3) {
		w.disturb(s, draw)
	}
	w.run()
	w.judge("the storm")
	w.choose = plain{}
	w.clean(s)
}

// disturb lets somebody who is no run come by: a controller that notes something
// on an object, or a person who edits or deletes one.
func (w *world) disturb(s scenario, draw *rand.Rand) {
	ids := slices.SortedFunc(maps.Keys(w.wanted(w.refs()[0])), object.ID.Compare)
	id, what := ids[draw.IntN(len(ids))], draw.IntN(6)
	if s.ends != "" {
		what = 0 // nothing would put it right
	}
	w.soon(time.Duration(draw.IntN(150))*time.Second, [...]string{"notes", "notes", "notes", "notes", "edits", "deletes"}[what], id, func() {
		switch {
		case w.server.objects[id] == nil:
		case what < 4:
			w.server.edit(id, "controller", map[string]string{"metadata.annotations.noted": fmt.Sprint(what)})
		case what == 4 && w.server.objects[id].leaves["data.key"] != nil: // a field that nobody wants is nobody's to take away
			w.server.edit(id, "person", map[string]string{"data.key": "edited"})
		case what == 5 && id.Kind == "ConfigMap":
			w.server.remove(id)
		}
	})
}

// refs lists the revisions of the repository.
func (w *world) refs() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(w.repo)), func(ref string) bool { return ref == "live" })
}

// TestSeeds tells stories that seeds draw: 10,000, or as many as the variable
// TIDEMARK_SOAK says, or the one of TIDEMARK_SEED.
func TestSeeds(t *testing.T) {
	first, count := uint64(1), uint64(10_000)
	if text := os.Getenv("TIDEMARK_SEED"); text != "" {
		first, count = number(t, text), 1
	} else if text := os.Getenv("TIDEMARK_SOAK"); text != "" {
		count = number(t, text)
	}
	pasts := stormy(t)
	var next atomic.Int64
	var all tally
	t.Run("storms", func(t *testing.T) {
		for worker := range 4 {
			t.Run(strconv.Itoa(worker), func(t *testing.T) {
				t.Parallel()
				for !t.Failed() {
					seed := uint64(next.Add(1)) - 1
					if seed >= count {
						return
					}
					seed += first
					synctest.Test(t, func(t *testing.T) {
						w := storm(t, pasts, seed)
						all.add(w)
						if len(w.found) > 0 {
							t.Errorf("seed %d; alone: TIDEMARK_SEED=%d go test ./tests/simulation -run TestSeeds", seed, seed)
							w.report()
						}
					})
				}
			})
		}
	})
	t.Logf("counts: seeds: %d seeds, %d faults, %d runs, %d effects", all.cases.Load(), all.faults.Load(), all.runs.Load(), all.effects.Load())
}

// stormy gives the pasts that seeds draw from.
func stormy(t *testing.T) []past {
	var pasts []past
	for _, s := range scenarios {
		if s.name != "lost-head" { // tells of a ledger that is gone
			pasts = append(pasts, before(t, s))
		}
	}
	return pasts
}

// storm tells the story of a seed.
func storm(t *testing.T, pasts []past, seed uint64) *world {
	draw := rand.New(rand.NewPCG(seed, 0))
	past := pasts[draw.IntN(len(pasts))]
	w := past.after(t, seed)
	w.seeded(past.scenario, draw)
	return w
}

func number(t *testing.T, text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		t.Fatalf("%q is not a number of seeds", text)
	}
	return n
}

// TestSeedsAreTheSameEachTime: a seed that failed must fail again.
func TestSeedsAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	pasts := stormy(t)
	for seed := range uint64(200) {
		var traces [2]string
		for i := range traces {
			synctest.Test(t, func(t *testing.T) {
				w := storm(t, pasts, seed)
				traces[i] = w.told()
			})
		}
		if digest(traces[0]) != digest(traces[1]) {
			t.Fatalf("seed %d gives two worlds:\n%s\nand\n%s", seed, traces[0], traces[1])
		}
	}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
