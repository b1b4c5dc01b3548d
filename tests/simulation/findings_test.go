package simulation

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
)

// What the simulation found, each as the one case that showed it first.

// An app that could not be fetched may want what another app gives up: it must
// not be pruned for want of that word.
func TestPrunesWaitForAppsThatWereNotRendered(t *testing.T) {
	t.Parallel()
	tell(t, "hand-over", errorBefore, "git fetch b")
}

// A claim that a signal cut short commits nothing: what would have been handed
// over stays in the inventory where it is.
func TestAnInterruptedClaimHandsNothingOver(t *testing.T) {
	t.Parallel()
	tell(t, "hand-over", interrupt, "create p1/plan-b")
}

// A run that died while it handed an object over had changed it for the app that
// takes it. The one that gives it away must see that, though the server's note of
// our fields is the same within one second.
func TestAnObjectThatWasHandedOverHalfwayIsLookedAt(t *testing.T) {
	t.Parallel()
	s := find(t, "hand-over")
	s.then = "r1"
	tellOf(t, s, killAfter, "apply ConfigMap shop/x")
}

// An object that is fenced off on its way from one app to the other still leaves
// the inventory of the one, and the other may still change it: otherwise both want
// it from then on, and both are refused for ever.
func TestAFenceDoesNotKeepWhatIsHandedOver(t *testing.T) {
	t.Parallel()
	s := find(t, "hand-over")
	s.before = []string{"r1", "r2"}
	past := before(t, s)
	synctest.Test(t, func(t *testing.T) {
		w := past.after(t, 0)
		// a takes the object back from b, and dies; then b gives it up while a cannot
		// be looked at.
		w.choose = plot{"p1 apply ConfigMap shop/x": killBefore, "p2 read ConfigMap shop/x": errorBefore}
		w.alone("p1", "r1", time.Minute)
		w.alone("p2", "r1", time.Minute)
		w.clean(s)
		w.report()
	})
}

// An object that somebody makes between plan and create stays theirs, though
// server-side apply would merge into it where no field is in the way.
func TestACreateDoesNotMergeIntoAnother(t *testing.T) {
	t.Parallel()
	past := before(t, find(t, "add-and-remove"))
	synctest.Test(t, func(t *testing.T) {
		w := past.after(t, 0)
		theirs := made("v1", "ConfigMap", "shop", "three", fields{"data": fields{"other": "theirs"}})
		w.choose = meddler{"p1 apply ConfigMap shop/three", func() {
			if _, err := w.server.apply(theirs, apply.Target{}, "somebody", true); err != nil {
				t.Error(err)
			}
			w.canaries[theirs.ID] = w.server.objects[theirs.ID]
		}}
		p := w.alone("p1", "r2", time.Minute)
		w.ends(p, reconcile.ExitPartial)
		w.report()
	})
}

// A late create of a run that died does not overwrite what a newer run has made
// under the same name, and settled.
func TestALateCreateOverwritesNothing(t *testing.T) {
	t.Parallel()
	s := find(t, "add-and-remove")
	s.repo = repository{"r1": s.repo["r1"], "r2": s.repo["r2"], "r3": web(configMap("three", "3"), configMap("same", "1"))}
	s.then = "r3"
	tellOf(t, s, killLate, "apply ConfigMap shop/three")
}

// A living run from which a person took the lease does not know it for a while. It
// must not write over what was fenced off from it, though its own renewal still
// gives it the right to send.
func TestAForcedUnlockStopsALivingRun(t *testing.T) {
	t.Parallel()
	past := before(t, find(t, "change"))
	synctest.Test(t, func(t *testing.T) {
		w := past.after(t, 0)
		w.choose = &held{world: w, name: "p1 apply ConfigMap shop/one", until: time.Now().Add(10 * time.Second)}
		w.start("p1", "r2", 0, 0)
		w.unlock("person", "r1", 2*time.Second)
		w.start("p2", "r1", 3*time.Second, 0)
		w.run()
		w.judge("the unlock")
		w.converged("r1")
		w.clean(past.scenario)
		w.report()
	})
}

// held keeps one effect on its way until a time.
type held struct {
	*world
	plain
	name  string
	until time.Time
}

func (h *held) next(ready []*message) *message {
	if left := time.Until(h.until); left > 0 {
		ready = slices.DeleteFunc(slices.Clone(ready), func(m *message) bool { return m.String() == h.name })
		h.later(left, func() {})
	}
	return h.plain.next(ready)
}

// meddler lets somebody do something just before an effect.
type meddler struct {
	before string
	act    func()
}

func (meddler) next(ready []*message) *message { return plain{}.next(ready) }

func (d meddler) strike(m *message) fault {
	if m.String() == d.before {
		d.act()
	}
	return none
}

// plot lets what it names go wrong, each effect by its process and its name.
type plot map[string]fault

func (plot) next(ready []*message) *message { return plain{}.next(ready) }

func (p plot) strike(m *message) fault { return p[m.String()] }

// tell tells one scenario with one fault at one effect.
func tell(t *testing.T, name string, what fault, effect string) {
	t.Helper()
	tellOf(t, find(t, name), what, effect)
}

func tellOf(t *testing.T, s scenario, what fault, effect string) {
	t.Helper()
	past := before(t, s)
	synctest.Test(t, func(t *testing.T) {
		w := past.after(t, 0)
		w.single(s, &single{what: what, of: "p1", name: effect})
		if w.struck == 0 {
			t.Errorf("there was no effect %q", effect)
		}
		w.report()
	})
}

func find(t *testing.T, name string) scenario {
	t.Helper()
	for _, s := range scenarios {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("there is no scenario %q", name)
	return scenario{}
}
