package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// during runs something each time that a job reads its configuration, which is
// after it has read the head.
func during(job reconcile.Job, something func()) reconcile.Job {
	configure := job.Configure
	job.Configure = func(ctx context.Context, last *reconcile.Committed) (reconcile.Config, error) {
		something()
		return configure(ctx, last)
	}
	return job
}

// A run that others overtake again and again gives up, and says so.
func TestRunSaysThatOthersWereFaster(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	value := "1"
	job := during(w.open(), func() {
		value += "1"
		web.configMap("one", value)
		w.sync(0)
	})
	report := w.run(job, 15)
	if got := report.Record; got.Run != job.Ledger.Run() || got.Verdict != state.Failed || !strings.Contains(got.Message, "the ledger moved on") || report.Recorded {
		t.Errorf("got %s of %q (recorded %v), want a failed run that says why, and no record", show(report), got.Run, report.Recorded)
	}
}

// What went wrong with an app is told although another run stands in the way of
// recording it.
func TestRunTellsOfAFailedAppThoughAnotherRunActs(t *testing.T) {
	t.Parallel()
	web, db := newApp(t, "web"), newApp(t, "db")
	web.configMap("one", "1")
	db.configMap("two", "1")
	w := newWorld(t, web, db)
	w.sync(0)
	db.fails = errors.New("no such branch")
	job := during(w.open(), func() { w.die("web", object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "one"}) })
	report := w.run(job, 12)
	if text := show(report); !strings.Contains(text, "no such branch") || report.Recorded {
		t.Errorf("got %s (recorded %v), want the app's failure, and no record", text, report.Recorded)
	}
}

// A wait that is too short to tell a dead run from a living one is no success.
func TestRunDoesNotCallAShortWaitASkip(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	w.die("web", object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "one"})
	job := w.open()
	job.LockTimeout = time.Millisecond
	report := w.run(job, 15)
	if got := report.Record.Message; !strings.Contains(got, "--lock-timeout more than 3.75s") {
		t.Errorf("message = %q, want what to do", got)
	}
}

// An approval raises the epoch and asks no cluster: it must not hide that the head
// is an old one.
func TestApproveHidesNoOldHead(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.attend()
	report := w.sync(0)
	old := w.copyStore()
	web.configMap("two", "2")
	w.sync(0)

	w.store = old
	_, err := reconcile.Approve(t.Context(), w.open().Ledger, reconcile.Approval{
		Hash: report.Record.Apps[0].PlanHash, App: "web", Reason: "test", Actor: "tester", Trigger: "cli", Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(web.files, "two.yaml")
	if report := w.sync(13); !strings.Contains(report.Record.Message, "the cluster has seen epoch 2") {
		t.Errorf("message = %q, want the old head found out", report.Record.Message)
	}
}

// readOnly is a witness that may be read and not written.
type readOnly struct{ *cluster.Witness }

func (readOnly) WriteWitness(context.Context, apply.Witness) error { return apply.ErrForbidden }

// A witness that cannot be written any more is missed once, not in each run.
func TestRunDoesNotMissAWitnessForEver(t *testing.T) {
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
	known.Epoch = 0 // as after a restore
	if err := witness.WriteWitness(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	forbid := func() reconcile.Job {
		job := w.open()
		job.Witness = readOnly{witness}
		return job
	}
	if n := w.run(forbid(), 0).Record.Cost.KubernetesRequests["dry-run"]; n == 0 {
		t.Fatal("the run after the restore looked at nothing closely")
	}
	before := w.head().Epoch
	report := w.run(forbid(), 0)
	if n := report.Record.Cost.KubernetesRequests["dry-run"]; n != 0 || w.head().Epoch != before {
		t.Errorf("the run after it asked for %d dry runs, epoch %d after %d; want it to be quiet", n, w.head().Epoch, before)
	}
}

// An object that one app keeps is another's alone once that one wants it.
func TestRunGivesAKeptObjectToWhoWantsIt(t *testing.T) {
	t.Parallel()
	web, db := newApp(t, "web"), newApp(t, "db")
	web.configMap("one", "1")
	web.files["kept.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, namespace: " + web.app.Namespace + ", annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}}\n"
	db.configMap("two", "1")
	w := newWorld(t, web, db)
	w.sync(0)
	kept := web.files["kept.yaml"]
	delete(web.files, "kept.yaml")
	w.sync(0)
	id := object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "kept"}
	if member, has := w.inventory("web").Lookup(id); !has || !member.Kept {
		t.Fatalf("%+v, %v; want it kept", member, has)
	}

	db.files["kept.yaml"] = kept
	report := w.sync(0)
	if _, has := w.inventory("db").Lookup(id); !has {
		t.Errorf("db has no %s, want it adopted\n%s", id, show(report))
	}
	if _, has := w.inventory("web").Lookup(id); has {
		t.Errorf("web has %s too, want it to be db's alone\n%s", id, show(report))
	}
}
