package reconcile_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// dying is a cluster whose client is cut off after some writes: what happens to
// a run whose machine dies.
type dying struct {
	reconcile.Cluster
	left int
	die  context.CancelFunc
}

var errDead = errors.New("the machine is dead")

func (d *dying) Apply(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.Meta, error) {
	if d.left == 0 {
		d.die()
		return plan.Meta{}, errDead
	}
	d.left--
	return d.Cluster.Apply(ctx, o, at, force)
}

// deaf is a store that a dead run no longer reaches.
type deaf struct {
	state.Store
	dead *bool
}

func (s deaf) Swap(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
	if *s.dead {
		return state.Stamp{}, errDead
	}
	return s.Store.Swap(ctx, name, data, version)
}

func TestRunTakesOverFromADeadOne(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	web.configMap("two", "1")
	w := newWorld(t, web)
	w.sync(0)

	// A run dies in the middle of its writes and leaves lease and plan behind.
	before := maps.Clone(web.files)
	web.configMap("one", "2")
	web.configMap("three", "1")
	dead := false
	store := w.store
	w.store = deaf{Store: store, dead: &dead}
	w.ttl = 3 * time.Second
	job := w.open()
	ctx, die := context.WithCancel(t.Context())
	job.Cluster = &dying{Cluster: job.Cluster, left: 1, die: func() { dead = true; die() }}
	report, err := reconcile.Run(ctx, job)
	if err == nil || report.Recorded {
		t.Fatalf("the dying run ended with %v, recorded %v; want an error and no record", err, report.Recorded)
	}
	victim := job.Ledger.Run()
	w.store = store
	head, err := w.open().Ledger.Load(t.Context())
	if err != nil || head.Idle() {
		t.Fatalf("head = %+v, %v; want the lease still taken", head.Lease, err)
	}

	// The repository goes back to what was applied before: the inputs are the
	// last applied ones, and the cluster is not what they say.
	web.files = before
	report = w.sync(0)
	if got := report.Record.Interrupted; len(got) != 1 || got[0] != victim {
		t.Errorf("interrupted = %v, want %s", got, victim)
	}
	for name, want := range map[string]string{"one": "1", "two": "1", "three": ""} {
		if got := web.get(t, name); got != want {
			t.Errorf("%s = %q, want %q\n%s", name, got, want, show(report))
		}
	}
	again := w.sync(0)
	if got := again.Record.Apps[0].Counts; got.Changed+got.Created+got.Pruned != 0 {
		t.Errorf("the run after the take-over changed something: %s", show(again))
	}
}

func TestRunSkipsWhileAnotherWorks(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.ttl = 3 * time.Second

	entered, leave := make(chan struct{}), make(chan struct{})
	slow := w.open()
	slow.Cluster = &held{Cluster: slow.Cluster, entered: entered, leave: leave}
	done := make(chan reconcile.Report)
	go func() {
		report, _ := reconcile.Run(t.Context(), slow)
		done <- report
	}()
	<-entered
	report := w.sync(0)
	close(leave)
	if report.Record.Verdict != state.Skipped || !strings.Contains(report.Record.Message, slow.Ledger.Run()) || report.Recorded {
		t.Errorf("got %s (recorded %v), want it skipped, the holder named, nothing written", show(report), report.Recorded)
	}
	if first := <-done; first.Record.Exit != 0 || first.Record.Apps[0].Counts.Created != 2 {
		t.Errorf("the holder ended with %s, want it to finish its work", show(first))
	}
}

// held is a cluster that keeps its first write waiting.
type held struct {
	reconcile.Cluster
	entered, leave chan struct{}
}

func (h *held) Apply(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.Meta, error) {
	if o.ID.Kind == "Namespace" {
		close(h.entered)
		<-h.leave
	}
	return h.Cluster.Apply(ctx, o, at, force)
}

func TestRunKeepsWhatVaries(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	id := object.ID{Kind: "Secret", Namespace: web.app.Namespace, Name: "s"}
	secret := func(value string) {
		web.files["secret.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: " + web.app.Namespace + "}\nstringData: {password: " + value + ", fixed: a}\n"
	}
	web.varying = map[object.ID][]string{id: {"/stringData/password"}}
	secret("first")
	w := newWorld(t, web)
	counts(t, w.sync(0), state.Counts{Created: 3})
	secret("second")
	web.configMap("one", "2")
	counts(t, w.sync(0), state.Counts{Changed: 1, Unchanged: 2})
	answer, err := server.Get(t.Context(), "/api/v1/namespaces/"+web.app.Namespace+"/secrets/s")
	if err != nil || !strings.Contains(string(answer), "Zmlyc3Q=") {
		t.Errorf("secret = %s, %v; want the first password kept", answer, err)
	}
	web.nondeterministic = "refuse"
	web.configMap("one", "3")
	w.sync(10)
}

func TestRunTakesFieldsBackOrRefuses(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "wanted")
	w := newWorld(t, web)
	w.sync(0)
	steal := func() {
		t.Helper()
		if _, err := server.Patch(t.Context(), web.path("one"), []byte(`{"data":{"key":"stolen"}}`)); err != nil {
			t.Fatal(err)
		}
	}
	steal()
	web.app.Rules.RefuseConflicts = true
	report := w.sync(11)
	if text := show(report); !strings.Contains(text, "conflict") {
		t.Errorf("got %s, want the conflict", text)
	}
	web.app.Rules.RefuseConflicts = false
	report = w.sync(0)
	if text := show(report); !strings.Contains(text, "taken back from tidemark-tests") {
		t.Errorf("got %s, want who lost the field", text)
	}
	if got := web.get(t, "one"); got != "wanted" {
		t.Errorf("one = %q, want it taken back", got)
	}
}
