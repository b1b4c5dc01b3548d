package reconcile_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// A run that ends between plan and apply has changed nothing: the next one must
// carry the change out, and not take what was only planned for applied.
func TestRunAppliesWhatAnInterruptedRunPlanned(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "old")
	w := newWorld(t, web)
	w.sync(0)

	web.configMap("one", "new")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	job := w.open()
	job.Progress = func(e reconcile.Event) {
		if e.Stage == "claim" {
			stop()
		}
	}
	report, err := reconcile.Run(ctx, job)
	if report.Record.Exit != 16 || err == nil {
		t.Fatalf("exit = %d, %v; want 16 and why\n%s", report.Record.Exit, err, show(report))
	}
	if got := web.get(t, "one"); got != "old" {
		t.Fatalf("one = %q, want it as it was", got)
	}
	counts(t, w.sync(0), state.Counts{Changed: 1, Unchanged: 1})
	if got := web.get(t, "one"); got != "new" {
		t.Errorf("one = %q, want new", got)
	}
}

// What a dead run sent may still be on its way. The run that takes over closes
// its plan, and must leave the doubt in the inventory even when it can do nothing
// for the app itself.
func TestRunKeepsTheDoubtOfADeadRun(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)

	one := object.ID{Kind: "ConfigMap", Namespace: web.app.Namespace, Name: "one"}
	w.die("web", one)
	web.fails = errors.New("no such branch")
	report := w.sync(12)
	if len(report.Record.Interrupted) != 1 {
		t.Fatalf("interrupted = %v, want the dead run", report.Record.Interrupted)
	}
	for _, member := range w.inventory("web").Members {
		if got, want := member.Unsettled != nil, member.ID == one; got != want {
			t.Errorf("%s: in doubt %v, want %v: the dead run had a plan for %s", member.ID, got, want, one)
		}
	}
	web.fails = nil
	w.sync(0)
	for _, member := range w.inventory("web").Members {
		if member.Unsettled != nil {
			t.Errorf("%s is in doubt since %s, want it settled: it was seen as wanted", member.ID, member.Unsettled)
		}
	}
}

// die leaves a ledger as a run does that died while it carried out a plan for
// the app.
func (w *world) die(app string, id object.ID) {
	w.t.Helper()
	run, err := state.NewRunID(time.Now(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	ledger, err := state.Open(w.store, state.Options{Run: run, Holder: "dead", TTL: 3 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	head, err := ledger.Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := json.Marshal(plan.Plan{App: app, Changes: []plan.Change{{ID: id, Action: plan.Update}}})
	if err != nil {
		w.t.Fatal(err)
	}
	open, err := ledger.Put(w.t.Context(), "plan-"+app, data)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = ledger.Claim(w.t.Context(), head, func(head *state.Head) {
		entry := head.Apps[app]
		entry.Plan = &open
		head.Apps[app] = entry
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// inventory gives what the ledger's head says that an app owns.
func (w *world) inventory(app string) state.Inventory {
	w.t.Helper()
	ledger := w.open().Ledger
	head, err := ledger.Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := ledger.Read(w.t.Context(), *head.Apps[app].Inventory)
	if err != nil {
		w.t.Fatal(err)
	}
	inventory, err := state.DecodeInventory(data)
	if err != nil {
		w.t.Fatal(err)
	}
	return inventory
}

// What one app adopted stays protected when another one takes it over.
func TestRunHandsProtectionOver(t *testing.T) {
	t.Parallel()
	old, young := newApp(t, "old"), newApp(t, "young")
	old.makeNamespace(t)
	old.makeConfigMap(t, "found", "")
	delete(old.files, "namespace.yaml")
	old.configMap("found", "1")
	old.configMap("own", "1")
	young.configMap("own", "1")
	w := newWorld(t, old, young)
	w.sync(0)

	young.files["found.yaml"] = old.files["found.yaml"]
	delete(old.files, "found.yaml")
	w.sync(0)
	delete(young.files, "found.yaml")
	report := w.sync(10)
	if text := show(report); !strings.Contains(text, "existed before") {
		t.Errorf("got %s, want the adopted object protected in its new app too", text)
	}
	if got := old.get(t, "found"); got != "1" {
		t.Error("the adopted object was pruned without approval")
	}
}

// Two apps that live in one namespace, and both ask for it.
func TestRunSharesANamespaceThatIsOnlyCreated(t *testing.T) {
	t.Parallel()
	one, two := newApp(t, "one"), newApp(t, "two")
	two.app.Namespace = one.app.Namespace
	for _, a := range []*repo{one, two} {
		a.app.CreateNamespace = true
		delete(a.files, "namespace.yaml")
		a.configMap(a.app.Name, "1")
	}
	w := newWorld(t, one, two)
	report := w.sync(0)
	if got := report.Record.Apps; got[0].Counts.Created != 2 || got[1].Counts.Created != 1 {
		t.Errorf("got %s, want the namespace made by the first app", show(report))
	}
	two.configMap("more", "1")
	w.sync(0)
	again := w.sync(0)
	if again.Record.Verdict != state.Unchanged {
		t.Errorf("got %s, want nothing to do", show(again))
	}
	// One of them alone.
	two.configMap("more", "2")
	job := w.open()
	job.Only = []string{"two"}
	w.run(job, 0)
}

// A kind whose scope is learned only while the run is under way.
func TestRunMarksADeferredObjectByItsRealName(t *testing.T) {
	t.Parallel()
	user, operator := newApp(t, "user"), newApp(t, "operator")
	operator.files["crd.yaml"] = strings.Replace(definition("scope.example.com"), "scope: Namespaced", "scope: Cluster", 1)
	user.files["tide.yaml"] = tide("scope.example.com", user.app.Namespace)
	w := newWorld(t, user, operator)
	w.sync(0)
	answer, err := server.Get(t.Context(), "/apis/scope.example.com/v1/tides/high")
	if want := `"tidemark.dev/id":"scope.example.com/Tide//high"`; err != nil || !strings.Contains(string(answer), want) {
		t.Errorf("object = %s, %v; want %s in it", answer, err, want)
	}
}
