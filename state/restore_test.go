package state_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
)

// plain is a store that cannot list.
type plain struct{ state.Store }

// restored rebuilds what is left with one app, and gives the head.
func (w *world) restored(l *state.Ledger, r state.Remains, lineage string) (state.Head, state.Record, error) {
	w.t.Helper()
	ref, err := l.Put(w.t.Context(), "inventory-web", []byte("web"))
	if err != nil {
		w.t.Fatal(err)
	}
	made := state.Head{Lineage: lineage, Cluster: "c", Epoch: 9, Witnessed: 8, Apps: map[string]state.App{"web": {Inventory: &ref}}}
	return l.Restore(w.t.Context(), r, made, record(state.Changed))
}

func TestRestore(t *testing.T) {
	for name, test := range map[string]struct {
		wreck func(w *world)
		// newest and rolledBack are what is found, why is what reading the head gives.
		newest     uint64
		rolledBack bool
		why        error
		findings   int
	}{
		"lost":    {func(w *world) { w.lose("head.json") }, 5, false, state.ErrNotFound, 0},
		"damaged": {func(w *world) { w.overwrite("head.json", w.raw("head.json")[:40]) }, 5, false, state.ErrDamaged, 0},
		"empty":   {func(w *world) { w.overwrite("head.json", nil) }, 5, false, state.ErrDamaged, 0},
		"newer":   {func(w *world) { w.overwrite("head.json", []byte(`{"format":99}`)) }, 5, false, state.ErrNewer, 0},
		"rolled back": {func(w *world) {
			old := w.raw("head.json")
			w.unchanged()
			w.unchanged()
			w.overwrite("head.json", old)
		}, 7, true, nil, 0},
		"whole, and older than others know": {func(*world) {}, 6, false, nil, 0},
		"lost with the first records": {func(w *world) {
			for _, name := range []string{"head.json", "audit/00000000000000000001.json", "audit/00000000000000000002.json"} {
				w.lose(name)
			}
		}, 5, false, state.ErrNotFound, 2},
		"lost with all records": {func(w *world) {
			for name := range w.objects() {
				if !strings.HasPrefix(name, "runs/") {
					w.lose(name)
				}
			}
		}, 0, false, state.ErrNotFound, 0},
		"its newest record damaged": {func(w *world) {
			w.lose("head.json")
			w.overwrite("audit/00000000000000000005.json", []byte("{"))
		}, 5, false, state.ErrNotFound, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synced(t, func(_ *testing.T, w *world) {
				w.changed(nil)
				for range 5 {
					w.unchanged()
				}
				lineage := w.load().Lineage
				test.wreck(w)
				l := w.open(nil, nil)
				r, err := l.Remains(w.t.Context())
				if err != nil {
					w.t.Fatal(err)
				}
				if r.Seq != test.newest || r.RolledBack() != test.rolledBack || !errors.Is(r.Why, test.why) || (r.Head.Seq > 0) != (test.why == nil) {
					w.t.Errorf("remains = %+v; want the newest record %d, rolled back %v, %v", r, test.newest, test.rolledBack, test.why)
				}
				head, written, err := w.restored(l, r, lineage)
				if err != nil {
					w.t.Fatal(err)
				}
				if head.Seq <= r.Head.Seq || head.Epoch != 9 || head.Witnessed != 8 || !head.Idle() || head.Apps["web"].Inventory == nil || head.Lease.Run != l.Run() {
					w.t.Errorf("head = %+v; want what was made, free, by this run", head)
				}
				if written.Seq != test.newest+1 || written.Epoch != 9 || written.Lineage != head.Lineage {
					w.t.Errorf("record = %+v; want number %d of epoch 9", written, test.newest+1)
				}
				if loaded := w.load(); loaded.Nonce != head.Nonce || loaded.Stamp.Version != head.Stamp.Version {
					w.t.Errorf("loaded %+v, want %+v", loaded, head)
				}
				// Life goes on, and the chain holds.
				w.changed(nil)
				chain, err := w.open(nil, nil).Verify(w.t.Context())
				if err != nil || len(chain.Findings) != test.findings || chain.Records != test.newest+2 {
					w.t.Errorf("Verify: got %+v, %v; want %d records and %d findings", chain, err, test.newest+2, test.findings)
				}
			})
		})
	}
}

// lose deletes what no run deletes.
func (w *world) lose(name string) {
	w.t.Helper()
	if err := w.store.Delete(w.t.Context(), name); err != nil {
		w.t.Fatal(err)
	}
}

// Without a list the newest record is found by asking, in steps that grow.
func TestRemainsFindsTheNewestRecord(t *testing.T) {
	for _, records := range []int{0, 1, 2, 3, 4, 7, 8, 9, 100} {
		synced(t, func(_ *testing.T, w *world) {
			for i := range records {
				name := fmt.Sprintf("audit/%020d.json", i+1)
				if _, err := w.store.Create(w.t.Context(), name, fmt.Appendf(nil, `{"format":1,"seq":%d}`, i+1)); err != nil {
					w.t.Fatal(err)
				}
			}
			for what, store := range map[string]state.Store{"asking": plain{w.store}, "listing": w.store} {
				l := w.open(store, nil)
				r, err := l.Remains(w.t.Context())
				if err != nil || r.Seq != uint64(records) || r.Newest.Seq != uint64(records) {
					w.t.Errorf("%s: got %d (%d), %v; want %d", what, r.Seq, r.Newest.Seq, err, records)
				}
				if sent := l.Requests(); sent > 20 {
					w.t.Errorf("%s for %d records took %d requests", what, records, sent)
				}
			}
		})
	}
}

// A record that stands in the head alone goes into the chain first.
func TestRestoreSealsTheNewestRecord(t *testing.T) {
	synced(t, func(_ *testing.T, w *world) {
		w.changed(nil)
		w.unchanged()
		newest := w.load().Audit.Inline
		l := w.open(nil, nil)
		r, err := l.Remains(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if _, _, err := w.restored(l, r, r.Newest.Lineage); err != nil {
			w.t.Fatal(err)
		}
		if got := w.raw("audit/00000000000000000002.json"); string(got) != string(newest) {
			w.t.Errorf("record 2 = %s, want %s", got, newest)
		}
		w.verify(3)
	})
}

// The run whose lease stands in an old head is named.
func TestRestoreNamesTheHolder(t *testing.T) {
	synced(t, func(_ *testing.T, w *world) {
		w.changed(nil)
		holder := w.open(nil, nil)
		w.claim(holder, nil)
		l := w.open(nil, nil)
		r, err := l.Remains(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		_, written, err := w.restored(l, r, r.Newest.Lineage)
		if err != nil || fmt.Sprint(written.Interrupted) != "["+holder.Run()+"]" {
			w.t.Errorf("interrupted = %v, %v; want %s", written.Interrupted, err, holder.Run())
		}
	})
}

// Nothing is written over what somebody else wrote meanwhile, and an answer that
// is lost leaves no doubt in the end.
func TestRestoreIsOneConditionalWrite(t *testing.T) {
	for name, test := range map[string]struct {
		lost bool // the head
		plan func(w *world, request string, tries int) fault
		want error
	}{
		"the answer is lost": {false, func(_ *world, request string, _ int) fault {
			if request == "swap head.json" {
				return fault{after: errWeather}
			}
			return fault{}
		}, nil},
		"the answer is lost, of a create": {true, func(_ *world, request string, _ int) fault {
			if request == "create head.json" {
				return fault{after: errWeather}
			}
			return fault{}
		}, nil},
		"weather": {false, func(_ *world, request string, tries int) fault {
			if request == "swap head.json" && tries == 0 {
				return fault{before: errWeather}
			}
			return fault{}
		}, nil},
		"the answer is lost, and a run came after": {false, func(w *world, request string, _ int) fault {
			if request == "swap head.json" {
				return fault{meanwhile: func() { w.unchanged() }, after: errWeather}
			}
			return fault{}
		}, nil},
		"somebody was faster": {false, func(w *world, request string, tries int) fault {
			if request == "swap head.json" && tries == 0 {
				w.unchanged()
			}
			return fault{}
		}, state.ErrRestart},
		"somebody made one": {true, func(w *world, request string, tries int) fault {
			if request == "create head.json" && tries == 0 {
				if _, err := w.store.Create(w.t.Context(), "head.json", []byte("new")); err != nil {
					w.t.Error(err)
				}
			}
			return fault{}
		}, state.ErrRestart},
		"somebody removed it": {false, func(w *world, request string, tries int) fault {
			if request == "swap head.json" && tries == 0 {
				w.lose("head.json")
			}
			return fault{}
		}, state.ErrRestart},
		"refused": {false, func(_ *world, request string, _ int) fault {
			if request == "swap head.json" {
				return fault{before: state.ErrRefused}
			}
			return fault{}
		}, state.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			synced(t, func(_ *testing.T, w *world) {
				w.changed(nil)
				w.unchanged()
				if test.lost {
					w.lose("head.json")
				}
				broken := &faulty{Store: w.store}
				l := w.open(broken, nil)
				r, err := l.Remains(w.t.Context())
				if err != nil {
					w.t.Fatal(err)
				}
				tries := map[string]int{}
				broken.break_(func(_ int, request string) fault {
					defer func() { tries[request]++ }()
					return test.plan(w, request, tries[request])
				})
				head, _, err := w.restored(l, r, r.Newest.Lineage)
				if !errors.Is(err, test.want) {
					w.t.Fatalf("got %+v, %v, want %v", head, err, test.want)
				}
				if test.want == nil {
					if head.Seq == 0 || w.load().Epoch != 9 {
						w.t.Errorf("got %+v, want what was made", head)
					}
					w.verify(w.load().Audit.Seq)
				}
			})
		})
	}
}

// A ledger that a run works on is no wreck.
func TestRemainsNoticesARun(t *testing.T) {
	synced(t, func(_ *testing.T, w *world) {
		w.changed(nil)
		broken := &faulty{Store: w.store}
		broken.break_(func(n int, _ string) fault {
			if n == 1 {
				w.unchanged()
			}
			return fault{}
		})
		if r, err := w.open(broken, nil).Remains(w.t.Context()); !errors.Is(err, state.ErrRestart) {
			w.t.Errorf("got %+v, %v, want %v", r, err, state.ErrRestart)
		}
	})
}

// The runner's own clock has no say.
func TestStoreTime(t *testing.T) {
	synced(t, func(_ *testing.T, w *world) {
		l := w.open(nil, newRunner(-time.Hour))
		if got, err := l.StoreTime(w.t.Context()); err != nil || !got.Equal(time.Now()) {
			w.t.Errorf("got %s, %v; want %s", got, err, time.Now())
		}
	})
}
