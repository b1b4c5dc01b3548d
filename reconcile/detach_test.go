package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// repair gives the job of a command that is not a run.
func (w *world) repair() reconcile.Job {
	job := w.open()
	job.Configure, job.Reason = nil, "meant"
	return job
}

// head gives the newest head.
func (w *world) head() state.Head {
	w.t.Helper()
	head, err := w.open().Ledger.Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return head
}

// verified fails when the audit chain is not whole.
func (w *world) verified() {
	w.t.Helper()
	if chain, err := w.open().Ledger.Verify(w.t.Context()); err != nil || len(chain.Findings) > 0 {
		w.t.Errorf("the audit chain: %+v, %v", chain.Findings, err)
	}
}

// outcomes lists "name outcome" of the first app in a record.
func outcomes(record state.Record) []string {
	var all []string
	for _, app := range record.Apps[:min(1, len(record.Apps))] {
		for _, c := range app.Changes {
			all = append(all, c.ID.Name+" "+c.Outcome)
		}
	}
	return all
}

// metadata of an object that lies at a path.
func metadataOf(t *testing.T, path string) (labels, annotations map[string]string, managers []string) {
	t.Helper()
	answer, err := server.Get(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var content struct {
		Metadata struct {
			Labels, Annotations map[string]string
			ManagedFields       []struct{ Manager string }
		}
	}
	if err := json.Unmarshal(answer, &content); err != nil {
		t.Fatal(err)
	}
	for _, entry := range content.Metadata.ManagedFields {
		managers = append(managers, entry.Manager)
	}
	return content.Metadata.Labels, content.Metadata.Annotations, managers
}

// bearsMarks says whether an object bears anything of ours.
func bearsMarks(t *testing.T, path string) bool {
	t.Helper()
	labels, annotations, managers := metadataOf(t, path)
	for _, key := range []string{object.LabelLedger, object.LabelApp, object.AnnotationID, object.AnnotationRecovered} {
		if labels[key]+annotations[key] != "" {
			return true
		}
	}
	return slices.ContainsFunc(managers, func(m string) bool { return strings.HasPrefix(m, "tidemark") && m != "tidemark-tests" })
}

func TestDetachLetsAnAppGo(t *testing.T) {
	t.Parallel()
	web, other := newApp(t, "web"), newApp(t, "other")
	web.configMap("one", "1")
	web.configMap("two", "2")
	web.configMap("kept", "3")
	web.files["kept.yaml"] = strings.Replace(web.files["kept.yaml"], "{name: kept,", "{name: kept, annotations: {tidemark.dev/prune: disabled},", 1)
	other.configMap("one", "1")
	w := newWorld(t, web, other)
	witness := w.attend()
	w.sync(0)
	delete(web.files, "kept.yaml")
	w.sync(0)
	if kept, _ := w.inventory("web").Lookup(object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "kept"}); !kept.Kept {
		t.Fatalf("members = %+v, want one that is kept", w.inventory("web"))
	}

	record, err := reconcile.Detach(t.Context(), w.repair(), "web", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{web.app.Namespace + " detached", "kept detached", "one detached", "two detached"}
	if diff := cmp.Diff(want, outcomes(record)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if record.Exit != 0 || record.Verdict != state.Changed || record.Actor != "tester" || record.Trigger != "cli" || record.Seq != 3 ||
		record.Message != "tester detached 4 objects of the app web, which left the ledger: meant" {
		t.Errorf("record = %+v", record)
	}
	for name, value := range map[string]string{"one": "1", "two": "2", "kept": "3"} {
		if got := web.get(t, name); got != value || bearsMarks(t, web.path(name)) {
			t.Errorf("%s = %q, marks %v; want %q without marks", name, got, bearsMarks(t, web.path(name)), value)
		}
	}
	if !bearsMarks(t, other.path("one")) {
		t.Error("the other app's object lost its marks")
	}
	head := w.head()
	if _, there := head.Apps["web"]; there || !head.Idle() || len(head.Apps) != 1 {
		t.Errorf("head = %+v, want the app gone from it and nobody holding it", head)
	}
	if known, err := witness.ReadWitness(t.Context()); err != nil || known.Epoch != head.Epoch || head.Witnessed != head.Epoch {
		t.Errorf("witness = %+v, %v; want it at epoch %d, and the head to know (%d)", known, err, head.Epoch, head.Witnessed)
	}
	w.verified()

	// What is still in the repository is taken for anybody's, and adopted.
	counts(t, w.sync(0), state.Counts{Adopted: 3})
	counts(t, w.sync(0), state.Counts{Unchanged: 3})
	if got := web.get(t, "kept"); got != "3" {
		t.Errorf("kept = %q, want it left alone", got)
	}
}

func TestDetachLetsObjectsGo(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	for _, name := range []string{"one", "two", "three"} {
		web.configMap(name, name)
	}
	w := newWorld(t, web)
	w.sync(0)
	one := object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "one"}
	two := object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "two"}
	record, err := reconcile.Detach(t.Context(), w.repair(), "web", []string{one.String(), two.Mark()})
	if err != nil || cmp.Diff([]string{"one detached", "two detached"}, outcomes(record)) != "" {
		t.Fatalf("got %v, %v; want the two that were named", outcomes(record), err)
	}
	if got := w.inventory("web").Members; len(got) != 2 {
		t.Errorf("members = %+v, want the two others", got)
	}
	if !bearsMarks(t, web.path("three")) {
		t.Error("an object that was not named lost its marks")
	}
	// One left the repository too: it stays. The other one is wanted again.
	delete(web.files, "one.yaml")
	counts(t, w.sync(0), state.Counts{Adopted: 1, Unchanged: 2})
	if got := web.get(t, "one"); got != "one" || bearsMarks(t, web.path("one")) {
		t.Errorf("one = %q, want it left alone and without marks", got)
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 3})
}

// When nothing moved in the repository, what was let go of is looked at all the
// same.
func TestDetachedObjectsAreWantedAgain(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	id := object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "one"}
	if _, err := reconcile.Detach(t.Context(), w.repair(), "web", []string{id.String()}); err != nil {
		t.Fatal(err)
	}
	counts(t, w.sync(0), state.Counts{Adopted: 1, Unchanged: 1})
}

func TestDetachRefuses(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	if _, err := reconcile.Detach(t.Context(), w.repair(), "web", nil); err == nil || !strings.Contains(err.Error(), `no app "web"; it has none`) {
		t.Errorf("an empty ledger: got %v", err)
	}
	w.sync(0)
	before := w.head().Nonce
	for _, test := range []struct {
		name, app string
		objects   []string
		edit      func(*reconcile.Job)
		want      string
		exit      int
	}{
		{"no reason", "web", nil, func(job *reconcile.Job) { job.Reason = " " }, "give a reason", reconcile.ExitConfig},
		{"no such app", "wbe", nil, nil, `the ledger has no app "wbe"; it has: web`, reconcile.ExitConfig},
		{"no such object", "web", []string{"ConfigMap x/y"}, nil, `no object "ConfigMap x/y"; it has: Namespace ` + web.app.Namespace + ", ConfigMap " + web.app.Namespace + "/one", reconcile.ExitConfig},
		{"another cluster", "web", nil, func(job *reconcile.Job) { job.Cluster = elsewhere{job.Cluster.(repairable)} }, "this ledger is of another cluster: it belongs to", reconcile.ExitState},
	} {
		job := w.repair()
		if test.edit != nil {
			test.edit(&job)
		}
		if _, err := reconcile.Detach(t.Context(), job, test.app, test.objects); err == nil || !strings.Contains(err.Error(), test.want) || reconcile.ExitOf(err) != test.exit {
			t.Errorf("%s: got %v (exit %d), want %q (exit %d)", test.name, err, reconcile.ExitOf(err), test.want, test.exit)
		}
	}
	if w.head().Nonce != before {
		t.Error("a refused detach wrote the head")
	}
}

// elsewhere is another cluster.
type elsewhere struct{ repairable }

func (elsewhere) Identity(context.Context) (string, error) { return "another", nil }

// What is not ours is left as it is, and what is gone is forgotten.
func TestDetachTouchesNothingOfOthers(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	for _, name := range []string{"gone", "helm", "bare", "copy", "replaced"} {
		web.configMap(name, name)
	}
	w := newWorld(t, web)
	w.sync(0)
	collection := "/api/v1/namespaces/" + web.app.Namespace + "/configmaps"
	remake := func(name, metadata string) {
		t.Helper()
		if err := server.Delete(t.Context(), web.path(name)); err != nil {
			t.Fatal(err)
		}
		byHand(t, collection, fmt.Sprintf(`{"metadata":{"name":%q%s},"data":{"key":"theirs"}}`, name, metadata))
	}
	if err := server.Delete(t.Context(), web.path("gone")); err != nil {
		t.Fatal(err)
	}
	label := reconcile.LedgerLabel(w.head().Lineage)
	remake("helm", `,"annotations":{"meta.helm.sh/release-name":"x"}`)
	remake("copy", `,"labels":{"tidemark.dev/ledger":"`+label+`"},"annotations":{"tidemark.dev/id":"/ConfigMap/elsewhere/copy"}`)
	remake("replaced", "")
	// Somebody took the labels off; by its UID it is still ours.
	if _, err := server.Patch(t.Context(), web.path("bare"), []byte(`{"metadata":{"labels":null,"annotations":null}}`)); err != nil {
		t.Fatal(err)
	}

	record, err := reconcile.Detach(t.Context(), w.repair(), "web", nil)
	if err != nil || record.Exit != 0 {
		t.Fatalf("got %+v, %v", record, err)
	}
	want := []string{web.app.Namespace + " detached", "bare detached", "copy not-ours", "gone gone", "helm not-ours", "replaced not-ours"}
	if diff := cmp.Diff(want, outcomes(record)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if labels, annotations, _ := metadataOf(t, web.path("copy")); labels["tidemark.dev/ledger"] != label || len(annotations) != 1 {
		t.Errorf("copy: labels %v, annotations %v; want it untouched", labels, annotations)
	}
	if bearsMarks(t, web.path("bare")) {
		t.Error("bare: the note of our fields is still there")
	}
	if len(w.head().Apps) != 0 {
		t.Errorf("apps = %v, want none", w.head().Apps)
	}
}

// flawed is a cluster on which releases go wrong.
type flawed struct {
	reconcile.Releaser
	release func(id object.ID, release func() (plan.Meta, error)) (plan.Meta, error)
}

func (f flawed) Release(ctx context.Context, id object.ID, version string, at apply.Target) (plan.Meta, error) {
	return f.release(id, func() (plan.Meta, error) { return f.Releaser.Release(ctx, id, version, at) })
}

// What is not proven to be without marks stays a member.
func TestDetachForgetsOnlyOnProof(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	for _, name := range []string{"fine", "refused", "lost", "silent", "moved"} {
		web.configMap(name, name)
	}
	w := newWorld(t, web)
	w.sync(0)
	job := w.repair()
	var mu sync.Mutex
	tried := map[string]int{}
	broken := true
	job.Cluster = flawed{job.Cluster.(reconcile.Releaser), func(id object.ID, release func() (plan.Meta, error)) (plan.Meta, error) {
		// By one's own plan, committed before: whoever takes over knows.
		head := w.head()
		if app := head.Apps["web"]; head.Lease.Free || head.Lease.Run != job.Ledger.Run() || app.Plan == nil {
			t.Errorf("release of %s with the head %+v: want the lease held and the plan committed", id, head)
		}
		mu.Lock()
		first := tried[id.Name] == 0
		tried[id.Name]++
		mu.Unlock()
		switch {
		case id.Name == "refused" && broken:
			return plan.Meta{}, fmt.Errorf("%w: no", apply.ErrForbidden)
		case id.Name == "lost" && first: // it was done, and the answer is lost
			_, err := release()
			return plan.Meta{}, errors.Join(apply.ErrUnanswered, err)
		case id.Name == "silent" && broken:
			return plan.Meta{}, apply.ErrUnanswered
		case id.Name == "moved" && first:
			if _, err := server.Patch(t.Context(), web.path("moved"), []byte(`{"metadata":{"labels":{"new":"one"}}}`)); err != nil {
				t.Error(err)
			}
		}
		return release()
	}}
	record, err := reconcile.Detach(t.Context(), job, "web", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{web.app.Namespace + " detached", "fine detached", "lost detached", "moved detached", "refused failed", "silent failed"}
	if diff := cmp.Diff(want, outcomes(record)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if record.Exit != reconcile.ExitPartial || record.Verdict != state.Partial || !strings.Contains(record.Message, "2 could not be") {
		t.Errorf("record = %+v, want it partial", record)
	}
	var left []string
	for _, member := range w.inventory("web").Members {
		left = append(left, member.ID.Name)
	}
	if diff := cmp.Diff([]string{"refused", "silent"}, left); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if head := w.head(); !head.Idle() {
		t.Errorf("head = %+v, want it free", head.Lease)
	}
	// The same call again ends it.
	broken = false
	again := job
	again.Ledger = w.repair().Ledger
	job.Ledger = again.Ledger
	if record, err := reconcile.Detach(t.Context(), again, "web", nil); err != nil || record.Exit != 0 || len(w.head().Apps) != 0 {
		t.Errorf("got %+v, %v and the apps %v; want nothing left", record, err, w.head().Apps)
	}
	w.verified()
}

// A person may stop it; what was not reached stays a member.
func TestDetachInterrupted(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	ctx, cancel := context.WithCancel(t.Context())
	job := w.repair()
	job.Cluster = flawed{job.Cluster.(reconcile.Releaser), func(_ object.ID, release func() (plan.Meta, error)) (plan.Meta, error) {
		cancel()
		return plan.Meta{}, context.Canceled
	}}
	record, err := reconcile.Detach(ctx, job, "web", nil)
	if reconcile.ExitOf(err) != reconcile.ExitInterrupted || record.Verdict != state.Interrupted || record.Exit != reconcile.ExitInterrupted {
		t.Errorf("got %+v, %v; want it interrupted", record, err)
	}
	if head := w.head(); !head.Idle() || len(w.inventory("web").Members) != 2 || head.Audit.Seq != 2 {
		t.Errorf("head = %+v; want it free, with the record and both members", head)
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
}

// A run that is at work is not disturbed; one that died is taken over from.
func TestDetachTakesTheLease(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.ttl = 3 * time.Second
	w.sync(0)
	victim := w.open().Ledger
	if _, err := victim.Claim(t.Context(), w.head(), nil); err != nil {
		t.Fatal(err)
	}
	job := w.repair()
	job.LockTimeout = time.Millisecond
	_, err := reconcile.Detach(t.Context(), job, "web", nil)
	if reconcile.ExitOf(err) != 15 || !strings.Contains(err.Error(), victim.Run()) {
		t.Errorf("while another run works: got %v, want it named", err)
	}
	record, err := reconcile.Detach(t.Context(), w.repair(), "web", nil)
	if err != nil || cmp.Diff([]string{victim.Run()}, record.Interrupted) != "" || len(w.head().Apps) != 0 {
		t.Errorf("after it died: got %+v, %v; want it taken over from", record, err)
	}
}

// What a detach that died did, and did not do, is put right by the next run.
func TestRunTakesOverFromADeadDetach(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	web.configMap("two", "2")
	w := newWorld(t, web)
	w.ttl = 3 * time.Second
	w.sync(0)
	store, dead := w.store, false
	w.store = deaf{Store: store, dead: &dead}
	job := w.repair()
	ctx, die := context.WithCancel(t.Context())
	var once sync.Once
	job.Cluster = flawed{job.Cluster.(reconcile.Releaser), func(_ object.ID, release func() (plan.Meta, error)) (meta plan.Meta, err error) {
		err = errDead
		once.Do(func() {
			meta, err = release()
			dead = true
			die()
		})
		return meta, err
	}}
	if record, err := reconcile.Detach(ctx, job, "web", nil); err == nil || record.Seq != 0 {
		t.Fatalf("the dying command ended with %v and record %d; want an error and no record", err, record.Seq)
	}
	w.store = store
	report := w.sync(0)
	if got := report.Record.Interrupted; len(got) != 1 || got[0] != job.Ledger.Run() {
		t.Errorf("interrupted = %v, want %s", got, job.Ledger.Run())
	}
	for _, name := range []string{"one", "two"} {
		if labels, _, _ := metadataOf(t, web.path(name)); labels[object.LabelApp] != "web" {
			t.Errorf("%s: labels %v; want our marks on it again", name, labels)
		}
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 3})
}

// An object that a dead run may still make is not forgotten because it is not
// there now.
func TestDetachForgetsNoGhost(t *testing.T) {
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
	if err := server.Delete(t.Context(), web.path("one")); err != nil {
		t.Fatal(err)
	}
	record, err := reconcile.Detach(t.Context(), w.repair(), "web", nil)
	if err != nil || record.Exit != reconcile.ExitPartial {
		t.Fatalf("got %+v, %v; want it partial", record, err)
	}
	want := []string{web.app.Namespace + " detached", "one failed", "two detached"}
	if diff := cmp.Diff(want, outcomes(record)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if got := w.inventory("web").Members; len(got) != 1 || got[0].ID.Name != "one" || got[0].Unsettled == nil {
		t.Errorf("members = %+v, want the one in doubt", got)
	}
}
