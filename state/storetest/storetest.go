// Package storetest is what every state.Store must pass.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/state"
)

// racers is how many writers race for one object.
const racers = 32

// Run runs the suite. open gives an empty store each time; what it gives must be
// a state.Sweeper too for those parts to be run.
func Run(t *testing.T, open func(t *testing.T) state.Store) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, store state.Store)
	}{
		{"absent", absent},
		{"create", create},
		{"swap", swap},
		{"stale versions are refused", stale},
		{"an object made anew is another version", anew},
		{"names are apart", names},
		{"bad names are refused", badNames},
		{"sizes", sizes},
		{"slices are the caller's own", slicesApart},
		{"the store's time", times},
		{"ended context", ended},
		{"racing creates have one winner", racingCreates},
		{"racing swaps have one winner", racingSwaps},
		{"a counter loses nothing", counter},
		{"readers see whole objects", wholeObjects},
		{"sweep", sweep},
		{"a probe finds nothing wrong", probe},
		{"a ledger lives on it", ledger},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, open(t)) })
	}
}

func absent(t *testing.T, store state.Store) {
	if _, err := store.Get(t.Context(), "head.json"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("Get of nothing: got %v, want ErrNotFound", err)
	}
	mustCreate(t, store, "other.json", "1")
	version := mustGet(t, store, "other.json").Version
	if _, err := store.Swap(t.Context(), "head.json", []byte("x"), version); !errors.Is(err, state.ErrNotFound) && !errors.Is(err, state.ErrChanged) {
		t.Errorf("Swap of nothing: got %v, want ErrNotFound or ErrChanged", err)
	}
	if _, err := store.Get(t.Context(), "head.json"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("Get after a refused Swap of nothing: got %v, want ErrNotFound", err)
	}
}

func create(t *testing.T, store state.Store) {
	stamp := mustCreate(t, store, "head.json", "one")
	got := mustGet(t, store, "head.json")
	if string(got.Data) != "one" || got.Version != stamp.Version || got.Version == "" {
		t.Errorf("Get after Create: got %q of version %q, want %q of %q", got.Data, got.Version, "one", stamp.Version)
	}
	if _, err := store.Create(t.Context(), "head.json", []byte("two")); !errors.Is(err, state.ErrExists) {
		t.Errorf("second Create: got %v, want ErrExists", err)
	}
	if _, err := store.Create(t.Context(), "head.json", []byte("one")); !errors.Is(err, state.ErrExists) {
		t.Errorf("second Create of the same bytes: got %v, want ErrExists", err)
	}
	if got := mustGet(t, store, "head.json"); string(got.Data) != "one" {
		t.Errorf("Get after a refused Create: got %q, want %q", got.Data, "one")
	}
}

func swap(t *testing.T, store state.Store) {
	stamp := mustCreate(t, store, "head.json", "0")
	for i := 1; i <= 3; i++ {
		data := fmt.Sprint(i)
		next, err := store.Swap(t.Context(), "head.json", []byte(data), stamp.Version)
		if err != nil {
			t.Fatalf("Swap %d: %v", i, err)
		}
		if next.Version == stamp.Version {
			t.Errorf("Swap %d: the version stayed %q", i, next.Version)
		}
		if got := mustGet(t, store, "head.json"); string(got.Data) != data || got.Version != next.Version {
			t.Errorf("Get after Swap %d: got %q of version %q, want %q of %q", i, got.Data, got.Version, data, next.Version)
		}
		stamp = next
	}
}

func stale(t *testing.T, store state.Store) {
	first := mustCreate(t, store, "head.json", "first")
	second, err := store.Swap(t.Context(), "head.json", []byte("second"), first.Version)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{first.Version, "", "made up", `"0123456789abcdef0123456789abcdef"`, "12345"} {
		if _, err := store.Swap(t.Context(), "head.json", []byte("third"), version); !errors.Is(err, state.ErrChanged) {
			t.Errorf("Swap of version %q: got %v, want ErrChanged", version, err)
		}
	}
	if got := mustGet(t, store, "head.json"); string(got.Data) != "second" || got.Version != second.Version {
		t.Errorf("Get after refused Swaps: got %q of version %q, want %q of %q", got.Data, got.Version, "second", second.Version)
	}
}

func anew(t *testing.T, store state.Store) {
	sweeper, ok := store.(state.Sweeper)
	if !ok {
		t.Skip("not a Sweeper")
	}
	old := mustCreate(t, store, "head.json", "old")
	if err := sweeper.Delete(t.Context(), "head.json"); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, store, "head.json", "new")
	if _, err := store.Swap(t.Context(), "head.json", []byte("late"), old.Version); !errors.Is(err, state.ErrChanged) {
		t.Errorf("Swap of the version before a Delete: got %v, want ErrChanged", err)
	}
}

func names(t *testing.T, store state.Store) {
	all := []string{
		"head.json", "audit/00000000000000000001.json", "audit/00000000000000000002.json",
		"runs/01J0000000000000000000000A/plan-web", "runs/01J0000000000000000000000A/plan-web-2", "runs/01J0000000000000000000000B/plan-web", "a.b_c-D/e/f/g",
	}
	for _, name := range all {
		mustCreate(t, store, name, "data of "+name)
	}
	for _, name := range all {
		if got := mustGet(t, store, name); string(got.Data) != "data of "+name {
			t.Errorf("Get %s: got %q", name, got.Data)
		}
	}
}

func badNames(t *testing.T, store state.Store) {
	for _, name := range []string{"", "/", "/head", "a//b", "../head", "a/../b", ".hidden", "a/.hidden", "a b", "a\x00b", "a%2fb", "a\\b", "ü"} {
		if _, err := store.Create(t.Context(), name, []byte("x")); err == nil {
			t.Errorf("Create %q: got nil, want an error", name)
		}
		if _, err := store.Swap(t.Context(), name, []byte("x"), "1"); err == nil {
			t.Errorf("Swap %q: got nil, want an error", name)
		}
		if _, err := store.Get(t.Context(), name); err == nil {
			t.Errorf("Get %q: got nil, want an error", name)
		}
	}
}

func sizes(t *testing.T, store state.Store) {
	for _, size := range []int{0, 1, 8 << 10, 1 << 20, 17 << 20} {
		name := fmt.Sprintf("blob-%d", size)
		data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		if _, err := store.Create(t.Context(), name, data); err != nil {
			t.Errorf("Create of %d bytes: %v", size, err)
			continue
		}
		if got := mustGet(t, store, name); !bytes.Equal(got.Data, data) {
			t.Errorf("Get of %d bytes: got %d other ones", size, len(got.Data))
		}
	}
}

func slicesApart(t *testing.T, store state.Store) {
	data := []byte("kept")
	stamp, err := store.Create(t.Context(), "head.json", data)
	if err != nil {
		t.Fatal(err)
	}
	copy(data, "LOST")
	got := mustGet(t, store, "head.json")
	if string(got.Data) != "kept" {
		t.Errorf("Get after the written slice was edited: got %q, want %q", got.Data, "kept")
	}
	copy(got.Data, "LOST")
	if got := mustGet(t, store, "head.json"); string(got.Data) != "kept" {
		t.Errorf("Get after a read slice was edited: got %q, want %q", got.Data, "kept")
	}
	data = []byte("swapped")
	if _, err := store.Swap(t.Context(), "head.json", data, stamp.Version); err != nil {
		t.Fatal(err)
	}
	copy(data, "LOST")
	if got := mustGet(t, store, "head.json"); string(got.Data) != "swapped" {
		t.Errorf("Get after the swapped slice was edited: got %q, want %q", got.Data, "swapped")
	}
}

// times allows a few seconds: HTTP dates are whole seconds.
func times(t *testing.T, store state.Store) {
	mustCreate(t, store, "head.json", "one")
	first := mustGet(t, store, "head.json")
	if first.Modified.IsZero() || first.Now.IsZero() {
		t.Fatalf("Get gives modified %v and now %v, want both", first.Modified, first.Now)
	}
	if age := first.Now.Sub(first.Modified); age < -2*time.Second || age > 10*time.Second {
		t.Errorf("a fresh object is %s old by the store's clock", age)
	}
	if again := mustGet(t, store, "head.json"); !again.Modified.Equal(first.Modified) || again.Now.Before(first.Now) {
		t.Errorf("read again: modified %v, now %v; before: %v, %v", again.Modified, again.Now, first.Modified, first.Now)
	}
}

func ended(t *testing.T, store state.Store) {
	stamp := mustCreate(t, store, "head.json", "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Get(ctx, "head.json"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: got %v, want context.Canceled", err)
	}
	if _, err := store.Create(ctx, "other.json", []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Create: got %v, want context.Canceled", err)
	}
	if _, err := store.Swap(ctx, "head.json", []byte("two"), stamp.Version); !errors.Is(err, context.Canceled) {
		t.Errorf("Swap: got %v, want context.Canceled", err)
	}
}

func racingCreates(t *testing.T, store state.Store) {
	winners, errs := race(func(i int) error {
		_, err := store.Create(t.Context(), "head.json", fmt.Append(nil, i))
		return err
	})
	oneWinner(t, store, winners, errs, state.ErrExists)
}

func racingSwaps(t *testing.T, store state.Store) {
	stamp := mustCreate(t, store, "head.json", "start")
	winners, errs := race(func(i int) error {
		_, err := store.Swap(t.Context(), "head.json", fmt.Append(nil, i), stamp.Version)
		return err
	})
	oneWinner(t, store, winners, errs, state.ErrChanged)
}

func oneWinner(t *testing.T, store state.Store, winners []int, errs []error, lost error) {
	t.Helper()
	for _, err := range errs {
		if !errors.Is(err, lost) {
			t.Errorf("a loser got %v, want %v", err, lost)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("%d racers: got winners %v, want one", racers, winners)
	}
	if got := mustGet(t, store, "head.json"); string(got.Data) != fmt.Sprint(winners[0]) {
		t.Errorf("racer %d won, but the object holds %q", winners[0], got.Data)
	}
}

func race(write func(i int) error) (winners []int, errs []error) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	start := make(chan struct{})
	for i := range racers {
		wait.Go(func() {
			<-start
			err := write(i)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners = append(winners, i)
			} else {
				errs = append(errs, err)
			}
		})
	}
	close(start)
	wait.Wait()
	return winners, errs
}

// counter lets four writers count to eight by reading and swapping.
func counter(t *testing.T, store state.Store) {
	const writers, each = 4, 2
	mustCreate(t, store, "head.json", "0")
	var wait sync.WaitGroup
	for range writers {
		wait.Go(func() {
			for done := 0; done < each; {
				blob, err := store.Get(t.Context(), "head.json")
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				var n int
				if _, err := fmt.Sscan(string(blob.Data), &n); err != nil {
					t.Errorf("the object holds %q", blob.Data)
					return
				}
				_, err = store.Swap(t.Context(), "head.json", fmt.Append(nil, n+1), blob.Version)
				switch {
				case err == nil:
					done++
				case !errors.Is(err, state.ErrChanged):
					t.Errorf("Swap: %v", err)
					return
				}
			}
		})
	}
	wait.Wait()
	if got := mustGet(t, store, "head.json"); string(got.Data) != fmt.Sprint(writers*each) {
		t.Errorf("got %s after %d writes", got.Data, writers*each)
	}
}

// wholeObjects reads while an object is swapped and made.
func wholeObjects(t *testing.T, store state.Store) {
	const size, writes = 256 << 10, 4
	fill := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, size) } //nolint:gosec // A few letters.
	whole := func(data []byte) bool {
		return len(data) == size && bytes.Count(data, data[:1]) == size
	}
	stamp, err := store.Create(t.Context(), "head.json", fill(0))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wait sync.WaitGroup
	for _, name := range []string{"head.json", "made-1", "made-2"} {
		wait.Go(func() {
			for {
				blob, err := store.Get(t.Context(), name)
				if err != nil && !errors.Is(err, state.ErrNotFound) {
					t.Errorf("Get %s: %v", name, err)
				}
				if err == nil && !whole(blob.Data) {
					t.Errorf("Get %s: got a part of an object, or a mixture", name)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := 1; i <= writes; i++ {
		if stamp, err = store.Swap(t.Context(), "head.json", fill(i), stamp.Version); err != nil {
			t.Errorf("Swap: %v", err)
			break
		}
		if _, err := store.Create(t.Context(), fmt.Sprintf("made-%d", i), fill(i)); err != nil {
			t.Errorf("Create: %v", err)
		}
	}
	close(done)
	wait.Wait()
}

func sweep(t *testing.T, store state.Store) {
	sweeper, ok := store.(state.Sweeper)
	if !ok {
		t.Skip("not a Sweeper")
	}
	list := func(prefix string) []string {
		t.Helper()
		entries, err := sweeper.List(t.Context(), prefix)
		if err != nil {
			t.Fatalf("List %q: %v", prefix, err)
		}
		listed := []string{}
		for _, entry := range entries {
			listed = append(listed, entry.Name)
			if entry.Size != int64(len(entry.Name)) || entry.Modified.IsZero() {
				t.Errorf("List %q: %s has %d bytes and is of %v", prefix, entry.Name, entry.Size, entry.Modified)
			}
		}
		return listed
	}
	if got := list(""); len(got) > 0 {
		t.Errorf("List of an empty store: got %v", got)
	}
	all := []string{"audit/1.json", "head.json", "runs/a/plan", "runs/a/result", "runs/ab/plan", "runs/b/plan"}
	for _, name := range slices.Backward(all) {
		mustCreate(t, store, name, name)
	}
	for prefix, want := range map[string][]string{
		"":        all,
		"runs/":   all[2:],
		"runs/a/": all[2:4],
		"runs/a":  all[2:5],
		"none/":   {},
	} {
		if diff := cmp.Diff(want, list(prefix)); diff != "" {
			t.Errorf("List %q: want - got +\n%s", prefix, diff)
		}
	}
	for range 2 {
		if err := sweeper.Delete(t.Context(), "runs/a/plan"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if _, err := store.Get(t.Context(), "runs/a/plan"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("Get after Delete: got %v, want ErrNotFound", err)
	}
	if diff := cmp.Diff([]string{"runs/a/result"}, list("runs/a/")); diff != "" {
		t.Errorf("List after Delete: want - got +\n%s", diff)
	}
}

func probe(t *testing.T, store state.Store) {
	l, err := state.Open(store, state.Options{Run: "run", Racers: racers})
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Probe(t.Context())
	if err != nil || got.Unknown > 0 || got.Skew.Abs() > 2*time.Second {
		t.Errorf("Probe: got %+v, %v, want certain answers and clocks that agree", got, err)
	}
	sweeper, ok := store.(state.Sweeper)
	if !ok {
		return
	}
	if left, err := sweeper.List(t.Context(), ""); err != nil || len(left) > 0 || got.Left != "" {
		t.Errorf("Probe: it leaves %v, and says so of %q; %v", left, got.Left, err)
	}
}

// ledger is three runs: one that changes something, two that do not.
func ledger(t *testing.T, store state.Store) {
	var last *state.Ledger
	for i := range 3 {
		l, err := state.Open(store, state.Options{Run: fmt.Sprintf("run-%d", i), Holder: "suite"})
		if err != nil {
			t.Fatal(err)
		}
		base, err := l.Load(t.Context())
		if err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
		if i > 0 {
			_, _, err = l.Append(t.Context(), base, state.Record{Verdict: state.Unchanged}, 0, nil)
		} else {
			err = claimAndSettle(t.Context(), l, base)
		}
		if err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
		last = l
	}
	chain, err := last.Verify(t.Context())
	if err != nil || chain.Records != 3 || len(chain.Findings) > 0 {
		t.Errorf("Verify: got %+v, %v, want 3 records without a finding", chain, err)
	}
	head, err := last.Load(t.Context())
	if err != nil || head.Epoch != 1 || !head.Idle() {
		t.Fatalf("Load: got %+v, %v, want an idle head of epoch 1", head, err)
	}
	inventory, err := last.Read(t.Context(), *head.Apps["web"].Inventory)
	if err != nil || string(inventory) != "inventory" {
		t.Errorf("Read: got %q, %v", inventory, err)
	}
}

func claimAndSettle(ctx context.Context, l *state.Ledger, base state.Head) error {
	ref, err := l.Put(ctx, "inventory-web", []byte("inventory"))
	if err != nil {
		return err
	}
	tenure, err := l.Claim(ctx, base, func(h *state.Head) { h.Apps["web"] = state.App{Inventory: &ref, Plan: &ref} })
	if err != nil {
		return err
	}
	_, _, err = tenure.Settle(ctx, state.Record{Verdict: state.Changed}, nil)
	return err
}

func mustCreate(t *testing.T, store state.Store, name, data string) state.Stamp {
	t.Helper()
	stamp, err := store.Create(t.Context(), name, []byte(data))
	if err != nil {
		t.Fatalf("Create %s: %v", name, err)
	}
	return stamp
}

func mustGet(t *testing.T, store state.Store, name string) state.Blob {
	t.Helper()
	blob, err := store.Get(t.Context(), name)
	if err != nil {
		t.Fatalf("Get %s: %v", name, err)
	}
	return blob
}
