package reconcile_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/mem"
)

// attend gives every run of the world a witness of its own name in the cluster,
// and the witness as an administrator sees it.
func (w *world) attend() *cluster.Witness {
	w.t.Helper()
	var name [8]byte
	_, _ = rand.Read(name[:])
	w.witness = "tidemark-" + hex.EncodeToString(name[:])
	return w.open().Witness.(*cluster.Witness)
}

func TestRunRefusesAStateThatTheClusterKnowsBetter(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	witness := w.attend()
	w.sync(0)
	if known, err := witness.ReadWitness(t.Context()); err != nil || known.Epoch != 1 {
		t.Fatalf("witness = %+v, %v; want epoch 1", known, err)
	}
	whole := w.store
	old := w.copyStore()
	web.configMap("one", "2")
	web.configMap("two", "2")
	w.sync(0)

	web.configMap("one", "3")
	refused := func(name string, store state.Store, words string) {
		t.Helper()
		w.store = store
		before := w.names()
		report := w.sync(13)
		if !strings.Contains(report.Record.Message, words) {
			t.Errorf("%s: message = %q, want %q", name, report.Record.Message, words)
		}
		if got := web.get(t, "one"); got != "2" {
			t.Errorf("%s: one = %q, want it untouched", name, got)
		}
		if after := w.names(); after != before || report.Recorded {
			t.Errorf("%s: the state went from %s to %s, want nothing written", name, before, after)
		}
	}
	refused("lost", mem.Open(mem.Options{}), "there is no head")
	refused("rolled back", old, "the head is at epoch 1, but the cluster has seen epoch 2")
	other := newWorld(t, newApp(t, "other"))
	other.sync(0)
	refused("replaced", other.store, "the cluster knows this ledger as")

	w.store = whole
	w.sync(0)
	if got := web.get(t, "one"); got != "3" {
		t.Errorf("one = %q, want 3: the state is whole again", got)
	}
}

// A cluster that was restored from a backup may hold anything: nothing that was
// observed before counts.
func TestRunLooksAtEverythingAfterARestore(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	witness := w.attend()
	w.sync(0)
	known, err := witness.ReadWitness(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := w.sync(0).Record.Cost.KubernetesRequests["dry-run"]; n != 0 {
		t.Fatalf("an unchanged run asked for %d dry runs, want none", n)
	}
	known.Epoch = 0
	if err := witness.WriteWitness(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	report := w.sync(0)
	if n := report.Record.Cost.KubernetesRequests["dry-run"]; n < 2 {
		t.Errorf("the run after the restore asked for %d dry runs, want one for each object\n%s", n, show(report))
	}
	if !strings.Contains(strings.Join(report.Record.Warnings, "\n"), "restore") {
		t.Errorf("warnings = %q, want it said", report.Record.Warnings)
	}
	report = w.sync(0)
	if n := report.Record.Cost.KubernetesRequests["dry-run"]; n != 0 || len(report.Record.Warnings) > 0 {
		t.Errorf("the run after that asked for %d dry runs, warnings %q; want the witness to be right again", n, report.Record.Warnings)
	}
}

func TestRunGoesOnWithoutAWitness(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	job := w.open()
	job.Witness = forbidding{}
	report := w.run(job, 0)
	if got := web.get(t, "one"); got != "1" || !strings.Contains(strings.Join(report.Record.Warnings, "\n"), "goes unnoticed: rejected: forbidden") {
		t.Errorf("one = %q, warnings = %q; want it applied, and the weaker guarantee said", got, report.Record.Warnings)
	}
}

// forbidding is a witness that the run may not use.
type forbidding struct{}

func (forbidding) ReadWitness(context.Context) (apply.Witness, error) {
	return apply.Witness{}, apply.ErrForbidden
}

func (forbidding) WriteWitness(context.Context, apply.Witness) error {
	return errors.New("written without having been read")
}

// The witness is written by whoever has the lease; a run that was overtaken
// learns of it there, before it writes anything else.
func TestRunStopsWhenTheWitnessKnowsAHigherEpoch(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	w := newWorld(t, web)
	witness := w.attend()
	job := w.open()
	job.Witness = &overtaken{Witness: witness}
	report := w.run(job, 14)
	if got := web.get(t, "one"); got != "" {
		t.Errorf("one = %q, want nothing written\n%s", got, show(report))
	}
}

// overtaken is a witness that a later run writes first.
type overtaken struct{ reconcile.Witness }

func (o *overtaken) WriteWitness(ctx context.Context, know apply.Witness) error {
	later := know
	later.Epoch++
	if err := o.Witness.WriteWitness(ctx, later); err != nil {
		return err
	}
	return o.Witness.WriteWitness(ctx, know)
}

// crowded is a witness whose server asks once to come back later.
type crowded struct {
	reconcile.Witness
	asked *[]time.Time
}

func (c crowded) WriteWitness(ctx context.Context, w apply.Witness) error {
	if *c.asked = append(*c.asked, time.Now()); len(*c.asked) == 1 {
		return &apply.BusyError{After: 2 * time.Second, Err: errors.New("too many requests")}
	}
	return c.Witness.WriteWitness(ctx, w)
}

func TestTheWitnessIsWrittenWhenTheServerHasTime(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	witness := w.attend()
	job, asked := w.open(), []time.Time(nil)
	job.Witness = crowded{job.Witness, &asked}
	w.run(job, 0)
	if known, err := witness.ReadWitness(t.Context()); err != nil || known.Epoch != 1 {
		t.Errorf("witness = %+v, %v; want epoch 1", known, err)
	}
	if len(asked) != 2 || asked[1].Sub(asked[0]) < 2*time.Second {
		t.Errorf("written at %v, want it twice, two seconds apart", asked)
	}
}
