package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"tidemark.dev/tidemark/state"
)

const (
	races = 10_000
	// perRace is how many racers there are in each.
	perRace = 4
	// lanes is how many ledgers are raced for at a time, since a race mostly waits.
	lanes = 8
)

// Races runs 10,000 races of four compare-and-swaps each, which one must win: the
// other three are told for certain that they lost, the object is the winner's
// afterwards, and his version is what the next race starts from. open gives
// another handle on a place each time, so that racers share nothing but the
// store; what names the store and its version, for the counts.
func Races(t *testing.T, what string, open func(t *testing.T, place string) state.Store) {
	t.Helper()
	var wait sync.WaitGroup
	for lane := range lanes {
		place := fmt.Sprintf("lane-%d", lane)
		handles := make([]state.Store, perRace)
		for i := range handles {
			handles[i] = open(t, place)
		}
		wait.Go(func() {
			stamp, err := handles[0].Create(t.Context(), "head.json", []byte("start"))
			for n := lane; err == nil && n < races && !t.Failed(); n += lanes {
				stamp, err = raceOnce(t, handles, n, stamp)
			}
			if err != nil {
				t.Errorf("%s: %v", place, err)
			}
		})
	}
	wait.Wait()
	if !t.Failed() {
		t.Logf("counts: races: %s: %d × %d racers, one winner each", what, races, perRace)
	}
}

// raceOnce is race n, for which each racer has a handle. It gives the winner's
// stamp.
func raceOnce(t *testing.T, handles []state.Store, n int, base state.Stamp) (state.Stamp, error) {
	stamps, errs := make([]state.Stamp, perRace), make([]error, perRace)
	start := make(chan struct{})
	var wait sync.WaitGroup
	for racer, handle := range handles {
		wait.Go(func() {
			<-start
			stamps[racer], errs[racer] = handle.Swap(t.Context(), "head.json", entry(n, racer), base.Version)
		})
	}
	close(start)
	wait.Wait()
	winner := -1
	for racer, err := range errs {
		switch {
		case err == nil && winner >= 0:
			return state.Stamp{}, fmt.Errorf("race %d from version %q: racers %d and %d won", n, base.Version, winner, racer)
		case err == nil:
			winner = racer
		case !errors.Is(err, state.ErrChanged):
			return state.Stamp{}, fmt.Errorf("race %d from version %q: a loser got %w, want ErrChanged", n, base.Version, err)
		}
	}
	if winner < 0 {
		return state.Stamp{}, fmt.Errorf("race %d from version %q: nobody won", n, base.Version)
	}
	got, err := handles[n/lanes%perRace].Get(t.Context(), "head.json")
	if err != nil {
		return state.Stamp{}, fmt.Errorf("read after race %d: %w", n, err)
	}
	if want := entry(n, winner); string(got.Data) != string(want) || got.Version != stamps[winner].Version {
		return state.Stamp{}, fmt.Errorf("after race %d: got %q of version %q, want the winner's %q of %q",
			n, got.Data, got.Version, want, stamps[winner].Version)
	}
	return stamps[winner], nil
}

func entry(race, racer int) []byte { return fmt.Appendf(nil, "race %d, racer %d", race, racer) }
