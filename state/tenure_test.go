package state_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
)

const ttl = time.Minute

// A run that changes something costs two writes of the head.
func TestClaimAndSettle(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		w.unchanged()
		store := &faulty{Store: w.store}
		l := w.open(store, nil)
		tenure, err := l.Claim(t.Context(), load(t, l), planned(t, l, "web"))
		if err != nil {
			t.Fatal(err)
		}
		head := w.load()
		if head.Idle() || head.Lease.Run != l.Run() || head.Lease.Free || time.Duration(head.Lease.TTL) != ttl || head.Epoch != 1 || head.Apps["web"].Plan == nil {
			t.Errorf("claimed: got %+v", head)
		}
		if tenure.Epoch() != 1 || tenure.Head().Nonce != head.Nonce || tenure.Check() != nil || tenure.Left() != ttl*2/3 {
			t.Errorf("tenure: got epoch %d, %s left, %v", tenure.Epoch(), tenure.Left(), tenure.Check())
		}
		revision := &state.Revision{Repo: "https://example.com/r", Commit: "c0ffee"}
		settled, written, err := tenure.Settle(t.Context(), record(state.Changed), func(h *state.Head) {
			app := h.Apps["web"]
			app.Revision = revision
			h.Apps["web"] = app
		})
		if err != nil {
			t.Fatal(err)
		}
		if !settled.Idle() || settled.Epoch != 1 || settled.Apps["web"].Plan != nil || settled.Apps["web"].Revision.Commit != "c0ffee" {
			t.Errorf("settled: got %+v", settled)
		}
		if written.Seq != 2 || written.Epoch != 1 || written.Interrupted != nil {
			t.Errorf("record: got %+v", written)
		}
		if err := tenure.Check(); err == nil {
			t.Error("Check after Settle: got nil, want an error")
		}
		if _, _, err := tenure.Settle(t.Context(), record(state.Changed), nil); err == nil {
			t.Error("second Settle: got nil, want an error")
		}
		want := []string{
			"get head.json", "create runs/" + l.Run() + "/plan-web", "create audit/00000000000000000001.json", "swap head.json", "swap head.json",
		}
		if got := store.requests(); !slices.Equal(got, want) {
			t.Errorf("got requests %q, want %q", got, want)
		}
		w.verify(2)
	})
}

func TestRacingClaims(t *testing.T) {
	for _, first := range []bool{true, false} {
		synced(t, func(t *testing.T, w *world) {
			if !first {
				w.unchanged()
			}
			var wait sync.WaitGroup
			var mu sync.Mutex
			var won []*state.Tenure
			for range 8 {
				l := w.open(&faulty{Store: w.store, plan: func(int, string) fault { return fault{lateAnswer: time.Millisecond} }}, nil)
				wait.Go(func() {
					base, err := l.Load(t.Context())
					if err != nil {
						t.Errorf("Load: %v", err)
						return
					}
					tenure, err := l.Claim(t.Context(), base, nil)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won = append(won, tenure)
					} else if _, ok := errors.AsType[*state.HeldError](err); !ok {
						t.Errorf("Claim: %v", err)
					}
				})
			}
			wait.Wait()
			if head := w.load(); len(won) != 1 || head.Epoch != 1 || head.Nonce != won[0].Head().Nonce {
				t.Errorf("%d racers won, epoch %d; want one winner, of epoch 1", len(won), head.Epoch)
			}
		})
	}
}

// The lease is renewed every quarter of the TTL while work runs, however long.
func TestWhileRenews(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		store := &faulty{Store: w.store}
		l := w.open(store, nil)
		tenure := w.claim(l, nil)
		before := len(store.requests())
		err := tenure.While(t.Context(), func(ctx context.Context) error {
			for range 600 {
				time.Sleep(time.Second)
				if err := errors.Join(tenure.Check(), ctx.Err()); err != nil {
					t.Fatalf("at work: %v", err)
				}
				if left := tenure.Left(); left < ttl*2/3-ttl/4-time.Second {
					t.Fatalf("%s left", left)
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("While: %v", err)
		}
		if renewals := len(store.requests()) - before; renewals < 39 || renewals > 40 {
			t.Errorf("%d renewals in ten minutes, want 39 or 40", renewals)
		}
		if head := w.load(); head.Epoch != 1 || head.Nonce != tenure.Head().Nonce {
			t.Errorf("got head %+v, tenure has %+v", head, tenure.Head())
		}
	})
}

// A Commit renews; no renewal follows at its heels.
func TestCommitRenews(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		store := &faulty{Store: w.store}
		l := w.open(store, nil)
		tenure := w.claim(l, nil)
		before := len(store.requests())
		err := tenure.While(t.Context(), func(ctx context.Context) error {
			for range 10 {
				time.Sleep(14 * time.Second)
				if err := tenure.Commit(ctx, func(h *state.Head) { h.Config = fmt.Sprint(time.Now()) }); err != nil {
					return err
				}
			}
			return nil
		})
		if writes := len(store.requests()) - before; err != nil || writes != 10 {
			t.Errorf("got %d writes, %v; want the 10 commits alone", writes, err)
		}
	})
}

// When the store falls silent, work ends before anybody may take over.
func TestWorkEndsWhenTheStoreIsSilent(t *testing.T) {
	for name, what := range map[string]fault{
		"errors": {before: errWeather},
		"hangs":  {late: 24 * time.Hour},
		"denied": {before: state.ErrRefused},
	} {
		synced(t, func(t *testing.T, w *world) {
			store := &faulty{Store: w.store}
			l := w.open(store, nil)
			tenure := w.claim(l, nil)
			var silent, stopped, lastSent time.Time
			err := tenure.While(t.Context(), func(ctx context.Context) error {
				time.Sleep(100 * time.Second) // Renewed last after 90 s.
				silent = time.Now()
				store.break_(func(int, string) fault { return what })
				for ctx.Err() == nil {
					if tenure.Check() == nil {
						lastSent = time.Now()
					}
					time.Sleep(100 * time.Millisecond)
				}
				stopped = time.Now()
				return fmt.Errorf("half done: %w", context.Cause(ctx))
			})
			if !errors.Is(err, state.ErrLost) {
				t.Errorf("%s: While: got %v, want ErrLost", name, err)
			}
			if after := stopped.Sub(silent); after > 31*time.Second || after < 25*time.Second {
				t.Errorf("%s: work ended after %s, want 30 s", name, after)
			}
			if after := lastSent.Sub(silent); after > 30*time.Second {
				t.Errorf("%s: the last request could be sent after %s", name, after)
			}
			// The store is back, and nobody took over: settling still works.
			store.break_(nil)
			if _, _, err := tenure.Settle(t.Context(), record(state.Interrupted), nil); err != nil {
				t.Errorf("%s: Settle: %v", name, err)
			}
			time.Sleep(48 * time.Hour)
			w.verify(1)
		})
	}
}

// The answers of renewals may get lost: then the next one builds on what was
// done.
func TestRenewalsWithLostAnswers(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		store := &faulty{Store: w.store}
		l := w.open(store, nil)
		tenure := w.claim(l, nil)
		store.break_(func(n int, request string) fault {
			switch {
			case strings.HasPrefix(request, "swap") && n%3 > 0:
				return fault{after: errWeather}
			case n%7 == 0:
				return fault{before: errWeather}
			}
			return fault{}
		})
		err := tenure.While(t.Context(), func(ctx context.Context) error {
			for range 300 {
				time.Sleep(time.Second)
				if err := tenure.Check(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("While: %v", err)
		}
		if _, _, err := tenure.Settle(t.Context(), record(state.Changed), nil); err != nil {
			t.Errorf("Settle: %v", err)
		}
		w.verify(1)
	})
}

// A write whose outcome stayed unknown is found in the head by the next one.
func TestBuildsOnOwnUnknownWrite(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		store := &faulty{Store: w.store}
		l := w.open(store, nil)
		tenure := w.claim(l, nil)
		edit := planned(t, l, "web")
		// It is done, but neither that nor anything else is heard for a minute.
		store.break_(func(_ int, request string) fault {
			if strings.HasPrefix(request, "swap") {
				return fault{after: errWeather}
			}
			return fault{before: errWeather}
		})
		if err := tenure.Commit(t.Context(), edit); !errors.Is(err, state.ErrNoAnswer) {
			t.Fatalf("Commit: got %v, want ErrNoAnswer", err)
		}
		store.break_(nil)
		if err := tenure.Commit(t.Context(), planned(t, l, "db")); err != nil {
			t.Fatalf("second Commit: %v", err)
		}
		if head := w.load(); len(head.Apps) != 2 {
			t.Errorf("got apps %v, want web and db", head.Apps)
		}
		if _, _, err := tenure.Settle(t.Context(), record(state.Changed), nil); err != nil {
			t.Errorf("Settle: %v", err)
		}
		w.verify(1)
	})
}

// While the machine sleeps its monotonic clock stands still; the wall clock
// does not, and one of both is enough to stop.
func TestRightToSendEndsOnEitherClock(t *testing.T) {
	for name, pass := range map[string]func(*runner, time.Duration){
		"wall":      func(r *runner, d time.Duration) { r.suspend(d) },
		"monotonic": func(r *runner, d time.Duration) { r.mu.Lock(); defer r.mu.Unlock(); r.mono += d },
	} {
		synced(t, func(t *testing.T, w *world) {
			clock := newRunner(0)
			tenure := w.claim(w.open(nil, clock), nil)
			pass(clock, ttl*2/3-time.Second)
			if err := tenure.Check(); err != nil || tenure.Left() != time.Second {
				t.Errorf("%s, a second before: got %v and %s left", name, err, tenure.Left())
			}
			pass(clock, time.Second)
			if err := tenure.Check(); !errors.Is(err, state.ErrLost) || tenure.Left() != 0 {
				t.Errorf("%s: got %v and %s left, want ErrLost and none", name, err, tenure.Left())
			}
			// A write that succeeds proves that nobody took over.
			if err := errors.Join(tenure.Commit(t.Context(), nil), tenure.Check()); err != nil {
				t.Errorf("%s: %v after a Commit", name, err)
			}
		})
	}
}

// The right to send counts from before the request, not from its answer.
func TestRightToSendCountsFromTheRequest(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		store := &faulty{Store: w.store}
		store.break_(func(_ int, request string) fault {
			if request == "create head.json" || request == "swap head.json" {
				return fault{lateAnswer: 9 * time.Second}
			}
			return fault{}
		})
		tenure := w.claim(w.open(store, nil), nil)
		if left := tenure.Left(); left != 31*time.Second {
			t.Errorf("Claim: %s left after an answer that took 9 s, want 31 s", left)
		}
		if err := tenure.Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if left := tenure.Left(); left != 31*time.Second {
			t.Errorf("Commit: %s left after an answer that took 9 s, want 31 s", left)
		}
	})
}

func TestTakenOverWhileAtWork(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		l := w.open(nil, nil)
		tenure := w.claim(l, planned(t, l, "web"))
		var other *state.Tenure
		err := tenure.While(t.Context(), func(ctx context.Context) error {
			// A person insists.
			m := w.open(nil, nil)
			var err error
			if other, err = m.TakeOver(t.Context(), state.Waited{End: state.Stale, Head: load(t, m)}, nil); err != nil {
				t.Fatal(err)
			}
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), state.ErrLost) {
				t.Errorf("cause: got %v, want ErrLost", context.Cause(ctx))
			}
			return errors.New("half done")
		})
		if !errors.Is(err, state.ErrLost) || !strings.Contains(err.Error(), "half done") {
			t.Errorf("While: got %v, want ErrLost and the error of work", err)
		}
		for what, err := range map[string]error{
			"Check":  tenure.Check(),
			"Commit": tenure.Commit(t.Context(), nil),
			"Settle": func() error { _, _, err := tenure.Settle(t.Context(), record(state.Changed), nil); return err }(),
		} {
			if !errors.Is(err, state.ErrLost) {
				t.Errorf("%s: got %v, want ErrLost", what, err)
			}
		}
		if other.Epoch() != 2 || !slices.Equal(other.Interrupted(), []string{l.Run()}) {
			t.Errorf("got epoch %d, interrupted %v", other.Epoch(), other.Interrupted())
		}
		_, written, err := other.Settle(t.Context(), record(state.Changed), nil)
		if err != nil || !slices.Equal(written.Interrupted, []string{l.Run()}) || written.Epoch != 2 {
			t.Errorf("got record %+v, %v", written, err)
		}
		if head := w.load(); !head.Idle() || head.Lease.Interrupted != nil {
			t.Errorf("got head %+v", head)
		}
		w.verify(1)
	})
}

// The end of the caller's context ends work, not the lease while work winds up.
func TestWhileAfterSignal(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		tenure := w.claim(w.open(nil, nil), nil)
		ctx, cancel := context.WithCancel(t.Context())
		err := tenure.While(ctx, func(ctx context.Context) error {
			cancel()
			<-ctx.Done()
			time.Sleep(2 * time.Minute)
			return errors.Join(tenure.Check(), ctx.Err())
		})
		if !errors.Is(err, context.Canceled) || errors.Is(err, state.ErrLost) {
			t.Errorf("While: got %v, want context.Canceled alone", err)
		}
		if _, _, err := tenure.Settle(t.Context(), record(state.Interrupted), nil); err != nil {
			t.Errorf("Settle: %v", err)
		}
	})
}

// A Settle that was done, whose answer was lost, and after which another run
// claimed: settled, not lost.
func TestSettleOvertaken(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		store := &faulty{Store: w.store}
		l := w.open(store, nil)
		tenure := w.claim(l, nil)
		store.break_(func(_ int, request string) fault {
			if request != "swap head.json" {
				return fault{}
			}
			store.break_(nil)
			return fault{after: errWeather, meanwhile: func() { w.changed(nil); w.claim(w.open(nil, nil), nil) }}
		})
		if _, written, err := tenure.Settle(t.Context(), record(state.Changed), nil); err != nil || written.Seq != 1 {
			t.Errorf("Settle: got record %d, %v", written.Seq, err)
		}
		w.verify(2)
	})
}

// Work that returns as if nothing had happened does not hide the loss.
func TestLossIsNotHidden(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		for _, answer := range []error{nil, state.ErrLost} {
			store := &faulty{Store: w.store}
			tenure := w.claim(w.open(store, nil), nil)
			store.break_(func(int, string) fault { return fault{before: errWeather} })
			err := tenure.While(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return answer })
			if !errors.Is(err, state.ErrLost) {
				t.Errorf("work gives %v: got %v, want ErrLost", answer, err)
			}
			store.break_(nil)
			if _, _, err := tenure.Settle(t.Context(), record(state.Failed), nil); err != nil {
				t.Errorf("Settle: %v", err)
			}
		}
	})
}
