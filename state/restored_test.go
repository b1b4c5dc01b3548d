package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
)

// live lets a ledger live through every kind of write of its head, and gives
// every head that it had, oldest first. The runs are in order: one with a change
// that is renewed, rounds of an unchanged one and a folded one, one that dies and
// one that takes over, one whose record is too large for the head, an unchanged
// one.
func (w *world) live(rounds int) [][]byte {
	w.t.Helper()
	var heads [][]byte
	store := &faulty{Store: w.store}
	store.break_(func(_ int, request string) fault {
		if request != "create head.json" && request != "swap head.json" {
			return fault{}
		}
		return fault{meanwhile: func() { heads = append(heads, w.raw("head.json")) }}
	})
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	appended := func(r state.Record, fold time.Duration) {
		w.t.Helper()
		l := w.open(store, nil)
		_, _, err := l.Append(w.t.Context(), load(w.t, l), r, fold, nil)
		must(err)
	}

	l := w.open(store, nil)
	tenure := w.claim(l, planned(w.t, l, "web"))
	must(tenure.Commit(w.t.Context(), planned(w.t, l, "api")))
	_, _, err := tenure.Settle(w.t.Context(), record(state.Changed), nil)
	must(err)
	for range rounds {
		appended(record(state.Unchanged), 0)
		appended(record(state.Unchanged), time.Hour)
	}
	dead := w.open(store, nil)
	w.claim(dead, planned(w.t, dead, "web"))
	l = w.open(store, nil)
	tenure, err = l.TakeOver(w.t.Context(), state.Waited{End: state.Stale, Head: load(w.t, l)}, nil)
	must(err)
	_, _, err = tenure.Settle(w.t.Context(), record(state.Changed), nil)
	must(err)
	large := record(state.Failed)
	large.Message = strings.Repeat("a long story. ", 1000)
	appended(large, 0)
	appended(record(state.Unchanged), 0)
	return heads
}

// attempt lets a new run do what it would do with the head that it finds.
func (w *world) attempt() map[string]error {
	w.t.Helper()
	l := w.open(nil, nil)
	head, err := l.Load(w.t.Context())
	if err != nil {
		return map[string]error{"Load": err}
	}
	if !head.Idle() {
		_, err := l.TakeOver(w.t.Context(), state.Waited{End: state.Stale, Head: head}, nil)
		return map[string]error{"TakeOver": err}
	}
	_, _, appendErr := l.Append(w.t.Context(), head, record(state.Unchanged), 0, nil)
	_, claimErr := w.open(nil, nil).Claim(w.t.Context(), head, nil)
	return map[string]error{"Append": appendErr, "Claim": claimErr}
}

// restore puts a head back and lets a run try: everything that it tries must be
// one of the errors, and write nothing.
func (w *world) restore(what string, head []byte, want ...error) {
	w.t.Helper()
	w.overwrite("head.json", head)
	before := w.objects()
	for attempt, err := range w.attempt() {
		if !slices.ContainsFunc(want, func(want error) bool { return errors.Is(err, want) }) {
			w.t.Errorf("%s, %s: got %v, want one of %v", what, attempt, err, want)
		}
	}
	if !maps.Equal(before, w.objects()) {
		w.t.Fatalf("%s: something was written", what)
	}
}

// Every head that a ledger ever had is found out when it is put back, but for
// those after whose record no other was put under its number: the newest
// record's and the one's before. Those are for the witness.
func TestAnOldHeadIsFoundOut(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		heads := w.live(3)
		newest := w.load().Audit.Seq
		restored := 0
		for i, data := range heads {
			head, err := state.DecodeHead(data)
			if err != nil {
				t.Fatal(err)
			}
			if head.Audit.Seq+1 >= newest {
				continue
			}
			restored++
			w.restore(fmt.Sprintf("head %d of %d, with record %d of %d", i+1, len(heads), head.Audit.Seq, newest), data, state.ErrRolledBack)
		}
		if restored < 8 {
			t.Errorf("%d of %d heads were restored, want more", restored, len(heads))
		}
		t.Logf("counts: damage: %d old heads restored, of idle, acting and dead runs: found out, nothing written", restored)
	})
}

// What belongs to another ledger is refused: its heads, parts of them, its blobs
// and its records.
func TestLineagesMixed(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		other := newWorldAfter(t, 1)
		for rounds, w := range map[int]*world{2: w, 4: other} {
			w.live(rounds)
		}
		mine, theirs := w.objects(), other.objects()
		head := mine["head.json"]
		newest := w.load().Audit.Seq
		strangers := 0
		for i, data := range slices.Concat(newWorldAfter(t, 3).live(2), newWorldAfter(t, 5).live(9)) {
			stranger, err := state.DecodeHead(data)
			if err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("head %d of another ledger, with record %d", i+1, stranger.Audit.Seq)
			if stranger.Audit.Seq < newest {
				w.restore(what, data, state.ErrRolledBack, state.ErrDamaged)
			} else {
				// Its chain goes on where this one ends; but what it names is not here.
				w.overwrite("head.json", data)
				for app, owned := range stranger.Apps {
					if _, err := w.open(nil, nil).Read(t.Context(), *owned.Inventory); !errors.Is(err, state.ErrDamaged) {
						t.Errorf("%s: Read the inventory of %s: got %v, want ErrDamaged", what, app, err)
					}
				}
			}
			strangers++
		}

		splices := 0
		for n := 1; n < min(len(head), len(theirs["head.json"])); n++ {
			for _, splice := range []string{
				head[:n] + theirs["head.json"][n:],
				theirs["head.json"][:n] + head[n:],
				head[:n] + theirs["head.json"][len(theirs["head.json"])-n:],
			} {
				if splice == head || splice == theirs["head.json"] {
					continue
				}
				splices++
				if got, err := state.DecodeHead([]byte(splice)); !typed(err) {
					t.Fatalf("%s: got %+v, %v, want ErrDamaged", splice, got, err)
				}
			}
		}

		w.overwrite("head.json", []byte(head))
		records := 0
		for name, data := range mine {
			theirs, both := theirs[name]
			if !both || !strings.HasPrefix(name, "audit/") {
				continue
			}
			w.overwrite(name, []byte(theirs))
			if chain, err := w.open(nil, nil).Verify(t.Context()); err != nil || len(chain.Findings) == 0 {
				t.Errorf("%s of another ledger: got %v, %v, want a finding", name, chain, err)
			}
			w.overwrite(name, []byte(data))
			records++
		}
		w.verify(newest)
		if strangers < 20 || splices < 1000 || records < 5 {
			t.Errorf("got %d heads, %d splices, %d records; want more", strangers, splices, records)
		}
		t.Logf("counts: damage: %d heads, %d splices of two heads and %d records of another ledger: refused or found", strangers, splices, records)
	})
}

// newWorldAfter gives a world whose runs and numbers are others than those of a
// world with fewer runs.
func newWorldAfter(t *testing.T, hundreds int) *world {
	t.Helper()
	w := newWorld(t)
	w.runs = 100 * hundreds
	return w
}

// Whatever a head names is checked when it is read: damaged, missing, or
// another's.
func TestDamagedBlobs(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		l := w.open(nil, nil)
		museum := pieces(t)
		inventory := museum["testdata/v1/inventory.json"]
		named := map[string]*state.Ref{}
		for name, data := range map[string][]byte{
			"observed":      museum["testdata/v1/observation.json"],
			"config":        []byte("apps: []"),
			"inventory-web": inventory,
			"inventory-api": bytes.ReplaceAll(inventory, []byte("web"), []byte("api")),
			"plan-web":      []byte(`{"format":1,"changes":[]}`),
			"set-web":       []byte(`{"format":1,"objects":[]}`),
			"result-web":    []byte(`{"format":1,"outcomes":[]}`),
		} {
			ref, err := l.Put(t.Context(), name, data)
			if err != nil {
				t.Fatal(err)
			}
			named[name] = &ref
		}
		w.claim(l, func(h *state.Head) {
			h.Observed = named["observed"]
			h.Committed = &state.Committed{Repo: "r", Commit: "c", Path: "tidemark.yaml", Text: *named["config"]}
			h.Apps["web"] = state.App{Inventory: named["inventory-web"], Plan: named["plan-web"], Set: named["set-web"], Result: named["result-web"]}
			h.Apps["api"] = state.App{Inventory: named["inventory-api"]}
		})

		damaged := 0
		refused := func(what string, ref *state.Ref) {
			t.Helper()
			damaged++
			if data, err := w.open(nil, nil).Read(t.Context(), *ref); !errors.Is(err, state.ErrDamaged) {
				t.Errorf("%s: got %q, %v, want ErrDamaged", what, data, err)
			}
		}
		for name, ref := range named {
			good := w.raw(ref.Path)
			for what, bad := range bent(good) {
				w.overwrite(ref.Path, bad)
				refused(name+" "+what, ref)
			}
			for other, of := range named {
				if other == name {
					continue
				}
				w.overwrite(ref.Path, w.raw(of.Path))
				refused(name+" is "+other, ref)
			}
			if err := w.store.Delete(t.Context(), ref.Path); err != nil {
				t.Fatal(err)
			}
			refused(name+" is missing", ref)
			w.overwrite(ref.Path, good)
			if _, err := w.open(nil, nil).Read(t.Context(), *ref); err != nil {
				t.Errorf("%s as it was: %v", name, err)
			}
		}
		t.Logf("counts: damage: %d times a blob of a head was cut off, bent, another or missing: refused", damaged)
	})
}

// A record that is too large for the head stands in a blob. Without it the chain
// cannot go on, and nothing is written.
func TestDamagedNewestRecord(t *testing.T) {
	synced(t, func(t *testing.T, w *world) {
		l := w.open(nil, nil)
		large := record(state.Failed)
		large.Message = strings.Repeat("a long story. ", 1000)
		head, _, err := l.Append(t.Context(), load(t, l), large, 0, nil)
		if err != nil || head.Audit.Path == "" {
			t.Fatalf("got %+v, %v, want a record in a blob", head.Audit, err)
		}
		good := w.raw(head.Audit.Path)
		for what, bad := range map[string][]byte{
			"missing": nil, "cut off": good[:len(good)-1], "bent": bytes.Replace(good, []byte("story"), []byte("shory"), 1), "the head": w.raw("head.json"),
		} {
			if err := w.store.Delete(t.Context(), head.Audit.Path); err != nil {
				t.Fatal(err)
			}
			if bad != nil {
				w.overwrite(head.Audit.Path, bad)
			}
			before := w.objects()
			attempts := w.attempt()
			_, _, attempts["ReadRecord"] = w.open(nil, nil).ReadRecord(t.Context(), head, head.Audit.Seq)
			_, attempts["History"] = w.open(nil, nil).History(t.Context(), 1)
			for attempt, err := range attempts {
				if !errors.Is(err, state.ErrDamaged) {
					t.Errorf("%s, %s: got %v, want ErrDamaged", what, attempt, err)
				}
			}
			if !maps.Equal(before, w.objects()) {
				t.Errorf("%s: something was written", what)
			}
		}
		w.overwrite(head.Audit.Path, good)
		w.unchanged()
		w.verify(2)
	})
}
