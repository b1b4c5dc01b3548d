package simulation

import (
	"context"
	"fmt"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
)

// scenario is a story that is told once for every effect and every fault.
type scenario struct {
	name string
	repo repository
	apps []string // web alone when nil
	// before are the revisions that were applied before, and prepare is what else
	// happened then.
	before  []string
	prepare func(*world)
	// ref is the revision of the run that something goes wrong with, then that of
	// the ones that come after, and ends the one that the cluster ends at: then,
	// when it is empty.
	ref, then, ends string
	// strict: from prepare on, every plan wants an approval. agrees: in the end a
	// person approves whatever waits.
	strict, agrees bool
	// exit is the exit code of the clean runs in the end.
	exit int
	// unwitnessed: the cluster keeps no witness of the ledger.
	unwitnessed  bool
	deferTimeout time.Duration
	// wait is what the apps wait for; back: when they wait in vain, they go back.
	wait reconcile.Wait
	back bool
	// asks is what a person asks of the run that something goes wrong with.
	asks func(*reconcile.Job)
	// refuses is a webhook, reacts a controller: it is told of every object that
	// was written.
	refuses func(object.Object) string
	reacts  func(*world, object.ID)
}

// web gives a revision of one app.
func web(objects ...object.Object) revision { return revision{"web": objects} }

// many gives ConfigMaps in a row.
func many(from, to int) []object.Object {
	var objects []object.Object
	for i := from; i <= to; i++ {
		objects = append(objects, configMap(fmt.Sprintf("n%d", i), "1"))
	}
	return objects
}

var scenarios = []scenario{
	{
		name: "first-install", ref: "r1", then: "r1",
		repo: repository{"r1": web(namespace("shop"), configMap("one", "1"), configMap("two", "1"), secret("key", secretValue))},
	},
	{
		name: "unchanged", before: []string{"r1"}, ref: "r1", then: "r1",
		repo: repository{"r1": web(configMap("one", "1"), configMap("two", "1"))},
	},
	{
		name: "change", before: []string{"r1"}, ref: "r2", then: "r1",
		repo: repository{
			"r1": web(configMap("one", "1"), secret("key", "1"), configMap("same", "1")),
			"r2": web(configMap("one", "2"), secret("key", secretValue), configMap("same", "1")),
		},
	},
	{
		name: "add-and-remove", before: []string{"r1"}, ref: "r2", then: "r1",
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("two", "1"), configMap("same", "1")),
			"r2": web(configMap("two", "2"), configMap("three", "2"), configMap("same", "1")),
			"r3": web(configMap("one", "1"), configMap("two", "3"), configMap("same", "1")),
		},
	},
	{
		name: "rename", before: []string{"r1"}, ref: "r2", then: "r2",
		repo: repository{
			"r1": web(configMap("old", "1"), configMap("same", "1")),
			"r2": web(configMap("new", "1"), configMap("same", "1")),
		},
	},
	{
		name: "move-namespace", before: []string{"r1"}, ref: "r2", then: "r2",
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("same", "1")),
			"r2": web(namespace("mall"), configMapIn("mall", "one", "1"), configMap("same", "1")),
		},
	},
	{
		name: "definitions", before: []string{"r1"}, ref: "r2", then: "r2", deferTimeout: 30 * time.Second,
		repo: repository{
			"r1": web(configMap("one", "1")),
			"r2": web(configMap("one", "1"), definition("Widget", "widgets"), custom("Widget", "w", "1"), configMap("operator", "1"), custom("Gadget", "g", "1")),
		},
		reacts: func(w *world, id object.ID) {
			if gadgets := definition("Gadget", "gadgets"); id.Name == "operator" && w.server.objects[gadgets.ID] == nil {
				w.soon(5*time.Second, "installs the Gadgets", id, func() {
					_, _ = w.server.apply(gadgets, apply.Target{}, "operator", true)
				})
			}
		},
	},
	{
		name: "no-discovery", before: []string{"r1"}, ref: "r2", then: "r2", ends: "live",
		repo: repository{
			"r1":   web(configMap("one", "1"), definition("Widget", "widgets"), custom("Widget", "w", "1"), custom("Widget", "gone", "1")),
			"r2":   web(configMap("one", "2"), definition("Widget", "widgets"), custom("Widget", "w", "1")),
			"live": web(configMap("one", "2"), definition("Widget", "widgets"), custom("Widget", "w", "1"), custom("Widget", "gone", "1")),
		},
		exit:    11,
		prepare: func(w *world) { w.server.failing = map[string]string{"example.com": "503"} },
	},
	{
		name: "finalizer", before: []string{"r1"}, ref: "r2", then: "r1",
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("two", "1")),
			"r2": web(configMap("one", "1")),
		},
		prepare: func(w *world) { w.server.finalize(configMap("two", "").ID, "example.com/hold") },
		reacts: func(w *world, id object.ID) {
			if o := w.server.objects[id]; o != nil && o.terminating {
				w.soon(20*time.Second, "lets go", id, func() { w.server.finalize(id) })
			}
		},
	},
	{
		name: "waiting", before: []string{"r1"}, ref: "r2", then: "r2", wait: waits(), reacts: readies,
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("two", "1"), configMap("old", "1")),
			"r2": web(configMap("one", "2"), configMap("two", "1")),
		},
	},
	{
		name: "waiting-and-fix", before: []string{"r1"}, ref: "r2", then: "r3", wait: waits(),
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("old", "1")),
			"r2": web(configMap("one", "2"), configMap("two", "1")),
			"r3": web(configMap("one", "3"), configMap("two", "1")),
		},
		reacts: func(w *world, id object.ID) {
			if o := w.server.objects[id]; o != nil && o.leaves["data.key"] != "2" { // which never gets healthy
				readies(w, id)
			}
		},
	},
	{
		name: "rollback-by-itself", before: []string{"r1"}, ref: "r2", then: "r2", wait: waitsBriefly(), back: true, reacts: readiesGood,
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("two", "1"), configMap("old", "1")),
			"r2": web(configMap("one", "bad"), configMap("two", "2"), configMap("new", "2")),
		},
	},
	{
		name: "rollback-and-fix", before: []string{"r1"}, ref: "r2", then: "r3", wait: waitsBriefly(), back: true, reacts: readiesGood,
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("two", "1"), configMap("old", "1")),
			"r2": web(configMap("one", "bad"), configMap("two", "2"), configMap("new", "2")),
			"r3": web(configMap("one", "3"), configMap("two", "3"), configMap("new", "2")),
		},
	},
	{
		name: "rollback-by-hand", before: []string{"r1", "r2"}, ref: "r2", then: "r2", asks: takesBack,
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("two", "1"), configMap("old", "1")),
			"r2": web(configMap("one", "2"), configMap("two", "2"), configMap("new", "2")),
		},
	},
	{
		// The one before is at work for a while, so that runs end between it and the sync, and while it runs.
		name: "hooks", before: []string{"r1"}, ref: "r2", then: "r2", wait: waits(), reacts: readies,
		repo: repository{
			"r1": web(hook("one", "1", "PreSync", ""), configMap("two", "1"), configMap("old", "1")),
			"r2": web(hook("one", "2", "PreSync", ""), configMap("two", "2"), configMap("new", "1"), hook("after", "2", "PostSync", "HookSucceeded")),
		},
	},
	{
		name: "approval-waits", before: []string{"r1"}, ref: "r2", then: "r2", ends: "r1", strict: true, prepare: propose("r2"),
		repo: approvable,
	},
	{
		name: "approved", before: []string{"r1"}, ref: "r2", then: "r2", strict: true, agrees: true, prepare: proposeAndApprove("r2"),
		repo: approvable,
	},
	{
		name: "hand-over", before: []string{"r1"}, ref: "r2", then: "r2", apps: []string{"a", "b"},
		repo: repository{
			"r1": {"a": {configMap("one", "1"), configMap("x", "1")}, "b": {configMap("two", "1")}},
			"r2": {"a": {configMap("one", "1")}, "b": {configMap("two", "1"), configMap("x", "2")}},
		},
	},
	{
		name: "rename-app", before: []string{"r1"}, ref: "r2", then: "r2", apps: []string{"old", "young"},
		repo: repository{
			"r1": {"old": {configMap("one", "1"), configMap("two", "1")}},
			"r2": {"young": {configMap("one", "1"), configMap("two", "2"), configMap("three", "1")}},
		},
	},
	{
		name: "rename-app-back", before: []string{"r1"}, ref: "r2", then: "r1", apps: []string{"old", "young"},
		repo: repository{
			"r1": {"old": {configMap("one", "1"), configMap("two", "1")}},
			"r2": {"young": {configMap("one", "1"), configMap("two", "2")}},
		},
	},
	{
		name: "webhook", before: []string{"r1"}, ref: "r2", then: "r2", ends: "live", exit: 11, refuses: refuseBad,
		repo: repository{
			"r1":   web(configMap("one", "1"), configMap("two", "1"), configMap("gone", "1")),
			"r2":   web(configMap("one", "2"), configMap("two", "bad"), configMap("three", "2")),
			"live": web(configMap("one", "2"), configMap("two", "1"), configMap("three", "2"), configMap("gone", "1")),
		},
	},
	{
		name: "partial-and-fix", before: []string{"r1"}, ref: "r2", then: "r3", refuses: refuseBad,
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("gone", "1")),
			"r2": web(configMap("one", "2"), configMap("three", "2"), configMap("four", "bad")),
			"r3": web(configMap("one", "2"), configMap("three", "3")),
		},
	},
	{
		name: "history-rewritten", before: []string{"r1", "r2"}, ref: "r1", then: "r1",
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("two", "1")),
			"r2": web(configMap("one", "2"), configMap("three", "2")),
		},
	},
	{
		name: "two-apps", before: []string{"r1"}, ref: "r2", then: "r2", apps: []string{"a", "b"},
		repo: repository{
			"r1": {"a": {configMap("one", "1")}, "b": {configMap("two", "1"), configMap("three", "1")}},
			"r2": {"a": {configMap("one", "2")}, "b": {configMap("two", "2"), configMap("four", "1")}},
		},
	},
	{
		name: "take-over", before: []string{"r1"}, ref: "r3", then: "r3",
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("two", "1"), configMap("three", "1")),
			"r2": web(configMap("one", "2"), configMap("three", "1"), configMap("four", "2")),
			"r3": web(configMap("one", "3"), configMap("two", "1"), configMap("five", "3")),
		},
		prepare: func(w *world) {
			w.choose = &single{what: killAfter, of: "dead", name: "apply ConfigMap shop/four"}
			w.alone("dead", "r2", time.Minute)
		},
	},
	{
		name: "lost-head", before: []string{"r1"}, ref: "r1", then: "r2", ends: "r1", exit: 13,
		repo: repository{
			"r1": web(configMap("one", "1"), configMap("two", "1")),
			"r2": web(configMap("one", "2"), configMap("three", "1")),
		},
		prepare: func(w *world) {
			w.alone("again", "r1", time.Minute)
			w.damaged = true
			if err := w.store.Delete(context.Background(), headName); err != nil {
				w.t.Fatal(err)
			}
		},
	},
	{
		name: "budget", before: []string{"r1"}, ref: "r2", then: "r2", ends: "r1", exit: 10,
		repo: repository{"r1": web(many(1, 9)...), "r2": web(many(1, 2)...)},
	},
	{
		name: "adoption", ref: "r1", then: "r1",
		repo: repository{"r1": web(configMap("one", "1"), configMap("theirs", "1"))},
		prepare: func(w *world) {
			_, _ = w.server.apply(configMap("theirs", "0"), apply.Target{}, "somebody", true)
		},
	},
	{
		name: "replace", before: []string{"r1"}, ref: "r2", then: "r2",
		repo: repository{
			"r1": web(configMap("one", "1"), fixed("two", "1"), configMap("gone", "1")),
			"r2": web(configMap("one", "2"), fixed("two", "2")),
		},
	},
	{
		name: "replace-and-back", before: []string{"r1"}, ref: "r2", then: "r1",
		repo: repository{"r1": web(fixed("two", "1")), "r2": web(fixed("two", "2"))},
	},
	{
		name: "drift", before: []string{"r1"}, ref: "r1", then: "r1",
		repo: repository{"r1": web(configMap("one", "1"), configMap("two", "1"), configMap("same", "1"))},
		prepare: func(w *world) {
			w.server.edit(configMap("one", "").ID, "somebody", map[string]string{"data.key": "0"})
			w.server.remove(configMap("two", "").ID)
		},
	},
}

// approvable is a repository whose changes, all of them, want an approval.
var approvable = repository{
	"r1": web(configMap("one", "1"), configMap("old", "1"), configMap("same", "1")),
	"r2": web(configMap("one", "2"), configMap("new", "1"), secret("key", secretValue), configMap("same", "1")),
	"r3": web(configMap("one", "3"), configMap("old", "1"), configMap("same", "1")),
}

// refuseBad is a webhook that does not like one value.
func refuseBad(o object.Object) string {
	if data, _ := o.Content()["data"].(fields); data["key"] == "bad" {
		return "the value is bad"
	}
	return ""
}
