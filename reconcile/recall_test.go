package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// spent gives what a run cost that is the same on every machine.
func spent(report reconcile.Report) map[string]int64 {
	cost := maps.Clone(report.Record.Cost.KubernetesRequests)
	cost["store"], cost["renders"] = report.Record.Cost.StoreRequests, report.Record.Cost.Renders
	return cost
}

// An unchanged run asks for each kind once, whatever the number of objects and
// of apps, and the store for as much as ever.
func TestUnchangedCostsTheSame(t *testing.T) {
	t.Parallel()
	var costs []map[string]int64
	for _, size := range []struct{ apps, objects int }{{1, 1}, {1, 40}, {6, 10}} {
		var apps []*repo
		for n := range size.apps {
			a := newApp(t, fmt.Sprintf("a%d-%d-%d", size.apps, size.objects, n))
			for o := range size.objects {
				a.configMap(fmt.Sprintf("c%d", o), "1")
			}
			apps = append(apps, a)
		}
		w := newWorld(t, apps...)
		w.attend()
		w.sync(0)
		costs = append(costs, spent(w.sync(0)))
	}
	want := map[string]int64{
		"list": 2, // Namespaces and ConfigMaps
		"get":  2, // the cluster's identity and its witness
		// The head and what was observed; the record is written before it can count
		// its own writing.
		"store": 2, "renders": 0,
	}
	for i, got := range costs {
		if !maps.Equal(got, want) {
			t.Errorf("ledger %d: an unchanged run cost %v, want %v", i, got, want)
		}
	}
}

// A commit that touches nothing that an app's rendering reads moves its revision
// and nothing else.
func TestCommitThatTouchesNothing(t *testing.T) {
	t.Parallel()
	web, other := newApp(t, "web"), newApp(t, "other")
	web.tracks, other.tracks = true, true
	web.configMap("one", "1")
	other.configMap("one", "1")
	w := newWorld(t, web, other)
	w.sync(0)

	web.files["README.md"], other.files["README.md"] = "", "" // in the directory, whose listing was read
	w.sync(0)
	web.files["README.md"] = "another commit"
	other.configMap("one", "2")
	web.renders, other.renders, web.fetches = 0, 0, 0
	report := w.sync(0)
	if web.renders != 0 || other.renders != 1 || report.Record.Cost.Renders != 1 || web.fetches != 1 {
		t.Errorf("web was rendered %d times, other %d times, by the record %d in all; web was fetched %d times: want 0, 1, 1; 1",
			web.renders, other.renders, report.Record.Cost.Renders, web.fetches)
	}
	first := report.Record.Apps[0]
	if got := w.head().Apps["web"].Revision.Commit; got != web.commit() || first.Verdict != state.Unchanged || first.Counts != (state.Counts{Unchanged: 2}) {
		t.Errorf("web: revision %s, want %s; record %+v", got, web.commit(), first)
	}
	if first.Revision.Subject != "change" || first.From == web.commit() {
		t.Errorf("the record says revision %+v from %s: want the new commit from the old", first.Revision, first.From)
	}

	web.fetches = 0
	w.sync(0)
	if web.fetches != 0 || web.renders != 0 {
		t.Errorf("the run after it fetched web %d times and rendered it %d times: want none", web.fetches, web.renders)
	}
	web.configMap("two", "1")
	w.sync(0)
	if web.renders != 1 || web.get(t, "two") != "1" {
		t.Errorf("a new file: rendered %d times, want once; two = %q", web.renders, web.get(t, "two"))
	}
}

// An object that drifted is looked at by the newest commit, though that touches
// nothing of the app.
func TestDriftUnderACommitThatTouchesNothing(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.tracks = true
	web.configMap("one", "1")
	web.files["README.md"] = "first"
	w := newWorld(t, web)
	w.sync(0)
	web.files["README.md"] = "second"
	if _, err := server.Patch(t.Context(), web.path("one"), []byte(`{"data":{"key":"by hand"}}`)); err != nil {
		t.Fatal(err)
	}
	counts(t, w.sync(0), state.Counts{Changed: 1, Unchanged: 1, Drifted: 1})
	if got := w.head().Apps["web"].Revision.Commit; got != web.commit() {
		t.Errorf("revision %s, want %s", got, web.commit())
	}
}

// What is remembered may be lost: everything is looked at closely then, and
// nothing else comes of it.
func TestMemoryMayBeLost(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*world){
		"last observation": func(w *world) { w.spoil(w.head().Observed.Path, nil) },
		"last run read":    func(w *world) { w.spoil(w.head().Reads.Path, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := newApp(t, "web")
			web.tracks = true
			web.configMap("one", "1")
			web.files["README.md"] = "first"
			w := newWorld(t, web)
			w.sync(0)
			spoil(w)
			web.files["README.md"] = "second"
			report := w.sync(0)
			counts(t, report, state.Counts{Unchanged: 2})
			if warned := strings.Join(report.Record.Warnings, "\n"); !strings.Contains(warned, name) {
				t.Errorf("warnings = %q, want one of what was lost", warned)
			}
			web.files["README.md"] = "third"
			web.renders = 0
			if report := w.sync(0); web.renders != 0 || len(report.Record.Warnings) != 0 {
				t.Errorf("the run after it rendered %d times and warned of %q: want neither", web.renders, report.Record.Warnings)
			}
		})
	}
}

// An observation that speaks of another inventory than the head's is not taken
// for it.
func TestMemoryOfAnotherInventory(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	observed := w.head().Observed
	web.configMap("two", "1")
	w.sync(0)
	// As a run leaves it that wrote the inventory and not what it observed.
	tenure, err := w.open().Ledger.Claim(t.Context(), w.head(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tenure.Settle(t.Context(), state.Record{Verdict: state.Changed}, func(head *state.Head) { head.Observed = observed }); err != nil {
		t.Fatal(err)
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 3})
}

// What an earlier rendering read says nothing of a later one that told nothing.
func TestWhatAnEarlierRenderingRead(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.tracks = true
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	web.tracks = false // its chart comes from a registry now, and reads nothing of the repository
	web.configMap("one", "2")
	w.sync(0)
	web.tracks = true
	web.configMap("one", "1") // reverted
	w.sync(0)
	if got := web.get(t, "one"); got != "1" {
		t.Errorf("one = %q, want 1", got)
	}
}

// A kind that was recalled and is not served there any more proves nothing: the
// server is asked what it serves, and for the lists again.
func TestRecalledKindIsNotServed(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	job := w.open()
	moved := &moved{Cluster: job.Cluster}
	job.Cluster = moved
	counts(t, w.run(job, 0), state.Counts{Unchanged: 2})
	if !moved.discovered.Load() {
		t.Error("the server was not asked what it serves")
	}
}

// What a list says of an object that is not as it was is read only then. Where that
// is no metadata, nothing is known of the object: nothing is done to it, nor to any
// other of the app.
func TestGarbledListing(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	web.configMap("two", "1")
	w := newWorld(t, web)
	w.sync(0)
	delete(web.files, "two.yaml")
	web.configMap("three", "1")
	job := w.open()
	job.Cluster = &garbling{job.Cluster}
	report := w.run(job, reconcile.ExitUnreachable)
	if message := report.Record.Apps[0].Message; !strings.Contains(message, "garbled") {
		t.Errorf("got %q, want it to say that the list is garbled", message)
	}
	if got := web.get(t, "two"); got != "1" {
		t.Errorf("two = %q, want it left alone", got)
	}
	counts(t, w.sync(0), state.Counts{Created: 1, Pruned: 1, Unchanged: 2})
}

// garbling is a cluster of which nothing can be read that is in a list.
type garbling struct{ reconcile.Cluster }

func (g *garbling) List(ctx context.Context, kind object.GroupKind, namespace, label, value string) (map[object.ID]plan.Listed, error) {
	found, err := g.Cluster.List(ctx, kind, namespace, label, value)
	for id, listed := range found {
		found[id] = plan.List(listed.UID, listed.ResourceVersion, garbled{})
	}
	return found, err
}

type garbled struct{}

func (garbled) Meta() (plan.Meta, error) {
	return plan.Meta{}, fmt.Errorf("%w: garbled", apply.ErrUnanswered)
}

// moved serves nothing where it was before it is asked what it serves.
type moved struct {
	reconcile.Cluster
	discovered atomic.Bool
}

func (m *moved) Discover(ctx context.Context, fresh bool) (plan.Kinds, error) {
	m.discovered.Store(true)
	return m.Cluster.Discover(ctx, fresh)
}

func (m *moved) List(ctx context.Context, kind object.GroupKind, namespace, label, value string) (map[object.ID]plan.Listed, error) {
	if !m.discovered.Load() {
		return nil, apply.ErrNoKind
	}
	return m.Cluster.List(ctx, kind, namespace, label, value)
}
