package state_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
)

func TestCollectable(t *testing.T) {
	head := state.Head{Lease: state.Lease{Run: "D"}, Apps: map[string]state.App{"web": {Inventory: &state.Ref{Path: "runs/A/inventory-web"}}}}
	head.Stamp.Now = tide
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		age, retention time.Duration
		want           string
	}{
		"young":             {7 * day, 0, "[] false"},
		"old":               {7*day + 1, 0, "[B C] true"},
		"in the retention":  {30 * day, 30 * day, "[] false"},
		"past retention":    {30*day + 1, 30 * day, "[B C] true"},
		"from the future":   {-day, 0, "[] false"},
		"the store is mute": {-tide.Sub(time.Time{}), 0, "[] false"},
	} {
		record := state.Record{Finished: tide.Add(-test.age), Dropped: []string{"A", "B", "C", "D"}}
		runs, ready := state.Collectable(record, head, test.retention)
		if got := fmt.Sprint(runs, ready); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

// Over weeks of runs only what is needed stays.
func TestCollect(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		var runs []string
		deleted := 0
		for i := range 20 {
			l := w.open(nil, nil)
			runs = append(runs, l.Run())
			keep, err := l.Put(t.Context(), "inventory-db", []byte("db"))
			if err != nil {
				t.Fatal(err)
			}
			tenure := w.claim(l, planned(t, l, "web"))
			err = tenure.While(t.Context(), func(ctx context.Context) error {
				n, err := tenure.Collect(ctx, 0)
				deleted += n
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			_, written, err := tenure.Settle(t.Context(), record(state.Changed), func(h *state.Head) {
				if i == 0 {
					h.Apps["db"] = state.App{Inventory: &keep}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			// Run 1 leaves the first run's blobs named by the app db.
			if i > 1 && !slices.Equal(written.Dropped, runs[i-1:i]) || i <= 1 && written.Dropped != nil {
				t.Errorf("run %d: dropped %v", i, written.Dropped)
			}
			time.Sleep(24 * time.Hour)
		}
		entries, err := w.store.List(t.Context(), "runs/")
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, entry := range entries {
			if run := (state.Ref{Path: entry.Name}).Run(); !slices.Contains(left, run) {
				left = append(left, run)
			}
		}
		// A run's blobs are dropped the day after, and gone with the eighth run
		// after that.
		want := append([]string{runs[0]}, runs[len(runs)-9:]...)
		if !slices.Equal(left, want) || deleted != 2*(len(runs)-len(want)) {
			t.Errorf("deleted %d, left %d runs: %v, want %v", deleted, len(left), left, want)
		}
		w.verify(20)
	})
}

// A record that is too young is looked at once, not by every run until its time.
func TestCollectWaitsForTheTime(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		var asked []int64
		for range 4 {
			l := w.open(nil, nil)
			tenure := w.claim(l, planned(t, l, "web"))
			before := l.Requests()
			if _, err := tenure.Collect(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			asked = append(asked, l.Requests()-before)
			if _, _, err := tenure.Settle(t.Context(), record(state.Changed), nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		// The head, and the second of them finds the record in it.
		if want := []int64{1, 1, 1, 1}; !slices.Equal(asked, want) {
			t.Errorf("collecting asked the store %v times, want %v", asked, want)
		}
	})
}

// A retention that was shortened counts at once.
func TestCollectAfterTheRetentionWasShortened(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		deleted := 0
		for i := range 12 {
			l := w.open(nil, nil)
			tenure := w.claim(l, planned(t, l, "web"))
			retention := 3650 * 24 * time.Hour
			if i > 2 {
				retention = 0
			}
			n, err := tenure.Collect(t.Context(), retention)
			if err != nil {
				t.Fatal(err)
			}
			deleted += n
			if _, _, err := tenure.Settle(t.Context(), record(state.Changed), nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
		}
		if deleted == 0 {
			t.Error("nothing was collected though the retention is a week now")
		}
	})
}

func TestAHeadNamesWhatCanBeGoneBackTo(t *testing.T) {
	t.Parallel()
	kept := func(run string) state.Kept {
		return state.Kept{Set: state.Ref{Path: "runs/" + run + "/set-web"}, Rest: state.Ref{Path: "runs/" + run + "-rest/kept-web"}}
	}
	pinned, quarantined := kept("pinned"), kept("quarantined")
	head := state.Head{Apps: map[string]state.App{"web": {
		Kept: []state.Kept{kept("newer"), kept("older")},
		Pin:  &state.Pin{Set: &pinned}, Quarantine: &state.Quarantine{Set: &quarantined},
	}}}
	want := []string{"newer", "newer-rest", "older", "older-rest", "pinned", "pinned-rest", "quarantined", "quarantined-rest"}
	if got := head.Runs(); !slices.Equal(got, want) {
		t.Errorf("runs = %v, want %v", got, want)
	}
}
