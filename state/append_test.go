package state_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/state"
)

// synced runs a test in a bubble whose time passes by itself.
func synced(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

func TestFirstRun(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		store := &faulty{Store: w.store}
		l := w.open(store, nil)
		base := load(t, l)
		if base.Seq != 0 || base.Lineage == "" || !base.Idle() {
			t.Errorf("Load of nothing: got %+v, want seq 0, a lineage, idle", base)
		}
		if again := load(t, l); again.Lineage != base.Lineage {
			t.Errorf("Load again: lineage %q, before %q", again.Lineage, base.Lineage)
		}
		head, written, err := l.Append(t.Context(), base, record(state.Unchanged), 0, func(h *state.Head) { h.Cluster = "uid" })
		if err != nil {
			t.Fatal(err)
		}
		if head.Seq != 1 || head.Epoch != 0 || head.Audit.Seq != 1 || head.Cluster != "uid" || head.Lineage != base.Lineage || !head.Idle() {
			t.Errorf("got head %+v", head)
		}
		if written.Seq != 1 || written.Previous != "" || written.Run != l.Run() || written.Lineage != base.Lineage {
			t.Errorf("got record %+v", written)
		}
		w.verify(1)
	})
}

// A run that changes nothing costs one read and two writes: the head, and the
// record before under its number.
func TestCostOfAnUnchangedRun(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		w.unchanged()
		store := &faulty{Store: w.store}
		l := w.open(store, nil)
		if _, _, err := l.Append(t.Context(), load(t, l), record(state.Unchanged), 0, nil); err != nil {
			t.Fatal(err)
		}
		want := []string{"get head.json", "create audit/00000000000000000001.json", "swap head.json"}
		if got := store.requests(); !slices.Equal(got, want) {
			t.Errorf("got requests %q, want %q", got, want)
		}
		if got := l.Requests(); got != 3 {
			t.Errorf("Requests: got %d, want 3", got)
		}
		w.verify(2)
	})
}

// edit gets what it may change, and nothing else.
func TestEditIsFenced(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		base := w.changed(nil)
		l := w.open(nil, nil)
		head, _, err := l.Append(t.Context(), base, record(state.Unchanged), 0, func(h *state.Head) {
			h.Format, h.Lineage, h.Seq, h.Nonce, h.Epoch = 7, "other", 99, "n", 99
			h.Lease, h.Audit = state.Lease{}, state.Audit{Seq: 99}
			h.Apps = nil
			h.Config = "config"
		})
		if err != nil {
			t.Fatal(err)
		}
		if head.Format != base.Format || head.Lineage != base.Lineage || head.Seq != base.Seq+1 || head.Nonce == "n" ||
			head.Epoch != base.Epoch || head.Lease.Run != base.Lease.Run || !head.Lease.Free || head.Audit.Seq != base.Audit.Seq+1 ||
			head.Config != "config" || head.Apps == nil {
			t.Errorf("got %+v after %+v", head, base)
		}
	})
}

func TestRacingAppends(t *testing.T) {
	for _, first := range []bool{true, false} {
		synced(t, func(t *testing.T, w *world) {
			if !first {
				w.unchanged()
			}
			var wait sync.WaitGroup
			var mu sync.Mutex
			appended, restarted := 0, 0
			for range 6 {
				l := w.open(&faulty{Store: w.store, plan: func(int, string) fault { return fault{lateAnswer: time.Millisecond} }}, nil)
				wait.Go(func() {
					base, err := l.Load(t.Context())
					if err == nil {
						_, _, err = l.Append(t.Context(), base, record(state.Unchanged), 0, nil)
					}
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						appended++
					case errors.Is(err, state.ErrRestart):
						restarted++
					default:
						t.Errorf("Append: %v", err)
					}
				})
			}
			wait.Wait()
			// On a ledger that exists all rebase; of two first runs one starts over,
			// since the lineage is another than it thought.
			if first && (appended != 1 || restarted != 5) || !first && appended != 6 {
				t.Errorf("first %v: %d appended, %d restarted", first, appended, restarted)
			}
			if first {
				w.verify(1)
			} else {
				w.verify(7)
			}
		})
	}
}

// What another run may do between Load and Append, and what follows.
func TestRebase(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(w *world)
		want      error
	}{
		"nothing":       {func(*world) {}, nil},
		"appends":       {func(w *world) { w.unchanged(); w.unchanged() }, nil},
		"changes":       {func(w *world) { w.changed(nil) }, state.ErrRestart},
		"holds":         {func(w *world) { w.claim(w.open(nil, nil), nil) }, &state.HeldError{}},
		"configuration": {func(w *world) { w.edited(func(h *state.Head) { h.Config = "new" }) }, state.ErrRestart},
		"app": {func(w *world) {
			w.edited(func(h *state.Head) { h.Apps["web"] = state.App{Pin: &state.Pin{Reason: "r"}} })
		}, state.ErrRestart},
		"observed": {func(w *world) {
			ref, err := w.open(nil, nil).Put(w.t.Context(), "observed", []byte("{}"))
			if err != nil {
				w.t.Fatal(err)
			}
			w.edited(func(h *state.Head) { h.Observed = &ref })
		}, nil},
	} {
		for what, write := range map[string]func(t *testing.T, l *state.Ledger, base state.Head) error{
			"Append": func(t *testing.T, l *state.Ledger, base state.Head) error {
				_, _, err := l.Append(t.Context(), base, record(state.Unchanged), 0, nil)
				return err
			},
			"Claim": func(t *testing.T, l *state.Ledger, base state.Head) error {
				tenure, err := l.Claim(t.Context(), base, nil)
				if err != nil {
					return err
				}
				_, _, err = tenure.Settle(t.Context(), record(state.Changed), nil)
				return err
			},
		} {
			t.Run(what+"/"+name, func(t *testing.T) {
				synced(t, func(t *testing.T, w *world) {
					w.unchanged()
					l := w.open(nil, nil)
					base := load(t, l)
					test.meanwhile(w)
					err := write(t, l, base)
					var held *state.HeldError
					if wantHeld := errors.As(test.want, &held); wantHeld && !errors.As(err, &held) || !wantHeld && !errors.Is(err, test.want) {
						t.Errorf("got %v, want %v", err, test.want)
					}
					w.verify(w.load().Audit.Seq)
				})
			})
		}
	}
}

func (w *world) edited(edit func(*state.Head)) {
	w.t.Helper()
	l := w.open(nil, nil)
	if _, _, err := l.Append(w.t.Context(), load(w.t, l), record(state.Unchanged), 0, edit); err != nil {
		w.t.Fatal(err)
	}
}

// Rebasing ends after five times.
func TestRebaseEnds(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		w.unchanged()
		store := &faulty{Store: w.store}
		swaps := 0
		store.break_(func(_ int, request string) fault {
			if request == "create audit/"+fmt.Sprintf("%020d", w.load().Audit.Seq)+".json" {
				swaps++
				return fault{meanwhile: func() { w.unchanged() }}
			}
			return fault{}
		})
		l := w.open(store, nil)
		_, _, err := l.Append(t.Context(), load(t, l), record(state.Unchanged), 0, nil)
		if !errors.Is(err, state.ErrRestart) || swaps != 6 {
			t.Errorf("got %v after %d tries, want ErrRestart after 6", err, swaps)
		}
	})
}

func TestFold(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		appended := func(verdict state.Verdict) state.Record {
			t.Helper()
			l := w.open(nil, nil)
			_, written, err := l.Append(t.Context(), load(t, l), record(verdict), time.Hour, nil)
			if err != nil {
				t.Fatal(err)
			}
			return written
		}
		if got := appended(state.Failed); got.Seq != 1 {
			t.Errorf("the first run: got record %d, want 1", got.Seq)
		}
		if got := appended(state.Unchanged); got.Seq != 2 {
			t.Errorf("unchanged after failed: got record %d, want 2", got.Seq)
		}
		for range 60 {
			time.Sleep(time.Minute)
			if got := appended(state.Unchanged); got.Seq != 0 {
				t.Errorf("unchanged within the hour: got record %d, want none", got.Seq)
			}
		}
		if folded := w.load().Audit.Folded; folded == nil || folded.Runs != 60 || folded.Last.Sub(folded.First) != 59*time.Minute {
			t.Errorf("head: got folded %+v, want 60 runs in 59 minutes", folded)
		}
		time.Sleep(time.Minute)
		if got := appended(state.Unchanged); got.Seq != 3 || got.Folded == nil || got.Folded.Runs != 60 {
			t.Errorf("unchanged after an hour: got %+v, want record 3 with 60 runs folded", got)
		}
		if got := appended(state.Failed); got.Seq != 4 || got.Folded != nil {
			t.Errorf("failed: got %+v, want record 4 with none folded", got)
		}
		w.verify(4)
	})
}

// A record that does not fit into the head stands in a blob.
func TestBigRecord(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		w.unchanged()
		l := w.open(nil, nil)
		big := record(state.Failed)
		big.Message = strings.Repeat("<&>\u2028 long ", 1000)
		head, written, err := l.Append(t.Context(), load(t, l), big, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if head.Audit.Inline != nil || !strings.HasPrefix(head.Audit.Path, "runs/"+l.Run()+"/") {
			t.Errorf("got inline %d bytes, path %q", len(head.Audit.Inline), head.Audit.Path)
		}
		w.unchanged()
		w.verify(3)
		history, err := l.History(t.Context(), 2)
		if err != nil || len(history) != 2 || history[0].Seq != 3 || history[1].Message != written.Message {
			t.Errorf("History: got %d records, %v", len(history), err)
		}
	})
}

func TestAppendNeedsARun(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		l, err := state.Open(w.store, state.Options{Clock: newRunner(0)})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.Append(t.Context(), load(t, l), record(state.Unchanged), 0, nil); err == nil {
			t.Error("Append without a run: got nil, want an error")
		}
		if _, err := state.Open(w.store, state.Options{TTL: 2 * time.Second}); err == nil {
			t.Error("Open with a TTL of 2 s: got nil, want an error")
		}
	})
}

// The store's answers are lost, late, or lies; each request in turn.
func TestUnknownOutcomes(t *testing.T) {
	faults := map[string]fault{
		"error before":                   {before: errWeather},
		"answer lost":                    {after: errWeather},
		"412 after own success":          {after: state.ErrChanged},
		"409 after own success":          {after: state.ErrExists},
		"404 after own success":          {after: fmt.Errorf("404: %w", errWeather)},
		"412 without having looked":      {before: state.ErrChanged},
		"answer later than the time-out": {lateAnswer: 40 * time.Second},
		"request done 12 s later":        {late: 12 * time.Second},
	}
	for name, what := range faults {
		for n := 0; ; n++ {
			reached := false
			t.Run(fmt.Sprintf("%s/request %d", name, n), func(t *testing.T) {
				synced(t, func(t *testing.T, w *world) {
					w.unchanged()
					store := &faulty{Store: w.store}
					store.break_(func(i int, request string) fault {
						reads := strings.HasPrefix(request, "get ")
						if i != n || reads && (errors.Is(what.after, state.ErrChanged) || errors.Is(what.before, state.ErrChanged) || errors.Is(what.after, state.ErrExists)) {
							return fault{}
						}
						reached = true
						return what
					})
					wholeRun(t, w, store)
				})
			})
			if !reached && n > 20 {
				break
			}
		}
	}
}

// wholeRun claims, commits once more, settles; then another run appends.
func wholeRun(t *testing.T, w *world, store state.Store) {
	l := w.open(store, nil)
	tenure, err := l.Claim(t.Context(), load(t, l), planned(t, l, "web"))
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	var settled state.Head
	err = tenure.While(t.Context(), func(ctx context.Context) error {
		return tenure.Commit(ctx, planned(t, l, "db"))
	})
	if err != nil {
		t.Fatalf("While: %v", err)
	}
	if settled, _, err = tenure.Settle(t.Context(), record(state.Changed), nil); err != nil {
		t.Fatalf("Settle: %v", err)
	}
	// What is still on its way arrives, and finds the door shut.
	time.Sleep(time.Minute)
	head := w.load()
	if head.Nonce != settled.Nonce || head.Epoch != 1 || head.Audit.Seq != 2 || !head.Idle() || len(head.Apps) != 2 {
		t.Errorf("got head %+v, settled %+v", head, settled)
	}
	m := w.open(store, nil)
	if _, _, err := m.Append(t.Context(), load(t, m), record(state.Unchanged), 0, nil); err != nil {
		t.Fatalf("Append: %v", err)
	}
	time.Sleep(time.Minute)
	w.verify(3)
}

// A run whose write was done and whose answer was lost, and that was overtaken
// before it could look, does not record itself twice.
func TestOvertakenBeforeLookingBack(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		w.unchanged()
		for name, meanwhile := range map[string]func(){
			"one record":  func() { w.unchanged() },
			"two records": func() { w.unchanged(); w.unchanged() },
			"another run": func() { w.changed(nil) },
		} {
			before := w.load().Audit.Seq
			store := &faulty{Store: w.store}
			done := false
			store.break_(func(_ int, request string) fault {
				if request == "swap head.json" && !done {
					done = true
					return fault{after: errWeather, meanwhile: meanwhile}
				}
				return fault{}
			})
			l := w.open(store, nil)
			_, written, err := l.Append(t.Context(), load(t, l), record(state.Unchanged), 0, nil)
			if err != nil || written.Seq != before+1 {
				t.Errorf("%s: got record %d, %v; want %d", name, written.Seq, err, before+1)
			}
			history, err := l.History(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(slices.Collect(ofRun(history, l.Run()))); n != 1 {
				t.Errorf("%s: the run has %d records, want 1", name, n)
			}
		}
		w.verify(w.load().Audit.Seq)
	})
}

// A head that was copied onto itself has another version and says the same.
func TestSameHeadOfAnotherVersion(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		base := w.unchanged()
		w.overwrite("head.json", w.raw("head.json"))
		if _, _, err := w.open(nil, nil).Append(t.Context(), base, record(state.Unchanged), 0, nil); err != nil {
			t.Errorf("Append: %v", err)
		}
		w.verify(2)
	})
}

func ofRun(records []state.Record, run string) func(func(state.Record) bool) {
	return func(yield func(state.Record) bool) {
		for _, r := range records {
			if r.Run == run && !yield(r) {
				return
			}
		}
	}
}

// A store that stays silent is ErrNoAnswer, one that refuses is ErrRefused at
// once, and neither is taken for an empty ledger.
func TestSilence(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		base := w.unchanged()
		for name, test := range map[string]struct {
			what  fault
			want  error
			after time.Duration
		}{
			"errors": {fault{before: errWeather}, state.ErrNoAnswer, 31 * time.Second},
			"hangs":  {fault{late: time.Hour}, state.ErrNoAnswer, 62 * time.Second},
			"denied": {fault{before: fmt.Errorf("403: %w", state.ErrRefused)}, state.ErrRefused, 0},
		} {
			store := &faulty{Store: w.store, plan: func(int, string) fault { return test.what }}
			l := w.open(store, nil)
			for what, ask := range map[string]func() error{
				"Load":   func() error { _, err := l.Load(t.Context()); return err },
				"Put":    func() error { _, err := l.Put(t.Context(), "plan", nil); return err },
				"Append": func() error { _, _, err := l.Append(t.Context(), base, record(state.Unchanged), 0, nil); return err },
				"Claim":  func() error { _, err := l.Claim(t.Context(), base, nil); return err },
			} {
				start := time.Now()
				err := ask()
				if took := time.Since(start); !errors.Is(err, test.want) || took > test.after {
					t.Errorf("%s, %s: got %v after %s, want %v within %s", name, what, err, took, test.want, test.after)
				}
			}
		}
		time.Sleep(2 * time.Hour) // The hanging requests come through, and are refused.
		w.verify(w.load().Audit.Seq)
	})
}
