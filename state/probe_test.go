package state_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/mem"
)

// altered is a store in which some methods are others.
type altered struct {
	*mem.Store
	get    func(ctx context.Context, name string) (state.Blob, error)
	create func(ctx context.Context, name string, data []byte) (state.Stamp, error)
	swap   func(ctx context.Context, name string, data []byte, version string) (state.Stamp, error)
}

func (s *altered) Get(ctx context.Context, name string) (state.Blob, error) {
	if s.get != nil {
		return s.get(ctx, name)
	}
	return s.Store.Get(ctx, name)
}

func (s *altered) Create(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	if s.create != nil {
		return s.create(ctx, name, data)
	}
	return s.Store.Create(ctx, name, data)
}

func (s *altered) Swap(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
	if s.swap != nil {
		return s.swap(ctx, name, data, version)
	}
	return s.Store.Swap(ctx, name, data, version)
}

// put overwrites without a condition.
func (s *altered) put(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	for {
		blob, err := s.Store.Get(ctx, name)
		var stamp state.Stamp
		if err != nil {
			stamp, err = s.Store.Create(ctx, name, data)
		} else {
			stamp, err = s.Store.Swap(ctx, name, data, blob.Version)
		}
		if err == nil {
			return stamp, nil
		}
	}
}

func TestProbe(t *testing.T) {
	for _, racers := range []int{0, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			store := mem.Open(mem.Options{Now: time.Now})
			l, err := state.Open(store, state.Options{Run: "run", Clock: newRunner(0), Racers: racers})
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.Probe(t.Context())
			if err != nil || len(got.Passed) != 4 || got.Unknown != 0 || got.Skew != 0 || got.Left != "" {
				t.Errorf("%d racers: got %+v, %v, want four things passed and nothing else", racers, got, err)
			}
			want := map[int]string{0: "32 racing creates", 1: "1 racing creates", 2: "2 racing creates"}[racers]
			if !strings.HasPrefix(got.Passed[0], want) {
				t.Errorf("%d racers: got %q first, want %s", racers, got.Passed, want)
			}
			if left, err := store.List(t.Context(), ""); err != nil || len(left) > 0 {
				t.Errorf("%d racers: %v is left, %v", racers, left, err)
			}
		})
	}
}

// Every way in which a store can break what the ledger rests on is found, and
// said.
func TestProbeOfAnUnfitStore(t *testing.T) {
	for name, test := range map[string]struct {
		alter func(s *altered)
		want  string
	}{
		"a create overwrites": {func(s *altered) { s.create = s.put }, "32 racing creates: one winner: the store is unfit for a ledger: 32 of 32 were told that they won"},
		"a create looks, then writes": {func(s *altered) {
			s.create = func(ctx context.Context, name string, data []byte) (state.Stamp, error) {
				if _, err := s.Store.Get(ctx, name); err == nil {
					return state.Stamp{}, state.ErrExists
				}
				time.Sleep(time.Millisecond)
				return s.put(ctx, name, data)
			}
		}, "racing creates: one winner"},
		"a create that is refused overwrites": {func(s *altered) {
			s.create = func(ctx context.Context, name string, data []byte) (state.Stamp, error) {
				stamp, err := s.Store.Create(ctx, name, data)
				if err != nil {
					_, _ = s.put(ctx, name, data)
				}
				return stamp, err
			}
		}, "was told that it won, but the store then holds what writer"},
		"a swap ignores the version": {func(s *altered) {
			s.swap = func(ctx context.Context, name string, data []byte, _ string) (state.Stamp, error) {
				return s.put(ctx, name, data)
			}
		}, "32 racing swaps from one version: one winner: the store is unfit for a ledger: 32 of 32 were told that they won"},
		"a swap compares, then writes": {func(s *altered) {
			s.swap = func(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
				if blob, err := s.Store.Get(ctx, name); err != nil || blob.Version != version {
					return state.Stamp{}, state.ErrChanged
				}
				time.Sleep(time.Millisecond)
				return s.put(ctx, name, data)
			}
		}, "racing swaps from one version: one winner"},
		"a stale version is accepted when nobody races": {func(s *altered) {
			s.swap = func(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
				if strings.Contains(string(data), "stale") {
					return s.put(ctx, name, data)
				}
				return s.Store.Swap(ctx, name, data, version)
			}
		}, "a stale version is refused: the store is unfit for a ledger: it was accepted"},
		"a stale version is refused, and written": {func(s *altered) {
			s.swap = func(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
				stamp, err := s.Store.Swap(ctx, name, data, version)
				if strings.Contains(string(data), "stale") {
					_, _ = s.put(ctx, name, data)
				}
				return stamp, err
			}
		}, `a stale version is refused: the store is unfit for a ledger: the store then holds "{\"probe\":\"stale\"}"`},
		"what is absent is remembered": {func(s *altered) {
			s.get = func(context.Context, string) (state.Blob, error) { return state.Blob{}, state.ErrNotFound }
		}, "was told that it won, but the store then shows no object"},
		"reads are stale": {func(s *altered) {
			var mu sync.Mutex
			var first *state.Blob
			s.get = func(ctx context.Context, name string) (state.Blob, error) {
				mu.Lock()
				defer mu.Unlock()
				if first != nil {
					return *first, nil
				}
				blob, err := s.Store.Get(ctx, name)
				if err == nil {
					first = &blob
				}
				return blob, err
			}
		}, "was told that it won, but the store then holds what it held before"},
		"a create is answered, and not done": {func(s *altered) {
			s.create = func(context.Context, string, []byte) (state.Stamp, error) {
				return state.Stamp{Version: "1"}, nil
			}
		}, "32 of 32 were told that they won"},
		"a swap is answered, and not done": {func(s *altered) {
			var once sync.Once
			s.swap = func(context.Context, string, []byte, string) (state.Stamp, error) {
				err := state.ErrChanged
				once.Do(func() { err = nil })
				return state.Stamp{Version: "2"}, err
			}
		}, "was told that it won, but the store then holds what it held before"},
		"every create is refused": {func(s *altered) {
			s.create = func(context.Context, string, []byte) (state.Stamp, error) { return state.Stamp{}, state.ErrExists }
		}, "nobody wins, and the store shows no object: exists already"},
		"the version of a write's answer is another than the object's": {func(s *altered) {
			s.create = func(ctx context.Context, name string, data []byte) (state.Stamp, error) {
				stamp, err := s.Store.Create(ctx, name, data)
				stamp.Version = "W/" + stamp.Version
				return stamp, err
			}
		}, "racing swaps from one version: one winner: the store is unfit for a ledger: nobody wins, and the store holds what it held before: "},
		"the time is not told": {func(s *altered) {
			s.get = func(ctx context.Context, name string) (state.Blob, error) {
				blob, err := s.Store.Get(ctx, name)
				blob.Now = time.Time{}
				return blob, err
			}
		}, "it does not say what time it is"},
		"there is something where nobody wrote": {func(s *altered) {
			s.get = func(context.Context, string) (state.Blob, error) {
				return state.Blob{Data: []byte("<html>"), Stamp: state.Stamp{Version: "1", Now: time.Now(), Modified: time.Now()}}, nil
			}
		}, "exists, and nobody wrote it"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				store := &altered{Store: w.store}
				test.alter(store)
				_, err := w.open(store, nil).Probe(t.Context())
				if !errors.Is(err, state.ErrUnfit) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want ErrUnfit with %q", err, test.want)
				}
				if left, err := w.store.List(t.Context(), ""); err != nil || len(left) > 0 {
					t.Errorf("%v is left, %v", left, err)
				}
			})
		})
	}
}

// What a request did when its answer was lost is unknown: the probe looks, and
// neither calls it a fault of the store nor believes in it.
func TestProbeInBadWeather(t *testing.T) {
	write := func(request string) bool { return !strings.HasPrefix(request, "get ") }
	for name, test := range map[string]struct {
		plan    func(n int, request string) fault
		unknown int
		want    error
	}{
		"one answer is lost": {func(n int, _ string) fault {
			if n == 1 {
				return fault{after: errWeather}
			}
			return fault{}
		}, 1, nil},
		// Then nobody knows whether a stale version is refused.
		"every answer to a write is lost": {func(_ int, request string) fault {
			if write(request) {
				return fault{after: errWeather}
			}
			return fault{}
		}, -1, state.ErrNoAnswer},
		"every answer to a create is lost": {func(_ int, request string) fault {
			if strings.HasPrefix(request, "create ") {
				return fault{after: errWeather}
			}
			return fault{}
		}, 32, nil},
		"the first race does not arrive": {func(n int, request string) fault {
			if n <= 32 && write(request) {
				return fault{before: errWeather}
			}
			return fault{}
		}, 32, nil},
		"every third request fails": {func(n int, _ string) fault {
			if n%3 == 0 {
				return fault{before: errWeather}
			}
			return fault{}
		}, -1, nil},
		"answers are slow": {func(int, string) fault { return fault{lateAnswer: 20 * time.Second} }, 0, nil},
		"answers are too slow": {func(_ int, request string) fault {
			if strings.HasPrefix(request, "create ") {
				return fault{lateAnswer: time.Hour}
			}
			return fault{}
		}, 32, nil},
		"no write arrives": {func(_ int, request string) fault {
			if write(request) {
				return fault{before: errWeather}
			}
			return fault{}
		}, -1, state.ErrNoAnswer},
		"nothing arrives": {func(int, string) fault { return fault{before: errWeather} }, 0, state.ErrNoAnswer},
		"writes are refused": {func(_ int, request string) fault {
			if write(request) {
				return fault{before: state.ErrRefused}
			}
			return fault{}
		}, 0, state.ErrRefused},
		"swaps are refused": {func(_ int, request string) fault {
			if strings.HasPrefix(request, "swap ") {
				return fault{before: state.ErrRefused}
			}
			return fault{}
		}, 0, state.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				got, err := w.open(&faulty{Store: w.store, plan: test.plan}, nil).Probe(t.Context())
				if !errors.Is(err, test.want) || errors.Is(err, state.ErrUnfit) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if test.unknown >= 0 && got.Unknown != test.unknown {
					t.Errorf("got %d unknown answers, want %d", got.Unknown, test.unknown)
				}
			})
		})
	}
	t.Run("the context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			end := errors.New("the end")
			store := &faulty{Store: w.store, plan: func(n int, _ string) fault {
				if n == 40 {
					cancel(end)
				}
				return fault{}
			}}
			if _, err := w.open(store, nil).Probe(ctx); !errors.Is(err, end) {
				t.Errorf("got %v, want %v", err, end)
			}
		})
	})
}

// The object stays where the store cannot delete, and its name is told.
func TestProbeLeavesWhatItCannotRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := w.open(&faulty{Store: w.store}, nil)
		for n := 1; n <= 2; n++ { // Another probe of the same run is another object.
			got, err := l.Probe(t.Context())
			if err != nil || !strings.HasPrefix(got.Left, "probe/"+l.Run()+"/") {
				t.Errorf("got %+v, %v, want an object of the run left", got, err)
			}
			if left, err := w.store.List(t.Context(), ""); err != nil || len(left) != n {
				t.Errorf("%v is left, %v, want %d", left, err, n)
			}
		}
		if _, err := w.open(nil, nil).Load(t.Context()); err != nil {
			t.Errorf("Load beside what is left: %v", err)
		}
	})
}

func TestProbeComparesClocks(t *testing.T) {
	for _, skew := range []time.Duration{0, 300 * time.Millisecond, -300 * time.Millisecond, 90 * time.Second, -90 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(700 * time.Millisecond)
			store := mem.Open(mem.Options{Now: func() time.Time { return time.Now().Add(skew).Truncate(time.Second) }})
			slow := &faulty{Store: store, plan: func(int, string) fault { return fault{lateAnswer: 200 * time.Millisecond} }}
			l, err := state.Open(slow, state.Options{Run: "run", Clock: newRunner(0)})
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.Probe(t.Context())
			off := got.Skew - skew
			if err != nil || off.Abs() > 1200*time.Millisecond || got.Skew.Abs() > skew.Abs() {
				t.Errorf("a store %s ahead: got %s, %v", skew, got.Skew, err)
			}
		})
	}
}

func TestProbeNeedsARun(t *testing.T) {
	l, err := state.Open(mem.Open(mem.Options{}), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Probe(t.Context()); err == nil {
		t.Error("got nil, want an error: its names would be nobody's")
	}
}
