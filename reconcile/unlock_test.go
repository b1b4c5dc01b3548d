package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// lock gives the job of an Unlock, which needs no cluster.
func (w *world) lock() reconcile.Job {
	job := w.repair()
	job.Cluster = nil
	return job
}

// refused checks that an error is a refusal which says why.
func refused(t *testing.T, what string, err error, words string) {
	t.Helper()
	if err == nil || reconcile.ExitOf(err) != reconcile.ExitRefused || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: got %v (exit %d), want it refused (10) since %q", what, err, reconcile.ExitOf(err), words)
	}
}

func TestUnlockRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ttl = 3 * time.Second
	_, err := reconcile.Unlock(t.Context(), w.lock(), "any", true)
	refused(t, "an empty ledger", err, "nobody holds the lease")

	holder := w.open().Ledger
	tenure, err := holder.Claim(t.Context(), state.Head{Lineage: "x"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = reconcile.Unlock(t.Context(), w.lock(), "another", true)
	refused(t, "another run", err, "run "+holder.Run()+" of test holds the lease, not run another")
	job := w.lock()
	job.LockTimeout = time.Millisecond
	_, err = reconcile.Unlock(t.Context(), job, holder.Run(), false)
	refused(t, "not long enough watched", err, "was not proven dead")
	job = w.lock()
	job.Reason = ""
	if _, err := reconcile.Unlock(t.Context(), job, holder.Run(), true); err == nil || !strings.Contains(err.Error(), "give a reason") {
		t.Errorf("without a reason: got %v", err)
	}
	// It renews its lease while it is watched.
	err = tenure.While(t.Context(), func(ctx context.Context) error {
		_, err := reconcile.Unlock(ctx, w.lock(), holder.Run(), false)
		return err
	})
	refused(t, "a living holder", err, "is alive")
	// It ends while it is watched.
	watching := make(chan struct{})
	job = w.lock()
	job.Progress = func(reconcile.Event) { close(watching) }
	ended := make(chan error)
	go func() {
		_, err := reconcile.Unlock(t.Context(), job, holder.Run(), false)
		ended <- err
	}()
	<-watching
	if _, _, err := tenure.Settle(t.Context(), state.Record{Verdict: state.Unchanged}, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; reconcile.ExitOf(err) != reconcile.ExitRefused || !strings.Contains(err.Error(), "by itself") && !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a holder that ended: got %v, want it refused", err)
	}
	if head := w.head(); head.Audit.Seq != 1 || head.Epoch != 1 {
		t.Errorf("head = %+v, want it as the holder left it", head)
	}
}

// The run that died in the middle is named, and what it may have sent is in
// doubt, just as when a run takes over.
func TestUnlockTakesOverFromADeadRun(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	web.configMap("two", "1")
	w := newWorld(t, web)
	w.ttl = 3 * time.Second
	w.sync(0)
	web.configMap("one", "2")
	store, dead := w.store, false
	w.store = deaf{Store: store, dead: &dead}
	job := w.open()
	ctx, die := context.WithCancel(t.Context())
	job.Cluster = &dying{Cluster: job.Cluster, die: func() { dead = true; die() }}
	if _, err := reconcile.Run(ctx, job); err == nil {
		t.Fatal("the dying run ended well")
	}
	w.store = store
	victim := job.Ledger.Run()

	record, err := reconcile.Unlock(t.Context(), w.lock(), victim, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := "tester took the lease from run " + victim + " of test, which was dead: meant"; record.Message != want || record.Exit != 0 ||
		len(record.Interrupted) != 1 || record.Interrupted[0] != victim {
		t.Errorf("record = %+v, want the message %q and the run named", record, want)
	}
	if head := w.head(); !head.Idle() || head.Epoch != 3 {
		t.Errorf("head = %+v, want it idle at epoch 3", head)
	}
	inventory := w.inventory("web")
	for name, doubted := range map[string]bool{"one": true, "two": false} {
		member, ok := inventory.Lookup(object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: name})
		if !ok || (member.Unsettled != nil) != doubted {
			t.Errorf("%s: got %+v; want it in doubt: %v", name, member, doubted)
		}
	}
	w.verified()
	report := w.sync(0)
	if got := web.get(t, "one"); got != "2" || len(report.Record.Interrupted) != 0 {
		t.Errorf("one = %q, want the next run to bring it, and to name nobody\n%s", got, show(report))
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 3})
}

// By force a living run is stopped where it stands.
func TestUnlockByForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ttl = time.Minute
	holder := w.open().Ledger
	tenure, err := holder.Claim(t.Context(), state.Head{Lineage: "x"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	record, err := reconcile.Unlock(t.Context(), w.lock(), holder.Run(), true)
	if err != nil || !strings.Contains(record.Message, "although it was not proven dead: meant") {
		t.Errorf("got %+v, %v", record, err)
	}
	if _, _, err := tenure.Settle(t.Context(), state.Record{Verdict: state.Unchanged}, nil); !errors.Is(err, state.ErrLost) {
		t.Errorf("the holder settles: got %v, want %v", err, state.ErrLost)
	}
}
