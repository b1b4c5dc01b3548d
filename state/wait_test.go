package state_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
)

// waited is one Wait on the head as it is.
func (w *world) waited(l *state.Ledger, timeout time.Duration) (state.Waited, time.Duration) {
	w.t.Helper()
	head := load(w.t, l)
	start := time.Now()
	waited, err := l.Wait(w.t.Context(), head, timeout)
	if err != nil {
		w.t.Fatal(err)
	}
	return waited, time.Since(start)
}

func TestWaitForADeadHolder(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		w.unchanged()
		dead := w.open(nil, nil)
		w.claim(dead, planned(t, dead, "web"))
		l := w.open(nil, nil)
		var held *state.HeldError
		if _, err := l.Claim(t.Context(), load(t, l), nil); !errors.As(err, &held) || held.Head.Lease.Run != dead.Run() {
			t.Errorf("Claim: got %v, want a HeldError that names %s", err, dead.Run())
		}
		if _, _, err := l.Append(t.Context(), load(t, l), record(state.Unchanged), 0, nil); !errors.As(err, &held) {
			t.Errorf("Append: got %v, want a HeldError", err)
		}
		waited, took := w.waited(l, 0)
		if waited.End != state.Stale || took < ttl+ttl/4 || took > ttl+ttl/4+6*time.Second {
			t.Errorf("Wait: got %s after %s, want stale after 75 s", waited.End, took)
		}
		tenure, err := l.TakeOver(t.Context(), waited, nil)
		if err != nil {
			t.Fatal(err)
		}
		head := tenure.Head()
		if head.Epoch != 2 || head.Lease.Run != l.Run() || head.Apps["web"].Plan == nil {
			t.Errorf("taken over: got %+v; want epoch 2, and the dead run's plan still open", head)
		}
		settled, written, err := tenure.Settle(t.Context(), record(state.Unchanged), nil)
		if err != nil || !slices.Equal(written.Interrupted, []string{dead.Run()}) || !settled.Idle() {
			t.Errorf("Settle: got %+v, %v", written, err)
		}
		w.verify(2)
	})
}

// A run that took over may die too; the record names both.
func TestTakeOverTwice(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		var dead []string
		l := w.open(nil, nil)
		w.claim(l, nil)
		var tenure *state.Tenure
		for range 3 {
			dead = append(dead, w.load().Lease.Run)
			l := w.open(nil, nil)
			waited, _ := w.waited(l, 0)
			var err error
			if tenure, err = l.TakeOver(t.Context(), waited, nil); err != nil {
				t.Fatal(err)
			}
		}
		_, written, err := tenure.Settle(t.Context(), record(state.Changed), nil)
		if err != nil || !slices.Equal(written.Interrupted, dead) || written.Epoch != 4 {
			t.Errorf("got %+v, %v; want interrupted %v", written, err, dead)
		}
	})
}

// A holder that lives is never robbed, whatever its wall clock says, and is
// noticed soon.
func TestWaitForALivingHolder(t *testing.T) {
	for _, skew := range []time.Duration{0, time.Hour, -time.Hour, 24 * 365 * time.Hour} {
		synced(t, func(t *testing.T, w *world) {
			w.unchanged()
			tenure := w.claim(w.open(nil, newRunner(skew)), nil)
			err := tenure.While(t.Context(), func(context.Context) error {
				for range 20 {
					time.Sleep(7 * time.Second)
					waited, took := w.waited(w.open(nil, newRunner(-skew)), 0)
					if waited.End != state.Moved || took > ttl/3 {
						t.Errorf("skew %s: got %s after %s, want moved within 20 s", skew, waited.End, took)
					}
				}
				return nil
			})
			if err != nil {
				t.Errorf("skew %s: While: %v", skew, err)
			}
		})
	}
}

// Neither clock alone is enough to rob a holder.
func TestBothClocksMustAgree(t *testing.T) {
	for name, test := range map[string]struct {
		clock     func() *runner
		storeNow  func(stamp state.Stamp) time.Time
		wantStale bool
	}{
		"both run": {func() *runner { return newRunner(0) }, func(s state.Stamp) time.Time { return s.Now }, true},
		"the store's stands still": {func() *runner { return newRunner(0) }, func(s state.Stamp) time.Time {
			return s.Modified
		}, false},
		"the store says nothing": {func() *runner { return newRunner(0) }, func(state.Stamp) time.Time {
			return time.Time{}
		}, false},
		"the store's age is one TTL": {func() *runner { return newRunner(0) }, func(s state.Stamp) time.Time {
			return s.Modified.Add(ttl)
		}, false},
		"the store's is hours ahead, and the lease young": {func() *runner { return newRunner(0) }, func(s state.Stamp) time.Time {
			return s.Now.Add(5 * time.Hour)
		}, true}, // After 75 s on one's own, as the times below show.
		"one's own stands still": {func() *runner {
			r := newRunner(0)
			go func() { // It loses a second each second.
				for range 400 {
					time.Sleep(time.Second)
					r.mu.Lock()
					r.mono -= time.Second
					r.mu.Unlock()
				}
			}()
			return r
		}, func(s state.Stamp) time.Time { return s.Now }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synced(t, func(t *testing.T, w *world) {
				w.claim(w.open(nil, nil), nil)
				begun := time.Now()
				l := w.open(restamped{w.store, test.storeNow}, test.clock())
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Second)
				defer cancel()
				waited, err := l.Wait(ctx, load(t, l), 0)
				if test.wantStale {
					if took := time.Since(begun); err != nil || waited.End != state.Stale || took < ttl+ttl/4 {
						t.Errorf("got %s, %v after %s, want stale after 75 s", waited.End, err, took)
					}
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %s, %v after %s, want to wait on", waited.End, err, time.Since(begun))
				}
				time.Sleep(200 * time.Second) // Let the slow clock end.
			})
		})
	}
}

// restamped is a store whose clock says something else.
type restamped struct {
	state.Store
	now func(state.Stamp) time.Time
}

func (s restamped) Get(ctx context.Context, name string) (state.Blob, error) {
	blob, err := s.Store.Get(ctx, name)
	blob.Now = s.now(blob.Stamp)
	return blob, err
}

// Slow answers do not count as time in which the head stood still.
func TestSlowAnswersDoNotCount(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		w.claim(w.open(nil, nil), nil)
		store := &faulty{Store: w.store}
		store.break_(func(int, string) fault { return fault{lateAnswer: 9 * time.Second} })
		waited, took := w.waited(w.open(store, nil), 0)
		if waited.End != state.Stale || took < ttl+ttl/4+18*time.Second {
			t.Errorf("got %s after %s, want stale after 75 s and two slow answers", waited.End, took)
		}
	})
}

func TestWaitEnds(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		w.unchanged()
		if waited, took := w.waited(w.open(nil, nil), 0); waited.End != state.Freed || took != 0 {
			t.Errorf("an idle head: got %s after %s, want freed at once", waited.End, took)
		}
		tenure := w.claim(w.open(nil, nil), nil)
		if waited, took := w.waited(w.open(nil, nil), 20*time.Second); waited.End != state.TimedOut || took != 20*time.Second {
			t.Errorf("with a timeout: got %s after %s, want timed-out after 20 s", waited.End, took)
		}
		l := w.open(nil, nil)
		head := load(t, l)
		go func() {
			time.Sleep(30 * time.Second)
			if _, _, err := tenure.Settle(t.Context(), record(state.Changed), nil); err != nil {
				t.Errorf("Settle: %v", err)
			}
		}()
		waited, err := l.Wait(t.Context(), head, 0)
		if err != nil || waited.End != state.Freed || !waited.Head.Idle() {
			t.Errorf("a holder that settles: got %s, %v, want freed", waited.End, err)
		}
		w.claim(w.open(nil, nil), nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errWeather)
		if _, err := l.Wait(ctx, w.load(), 0); !errors.Is(err, errWeather) {
			t.Errorf("an ended context: got %v, want its cause", err)
		}
	})
}

// The store may be silent for a while as one waits.
func TestWaitThroughWeather(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		w.claim(w.open(nil, nil), nil)
		store := &faulty{Store: w.store}
		start := time.Now()
		store.break_(func(int, string) fault {
			if since := time.Since(start); since > 30*time.Second && since < 55*time.Second {
				return fault{before: errWeather}
			}
			return fault{}
		})
		if waited, _ := w.waited(w.open(store, nil), 0); waited.End != state.Stale {
			t.Errorf("got %s, want stale", waited.End)
		}
	})
}

// A plan left open by a run that freed the lease is waited for like a holder.
func TestOpenPlanIsNotIdle(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		l := w.open(nil, nil)
		w.edited(planned(t, l, "web"))
		var held *state.HeldError
		if _, err := l.Claim(t.Context(), load(t, l), nil); !errors.As(err, &held) || !strings.Contains(err.Error(), "plan open") {
			t.Errorf("Claim: got %v, want a HeldError that speaks of the plan", err)
		}
		waited, took := w.waited(l, 0)
		if waited.End != state.Stale || took < ttl+ttl/4 {
			t.Errorf("Wait: got %s after %s", waited.End, took)
		}
	})
}

// Of two runs that found the holder dead, one takes over.
func TestTakeOverIsConditional(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		dead := w.claim(w.open(nil, nil), nil)
		a, b := w.open(nil, nil), w.open(nil, nil)
		waited, _ := w.waited(a, 0)
		first, err := a.TakeOver(t.Context(), waited, nil)
		if err != nil {
			t.Fatal(err)
		}
		var held *state.HeldError
		if _, err := b.TakeOver(t.Context(), waited, nil); !errors.As(err, &held) || held.Head.Lease.Run != a.Run() {
			t.Errorf("second TakeOver: got %v, want a HeldError that names %s", err, a.Run())
		}
		if _, _, err := first.Settle(t.Context(), record(state.Changed), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := b.TakeOver(t.Context(), waited, nil); !errors.Is(err, state.ErrRestart) {
			t.Errorf("late TakeOver: got %v, want ErrRestart", err)
		}
		if _, err := b.TakeOver(t.Context(), state.Waited{End: state.Moved, Head: waited.Head}, nil); err == nil {
			t.Error("TakeOver of a living holder: got nil, want an error")
		}
		if _, _, err := dead.Settle(t.Context(), record(state.Changed), nil); !errors.Is(err, state.ErrLost) {
			t.Errorf("the dead one settles: got %v, want ErrLost", err)
		}
		w.verify(1)
	})
}
