package reconcile_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// spoil puts other bytes, or nothing, in the place of an object of the state.
func (w *world) spoil(name string, data []byte) {
	w.t.Helper()
	if err := w.store.(state.Sweeper).Delete(w.t.Context(), name); err != nil {
		w.t.Fatal(err)
	}
	if data == nil {
		return
	}
	if _, err := w.store.Create(w.t.Context(), name, data); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) bytes(name string) []byte {
	w.t.Helper()
	blob, err := w.store.Get(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return blob.Data
}

// rebuilt rebuilds the state and checks what holds after any rebuild.
func (w *world) rebuilt() state.Record {
	w.t.Helper()
	job := w.repair()
	record, err := reconcile.Rebuild(w.t.Context(), job)
	if err != nil {
		w.t.Fatal(err)
	}
	head := w.head()
	if !head.Idle() || head.Audit.Seq != record.Seq || head.Epoch != record.Epoch || record.Exit != 0 || record.Verdict != state.Changed {
		w.t.Errorf("record %+v, head %+v; want the record to be the newest, and the head free", record, head)
	}
	if job.Witness != nil {
		if known, err := job.Witness.ReadWitness(w.t.Context()); err != nil || known.Epoch != head.Epoch || known.Lineage != head.Lineage {
			w.t.Errorf("witness = %+v, %v; want epoch %d of %s", known, err, head.Epoch, head.Lineage)
		}
	}
	for name := range head.Apps {
		for _, member := range w.inventory(name).Members {
			if member.Origin != state.Adopted || member.Unsettled == nil {
				w.t.Errorf("member %+v, want it adopted and in doubt", member)
			}
		}
	}
	w.verified()
	return record
}

// ids lists the names of an app's members.
func (w *world) ids(app string) []string {
	var names []string
	for _, member := range w.inventory(app).Members {
		names = append(names, member.ID.Kind+" "+member.ID.Name)
	}
	slices.Sort(names)
	return names
}

func TestRebuildALostHead(t *testing.T) {
	t.Parallel()
	web, other := newApp(t, "web"), newApp(t, "other")
	for _, name := range []string{"one", "two", "left"} {
		web.configMap(name, "1")
	}
	other.configMap("one", "1")
	w := newWorld(t, web, other)
	w.attend()
	w.sync(0)
	web.configMap("one", "2")
	w.sync(0)
	before := w.head()
	// A copy that somebody made bears our labels, and names another object.
	copied := `{"metadata":{"name":"copy","labels":{"tidemark.dev/ledger":"` + reconcile.LedgerLabel(before.Lineage) + `","tidemark.dev/app":"web"},"annotations":{"tidemark.dev/id":"/ConfigMap/` + web.app.Namespace + `/one"}}}`
	byHand(t, "/api/v1/namespaces/"+web.app.Namespace+"/configmaps", copied)

	w.spoil("head.json", nil)
	if report := w.sync(13); !strings.Contains(report.Record.Message, "there is no head, but the cluster knows this ledger") {
		t.Errorf("a run without a head: %s", show(report))
	}
	record := w.rebuilt()
	if want := "tester rebuilt the state with 6 objects of 2 apps: meant"; record.Message != want {
		t.Errorf("message = %q, want %q", record.Message, want)
	}
	if head := w.head(); head.Lineage != before.Lineage || head.Cluster != before.Cluster || head.Epoch != before.Epoch+1 || head.Audit.Seq != before.Audit.Seq {
		t.Errorf("head = %+v, want the same ledger one epoch later, its last record replaced", head)
	}
	want := []string{"ConfigMap left", "ConfigMap one", "ConfigMap two", "Namespace " + web.app.Namespace}
	if diff := cmp.Diff(want, w.ids("web")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}

	// The next run finds everything as it is wanted.
	report := w.sync(0)
	for _, app := range report.Record.Apps {
		if app.Counts.Pruned+app.Counts.Created+app.Counts.Adopted+app.Counts.Drifted != 0 {
			t.Errorf("the run after the rebuild changed something\n%s", show(report))
		}
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 4})
	// What leaves the repository now is not pruned before somebody says so.
	delete(web.files, "left.yaml")
	report = w.sync(10)
	if got := web.get(t, "left"); got != "1" || report.Record.Apps[0].Refusals[0].Reason != plan.RefusedProtected {
		t.Errorf("left = %q, want it to wait for approval\n%s", got, show(report))
	}
	if _, err := reconcile.Approve(t.Context(), w.open().Ledger, reconcile.Approval{Hash: report.Record.Apps[0].PlanHash, Reason: "meant", Actor: "tester", Now: now}); err != nil {
		t.Fatal(err)
	}
	counts(t, w.sync(0), state.Counts{Pruned: 1, Unchanged: 3})
	if labels, _, _ := metadataOf(t, web.path("copy")); len(labels) != 2 {
		t.Errorf("copy: labels %v, want it untouched", labels)
	}
	w.verified()
}

// What left the repository while there was no state is not pruned either.
func TestRebuildPrunesNothing(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	web.configMap("two", "1")
	w := newWorld(t, web)
	w.attend()
	w.sync(0)
	w.spoil("head.json", []byte(`{"format":1,"line`))
	delete(web.files, "two.yaml")
	w.sync(13)
	w.rebuilt()
	w.sync(10)
	if got := web.get(t, "two"); got != "1" {
		t.Errorf("two = %q, want it to stay", got)
	}
}

// Without a witness the records tell which ledger it was.
func TestRebuildByTheRecords(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	web.configMap("one", "2")
	w.sync(0)
	w.sync(0)
	before := w.head()
	w.spoil("head.json", nil)
	w.sync(13)
	record := w.rebuilt()
	if head := w.head(); head.Lineage != before.Lineage || head.Epoch <= before.Epoch || record.Seq != before.Audit.Seq {
		t.Errorf("head = %+v, want the same ledger at a later epoch than %d", head, before.Epoch)
	}
	report := w.sync(0)
	if got := report.Record.Apps[0].Counts; got.Pruned+got.Created+got.Adopted != 0 {
		t.Errorf("the run after the rebuild changed something\n%s", show(report))
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
}

// A head that is older than the records, or the whole state older than the
// cluster, still knows something.
func TestRebuildAnOldHead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"head", "state"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := newApp(t, "web")
			web.configMap("one", "1")
			web.configMap("kept", "1")
			web.files["kept.yaml"] = strings.Replace(web.files["kept.yaml"], "{name: kept,", "{name: kept, annotations: {tidemark.dev/prune: disabled},", 1)
			w := newWorld(t, web)
			w.attend()
			w.sync(0)
			delete(web.files, "kept.yaml")
			web.configMap("gone", "1")
			w.sync(0)
			old, oldStore := w.bytes("head.json"), w.copyStore()
			web.configMap("two", "2")
			w.sync(0)
			newest := w.head()
			w.sync(0)
			if name == "head" {
				w.spoil("head.json", old)
			} else {
				w.store = oldStore
			}
			if err := server.Delete(t.Context(), web.path("gone")); err != nil {
				t.Fatal(err)
			}
			delete(web.files, "gone.yaml")
			w.sync(13)
			w.rebuilt()
			if head := w.head(); head.Epoch != newest.Epoch+1 {
				t.Errorf("epoch = %d, want %d", head.Epoch, newest.Epoch+1)
			}
			want := []string{"ConfigMap gone", "ConfigMap kept", "ConfigMap one", "ConfigMap two", "Namespace " + web.app.Namespace}
			if diff := cmp.Diff(want, w.ids("web")); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			kept, _ := w.inventory("web").Lookup(object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "kept"})
			if !kept.Kept {
				t.Errorf("kept = %+v, want it kept as before", kept)
			}
			report := w.sync(0)
			if got := report.Record.Apps[0].Counts; got.Pruned+got.Created+got.Adopted != 0 {
				t.Errorf("the run after the rebuild changed something\n%s", show(report))
			}
		})
	}
}

// Commands that do not hear the witness raise the epoch of an old head too, which
// makes it no newer.
func TestRebuildAnOldHeadThatWentOn(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.attend()
	w.sync(0)
	old := w.copyStore()
	web.configMap("two", "2")
	w.sync(0)
	w.store = old
	for range 2 {
		tenure, err := w.open().Ledger.Claim(t.Context(), w.head(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := tenure.Settle(t.Context(), state.Record{Verdict: state.Waiting}, nil); err != nil {
			t.Fatal(err)
		}
	}
	w.sync(13)
	w.rebuilt()
	want := []string{"ConfigMap one", "ConfigMap two", "Namespace " + web.app.Namespace}
	if diff := cmp.Diff(want, w.ids("web")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	w.sync(0)
}

// A head that names what is missing is no use to any run.
func TestRebuildWhatTheHeadNames(t *testing.T) {
	t.Parallel()
	web, other := newApp(t, "web"), newApp(t, "other")
	web.configMap("one", "1")
	other.configMap("one", "1")
	w := newWorld(t, web, other)
	w.attend()
	w.sync(0)
	w.spoil(w.head().Apps["web"].Inventory.Path, nil)
	w.sync(0) // nothing moved, so that nothing is asked of it
	web.files["README.md"] = "another commit"
	w.sync(13)
	record := w.rebuilt()
	if !strings.Contains(strings.Join(record.Warnings, "\n"), "inventory of app web") {
		t.Errorf("warnings = %q, want what was damaged", record.Warnings)
	}
	for _, app := range []*repo{web, other} {
		want := []string{"ConfigMap one", "Namespace " + app.app.Namespace}
		if diff := cmp.Diff(want, w.ids(app.app.Name)); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	}
	w.sync(0)
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
}

func TestRebuildWaitsForTheHolder(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.ttl = 3 * time.Second
	w.sync(0)
	inventory := w.head().Apps["web"].Inventory.Path
	holder := w.open().Ledger
	tenure, err := holder.Claim(t.Context(), w.head(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.spoil(inventory, nil)
	err = tenure.While(t.Context(), func(ctx context.Context) error {
		_, err := reconcile.Rebuild(ctx, w.repair())
		return err
	})
	if held, is := errors.AsType[*state.HeldError](err); !is || held.Head.Lease.Run != holder.Run() {
		t.Errorf("while a run is alive: got %v", err)
	}
	if record := w.rebuilt(); !slices.Equal(record.Interrupted, []string{holder.Run()}) {
		t.Errorf("interrupted = %v, want %s", record.Interrupted, holder.Run())
	}
}

func TestRebuildRefuses(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.attend()
	w.sync(0)
	first := w.bytes("head.json")
	w.sync(0)
	w.sync(0)
	whole := w.bytes("head.json")
	stranger := newWorld(t, newApp(t, "stranger"))
	stranger.sync(0)
	for _, test := range []struct {
		name string
		head []byte
		edit func(*reconcile.Job)
		want string
		exit int
	}{
		{"no reason", nil, func(job *reconcile.Job) { job.Reason = "" }, "give a reason", reconcile.ExitConfig},
		{"nothing wrong", whole, nil, "there is nothing to do: the head is whole", reconcile.ExitRefused},
		{"a newer Tidemark", []byte(`{"format":99}`), nil, "written by a newer Tidemark", reconcile.ExitState},
		{"another ledger's head", stranger.bytes("head.json"), nil, "the cluster knows this ledger as", reconcile.ExitState},
		{"another ledger's head, without the witness", stranger.bytes("head.json"), func(job *reconcile.Job) { job.Witness = nil }, "they are another ledger's", reconcile.ExitState},
		{"another cluster", first, func(job *reconcile.Job) { job.Cluster = elsewhere{job.Cluster.(repairable)} }, "this ledger is of another cluster: it belongs to", reconcile.ExitState},
		{"a cluster that cannot be searched", nil, func(job *reconcile.Job) {
			job.Cluster = unsearchable{job.Cluster.(repairable)}
		}, "search the cluster: discovery of the API group fails", reconcile.ExitUnreachable},
		{"a witness that does not answer", nil, func(job *reconcile.Job) { job.Witness = silent{} }, "read the witness: no answer", reconcile.ExitUnreachable},
	} {
		w.spoil("head.json", test.head)
		before := w.objects()
		job := w.repair()
		if test.edit != nil {
			test.edit(&job)
		}
		if _, err := reconcile.Rebuild(t.Context(), job); err == nil || !strings.Contains(err.Error(), test.want) || reconcile.ExitOf(err) != test.exit {
			t.Errorf("%s: got %v (exit %d), want %q (exit %d)", test.name, err, reconcile.ExitOf(err), test.want, test.exit)
		}
		if diff := cmp.Diff(before, w.objects()); diff != "" {
			t.Errorf("%s: the state changed (-before +after):\n%s", test.name, diff)
		}
	}
}

// objects gives everything that the state holds.
func (w *world) objects() map[string]string {
	w.t.Helper()
	entries, err := w.store.(state.Sweeper).List(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		all[entry.Name] = string(w.bytes(entry.Name))
	}
	return all
}

// repairable is all that the commands need of a cluster.
type repairable interface {
	reconcile.Releaser
	Scan(ctx context.Context, label, value string) (map[object.ID]plan.Meta, error)
}

// unsearchable is a cluster of which a part does not answer.
type unsearchable struct{ repairable }

func (unsearchable) Scan(context.Context, string, string) (map[object.ID]plan.Meta, error) {
	return nil, apply.ErrUndiscovered
}

// busy is a cluster that asks twice to come back, and once lost a kind meanwhile.
type busy struct {
	repairable
	asked *int
}

func (b busy) Scan(ctx context.Context, label, value string) (map[object.ID]plan.Meta, error) {
	*b.asked++
	switch *b.asked {
	case 1:
		return nil, &apply.BusyError{Err: errors.New("storage is (re)initializing")}
	case 2:
		return nil, apply.ErrNoKind
	}
	return b.repairable.Scan(ctx, label, value)
}

func TestRebuildComesBackToABusyCluster(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.attend()
	w.sync(0)
	w.spoil("head.json", nil)
	job, asked := w.repair(), 0
	job.Cluster = busy{job.Cluster.(repairable), &asked}
	if record, err := reconcile.Rebuild(t.Context(), job); err != nil || asked < 3 || len(w.inventory("web").Members) != 2 {
		t.Errorf("got %+v, %v after %d searches; want both objects", record, err, asked)
	}
}

// silent is a witness that does not answer.
type silent struct{ reconcile.Witness }

func (silent) ReadWitness(context.Context) (apply.Witness, error) {
	return apply.Witness{}, apply.ErrUnanswered
}

// When nothing tells which ledger it was, the marks in the cluster are named, by
// which a new ledger may take the objects over.
func TestRebuildWithoutALineage(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	label := reconcile.LedgerLabel(w.head().Lineage)
	for _, name := range slices.Sorted(maps.Keys(w.objects())) {
		w.spoil(name, nil)
	}
	_, err := reconcile.Rebuild(t.Context(), w.repair())
	if !errors.Is(err, reconcile.ErrNoLineage) || reconcile.ExitOf(err) != reconcile.ExitState || !strings.Contains(err.Error(), label+" (2 objects of web)") {
		t.Errorf("got %v, want %v, and the marks %s named", err, reconcile.ErrNoLineage, label)
	}
	// A new ledger does as it was told.
	w.sync(10)
	web.app.Rules.Adopt = []string{"tidemark:" + label}
	counts(t, w.sync(0), state.Counts{Adopted: 2})
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
}
