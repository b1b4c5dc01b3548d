package simulation

import (
	"testing"
	"testing/synctest"
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
