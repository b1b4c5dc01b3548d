package reconcile_test

import (
	"errors"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// away does one run that reaches another cluster, which holds what this one does.
func (w *world) away(exit int) reconcile.Report {
	w.t.Helper()
	job := w.open()
	job.Cluster = elsewhere{job.Cluster.(repairable)}
	return w.run(job, exit)
}

// moved gives the ledger to that cluster.
func (w *world) moved() (state.Record, error) {
	w.t.Helper()
	job := w.repair()
	job.Cluster = elsewhere{job.Cluster.(repairable)}
	return reconcile.AdoptCluster(w.t.Context(), job)
}

// reasons lists "action name (reason)" of the first app's changes.
func reasons(report reconcile.Report) string {
	var all []string
	for _, c := range report.Record.Apps[0].Changes {
		all = append(all, c.Action+" "+c.ID.Name+" ("+c.Reason+")")
	}
	return strings.Join(all, ", ")
}

func TestAdoptCluster(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	for _, name := range []string{"same", "older", "missing", "left"} {
		web.configMap(name, "1")
	}
	w := newWorld(t, web)
	witness := w.attend()
	w.sync(0)
	before := w.head()
	_, err := reconcile.AdoptCluster(t.Context(), w.repair())
	refused(t, "the same cluster", err, "there is nothing to do: the ledger is of this very cluster")
	if w.head().Nonce != before.Nonce {
		t.Error("a refused command wrote the head")
	}

	// The cluster was made anew from an older backup, and its repository went on.
	if err := server.Delete(t.Context(), web.path("missing")); err != nil {
		t.Fatal(err)
	}
	web.configMap("older", "2")
	delete(web.files, "left.yaml")
	report := w.away(13)
	if !strings.Contains(report.Record.Message, "this ledger is of another cluster: it belongs to "+before.Cluster+", and this is another") {
		t.Errorf("a run that reaches another cluster: %s", show(report))
	}
	record, err := w.moved()
	if err != nil {
		t.Fatal(err)
	}
	if want := "tester gave the ledger, with 4 objects of 1 app, to the cluster another in place of " + before.Cluster + ": meant"; record.Message != want || record.Exit != 0 {
		t.Errorf("record = %+v, want the message %q", record, want)
	}
	head := w.head()
	if app := head.Apps["web"]; head.Cluster != "another" || !head.Idle() || head.Observed != nil || !app.NewCluster || app.Inputs != "" || app.Revision != nil {
		t.Errorf("head = %+v, want it of the new cluster, and nothing known of the app", head)
	}
	for _, member := range w.inventory("web").Members {
		if member.UID != "" || member.Digest != "" || member.Origin != state.Created {
			t.Errorf("member = %+v, want nothing known but that it is ours", member)
		}
	}
	if known, err := witness.ReadWitness(t.Context()); err != nil || known.Epoch != head.Epoch || head.Witnessed != head.Epoch {
		t.Errorf("witness = %+v, %v; want epoch %d, and the head to know (%d)", known, err, head.Epoch, head.Witnessed)
	}

	// The first run applies everything, and prunes nothing.
	web.fails = errors.New("no repository")
	w.away(12)
	web.fails = nil
	if !w.head().Apps["web"].NewCluster {
		t.Error("a run that failed counts for the first one")
	}
	report = w.away(0)
	if got := reasons(report); got != "create missing (new), change older (desired), keep left (new-cluster)" {
		t.Errorf("the first run did: %s\n%s", got, show(report))
	}
	if w.head().Apps["web"].NewCluster {
		t.Error("a run that succeeded does not count for the first one")
	}
	left, _ := w.inventory("web").Lookup(object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "left"})
	if left.Kept || web.get(t, "left") != "1" {
		t.Errorf("left = %+v; want it there, and not kept for good", left)
	}
	// The next one prunes as usual.
	counts(t, w.away(0), state.Counts{Pruned: 1, Unchanged: 3})
	counts(t, w.away(0), state.Counts{Unchanged: 3})
	w.verified()
	// The old cluster is refused now.
	w.sync(13)
}

// A backup may bring back what was pruned since it was made.
func TestAdoptClusterFindsWhatABackupBrought(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	web.configMap("back", "1")
	w := newWorld(t, web)
	w.sync(0)
	delete(web.files, "back.yaml")
	counts(t, w.sync(0), state.Counts{Pruned: 1, Unchanged: 2})
	label := reconcile.LedgerLabel(w.head().Lineage)
	byHand(t, "/api/v1/namespaces/"+web.app.Namespace+"/configmaps", `{"metadata":{"name":"back","labels":{"tidemark.dev/ledger":"`+label+`","tidemark.dev/app":"web"},"annotations":{"tidemark.dev/id":"/ConfigMap/`+web.app.Namespace+`/back"}},"data":{"key":"1"}}`)
	if _, err := w.moved(); err != nil {
		t.Fatal(err)
	}
	if got := reasons(w.away(0)); got != "keep back (new-cluster)" {
		t.Errorf("the first run did: %s", got)
	}
	report := w.away(10)
	if got := report.Record.Apps[0].Refusals; len(got) != 1 || got[0].Reason != plan.RefusedProtected || web.get(t, "back") != "1" {
		t.Errorf("refusals = %+v; want it to wait for approval\n%s", got, show(report))
	}
}

func TestAdoptClusterRefuses(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	_, err := w.moved()
	refused(t, "an empty state", err, "no run used this state yet")
	w.sync(0)
	before := w.head().Nonce
	for _, test := range []struct {
		name string
		edit func(*reconcile.Job)
		want string
		exit int
	}{
		{"no reason", func(job *reconcile.Job) { job.Reason = "" }, "give a reason", reconcile.ExitConfig},
		{"a cluster that cannot be searched", func(job *reconcile.Job) {
			job.Cluster = elsewhere{unsearchable{job.Cluster.(repairable)}}
		}, "search the cluster: ", reconcile.ExitUnreachable},
		{"a witness that does not answer", func(job *reconcile.Job) {
			job.Cluster, job.Witness = elsewhere{job.Cluster.(repairable)}, silent{}
		}, "read the witness: no answer", reconcile.ExitUnreachable},
	} {
		job := w.repair()
		test.edit(&job)
		if _, err := reconcile.AdoptCluster(t.Context(), job); err == nil || !strings.Contains(err.Error(), test.want) || reconcile.ExitOf(err) != test.exit {
			t.Errorf("%s: got %v (exit %d), want %q (exit %d)", test.name, err, reconcile.ExitOf(err), test.want, test.exit)
		}
	}
	if w.head().Nonce != before {
		t.Error("a refused command wrote the head")
	}
}
