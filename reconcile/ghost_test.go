package reconcile_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// An object that was made again after a create that was never answered, and then
// pruned, is forgotten only when that create can arrive no more.
func TestAGhostStaysForItsTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		since time.Duration
		want  []string
	}{
		"the create may still arrive":  {0, []string{"ConfigMap one", "ConfigMap two"}},
		"it was sent too long ago now": {-time.Hour, []string{"ConfigMap two"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := newApp(t, "web")
			web.configMap("one", "1")
			web.configMap("two", "1")
			w := newWorld(t, web)
			w.sync(0)
			w.haunt("web", "one", now().Add(test.since))
			delete(web.files, "one.yaml")
			counts(t, w.sync(0), state.Counts{Pruned: 1, Unchanged: 2})
			if diff := cmp.Diff(append(test.want, "Namespace "+web.app.Namespace), w.ids("web")); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			counts(t, w.sync(0), state.Counts{Unchanged: 2})
		})
	}
}

// A ghost that was found long ago is not told as one any more.
func TestAGhostThatWasFoundIsTold(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	w.haunt("web", "one", now().Add(-time.Hour))
	for range 3 {
		w.sync(0)
	}
	if got := reconcile.Holdings(t.Context(), w.open().Ledger, w.head())[0].Tally(); got.Ghosts != 0 {
		t.Errorf("tally %+v, want no ghost: it was found", got)
	}
}

// The late create goes with the object to the app that takes it over.
func TestAGhostIsHandedOver(t *testing.T) {
	t.Parallel()
	web, other := newApp(t, "web"), newApp(t, "other")
	other.app.Namespace = web.app.Namespace
	delete(other.files, "namespace.yaml")
	web.configMap("one", "1")
	other.configMap("two", "1")
	w := newWorld(t, web, other)
	w.sync(0)
	w.haunt("web", "one", now())
	delete(web.files, "one.yaml")
	other.configMap("one", "1")
	w.sync(0)
	delete(other.files, "one.yaml")
	w.sync(0)
	if diff := cmp.Diff([]string{"ConfigMap one", "ConfigMap two"}, w.ids("other")); diff != "" {
		t.Errorf("members of the app that pruned it (-want +got):\n%s", diff)
	}
}

// haunt writes into the state that a create of an object was never answered.
func (w *world) haunt(app, name string, since time.Time) {
	w.t.Helper()
	ledger := w.open().Ledger
	data, err := ledger.Read(w.t.Context(), *w.head().Apps[app].Inventory)
	if err != nil {
		w.t.Fatal(err)
	}
	inventory, err := state.DecodeInventory(data)
	if err != nil {
		w.t.Fatal(err)
	}
	inventory = inventory.Haunt(since, func(m state.Member) bool { return m.ID.Name == name })
	if data, err = inventory.Encode(); err != nil {
		w.t.Fatal(err)
	}
	tenure, err := ledger.Claim(w.t.Context(), w.head(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	ref, err := ledger.Put(w.t.Context(), "inventory-"+app, data)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, _, err := tenure.Settle(w.t.Context(), state.Record{Verdict: state.Changed}, func(head *state.Head) {
		a := head.Apps[app]
		a.Inventory = &ref
		head.Apps[app] = a
	}); err != nil {
		w.t.Fatal(err)
	}
}
