package history_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/history"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/mem"
)

var tide = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// counting notes how many requests to a store were under way at once.
type counting struct {
	state.Store
	now, most, gets atomic.Int64
}

func (c *counting) Get(ctx context.Context, name string) (state.Blob, error) {
	c.gets.Add(1)
	for now, most := c.now.Add(1), c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	defer c.now.Add(-1)
	time.Sleep(100 * time.Microsecond) // a store far away
	return c.Store.Get(ctx, name)
}

// ledgerOf writes n unchanged records, and before them what first says.
func ledgerOf(t *testing.T, n int, first ...state.Record) (*counting, []state.Record) {
	t.Helper()
	store := &counting{Store: mem.Open(mem.Options{})}
	var written []state.Record
	for i := range n + len(first) {
		at := tide.Add(time.Duration(i) * time.Minute)
		run, err := state.NewRunID(at, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		ledger, err := state.Open(store.Store, state.Options{Run: run, Holder: "test"})
		if err != nil {
			t.Fatal(err)
		}
		head, err := ledger.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		record := state.Record{Verdict: state.Unchanged, Apps: []state.AppRecord{{Name: "web", Verdict: state.Unchanged}}}
		if i < len(first) {
			record = first[i]
		}
		record.Started, record.Finished = at, at
		if _, record, err = ledger.Append(t.Context(), head, record, 0, nil); err != nil {
			t.Fatal(err)
		}
		written = append(written, record)
	}
	return store, written
}

func book(t *testing.T, store state.Store) history.Book {
	t.Helper()
	ledger, err := state.Open(store, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := history.Open(t.Context(), ledger)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A thousand records are not a thousand round trips, one after the other.
func TestRecordsAreReadSideBySide(t *testing.T) {
	store, _ := ledgerOf(t, 300)
	records, err := book(t, store).Records(t.Context(), history.Query{Limit: 200})
	if err != nil || len(records) != 200 || records[0].Seq != 300 || records[199].Seq != 101 {
		t.Fatalf("got %d records, %v, want 200 from 300 downwards", len(records), err)
	}
	if most := store.most.Load(); most < 8 {
		t.Errorf("at most %d requests were under way at once, want many", most)
	}
	before := store.gets.Load()
	if _, err := book(t, store).Records(t.Context(), history.Query{Limit: 3}); err != nil {
		t.Fatal(err)
	}
	if gets := store.gets.Load() - before; gets > 4 {
		t.Errorf("3 records took %d requests, want at most 4: two heads and two records", gets)
	}
}

func TestRecordsSinceAndOfApp(t *testing.T) {
	store, written := ledgerOf(t, 40, state.Record{Verdict: state.Changed, Apps: []state.AppRecord{{Name: "db", Verdict: state.Changed}}})
	b := book(t, store)
	records, err := b.Records(t.Context(), history.Query{Since: written[31].Finished})
	if err != nil || len(records) != 10 || records[9].Seq != 32 {
		t.Errorf("since record 32: got %d records, %v, want 10", len(records), err)
	}
	records, err = b.Records(t.Context(), history.Query{App: "db", Limit: 5})
	if err != nil || len(records) != 1 || records[0].Seq != 1 {
		t.Errorf("of db: got %+v, %v, want record 1", records, err)
	}
}

func TestFind(t *testing.T) {
	store, written := ledgerOf(t, 150)
	b := book(t, store)
	for name, want := range map[string]uint64{
		"latest": 150, "latest~0": 150, "latest~149": 1, "7": 7,
		written[49].Run: 50, strings.ToLower(written[49].Run[:20]): 50,
	} {
		if got, err := b.Find(t.Context(), name); err != nil || got.Seq != want {
			t.Errorf("find %s: got record %d, %v, want %d", name, got.Seq, err, want)
		}
	}
	for name, want := range map[string]string{
		"latest~150": "the ledger has 150", "151": "the newest is 150", "0": "there is no record 0",
		written[0].Run[:6]: "runs begin with", "00000000000000000000000000": "no record of a run", "what?": "names no run",
	} {
		_, err := b.Find(t.Context(), name)
		if _, unknown := errors.AsType[*history.UnknownError](err); !unknown || !strings.Contains(err.Error(), want) {
			t.Errorf("find %s: got %v, want %q", name, err, want)
		}
	}
}

// Sets of one app in two records, and one that was collected.
func TestDiffOfSets(t *testing.T) {
	kept := func(value string) state.StoredSet {
		var objects []object.Object
		for _, text := range []string{
			fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one","namespace":"shop"},"data":{"key":%q,"same":"same"}}`, value),
			fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"only-%s","namespace":"shop"}}`, value),
			fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pass","namespace":"shop"},"stringData":{"word":"secret-%s"}}`, value),
		} {
			decoded, err := object.Decode("a.json", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, decoded...)
		}
		set, err := object.NewSet(objects, false)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := state.StoreSet("web", "digest", set)
		if err != nil {
			t.Fatal(err)
		}
		return stored
	}
	changes, unchanged, err := history.Compare(kept("a"), kept("b"))
	var got []string
	for _, c := range changes {
		text := []string{fmt.Sprint(c.Action, " ", c.ID)}
		for _, d := range c.Diff {
			text = append(text, fmt.Sprint(d.Path, " ", d.Old, " ", d.New, " ", d.Masked))
		}
		got = append(got, strings.Join(text, " "))
	}
	want := "change ConfigMap shop/one data.key a b false\nprune ConfigMap shop/only-a\ncreate ConfigMap shop/only-b"
	if strings.Join(got, "\n") != want || unchanged != 1 || err != nil {
		t.Errorf("got %d unchanged, %v and\n%s\nwant 1 and\n%s", unchanged, err, strings.Join(got, "\n"), want)
	}
	if text := fmt.Sprintf("%+v %s", changes, kept("a").Objects[2].Content); strings.Contains(text, "secret-") {
		t.Errorf("a Secret's value is shown: %s", text)
	}

	gone := &state.Ref{Path: "runs/01JZ0000000000000000000000/set-web", SHA256: strings.Repeat("0", 64)}
	store, written := ledgerOf(t, 1, state.Record{Verdict: state.Changed, Apps: []state.AppRecord{{Name: "web", Verdict: state.Changed, Set: gone}}})
	diff, err := book(t, store).Diff(t.Context(), written[0], written[1], "")
	if err != nil || len(diff.Apps) != 1 || !strings.Contains(diff.Apps[0].Unknown, "no longer kept") {
		t.Errorf("a set that was collected: got %+v, %v, want a word about it", diff, err)
	}
}
