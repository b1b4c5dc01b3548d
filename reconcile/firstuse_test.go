package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/mem"
)

// careless is a store whose Create overwrites.
type careless struct{ *mem.Store }

func (s careless) Create(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	stamp, err := s.Store.Create(ctx, name, data)
	for errors.Is(err, state.ErrExists) {
		var blob state.Blob
		if blob, err = s.Get(ctx, name); err == nil {
			stamp, err = s.Swap(ctx, name, data, blob.Version)
		}
		if errors.Is(err, state.ErrChanged) {
			err = state.ErrExists
		}
	}
	return stamp, err
}

// A store that breaks a condition is refused before anything is done with it.
func TestFirstUseOfAnUnfitStoreIsRefused(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("cm", "one")
	w := newWorld(t, app)
	store := careless{mem.Open(mem.Options{})}
	w.store = store
	report := w.sync(reconcile.ExitState)
	if !strings.Contains(report.Record.Message, "racing creates") || report.Recorded {
		t.Errorf("got recorded %v, message %q, want what the probe saw, and no record", report.Recorded, report.Record.Message)
	}
	if got := app.get(t, "cm"); got != "" {
		t.Errorf("the cluster was written to: the ConfigMap holds %q", got)
	}
	if left, err := store.List(t.Context(), ""); err != nil || len(left) > 0 {
		t.Errorf("the store holds %v, %v, want nothing", left, err)
	}

	// A plan writes nothing, so it needs no proof.
	job := w.open()
	job.Mode = reconcile.PlanOnly
	w.run(job, reconcile.ExitOK)
}

// The proof is made once, by the first run.
func TestStoreIsProbedOnFirstUseAlone(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("cm", "one")
	w := newWorld(t, app)
	const probe = 2*32 + 2 // writes at least
	if first := w.sync(reconcile.ExitOK).Record.Cost.StoreRequests; first < probe {
		t.Errorf("the first run sent %d requests, want those of a probe too", first)
	}
	if next := w.sync(reconcile.ExitOK).Record.Cost.StoreRequests; next >= probe {
		t.Errorf("the next run sent %d requests, want no probe", next)
	}
}
