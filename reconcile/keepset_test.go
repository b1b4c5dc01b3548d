package reconcile_test

import (
	"fmt"
	"testing"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// storedSet reads the set that the head names for the app.
func (w *world) storedSet(app string) (state.StoredSet, *state.Ref) {
	w.t.Helper()
	ledger := w.open().Ledger
	head, err := ledger.Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	ref := head.Apps[app].Set
	if ref == nil {
		return state.StoredSet{}, nil
	}
	data, err := ledger.Read(w.t.Context(), *ref)
	if err != nil {
		w.t.Fatal(err)
	}
	set, err := state.DecodeSet(data)
	if err != nil {
		w.t.Fatal(err)
	}
	return set, ref
}

// The set that was carried out is kept, with the file of each object, without
// our marks and without the values of Secrets; once, as long as it stays the same.
func TestKeepSet(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	app.files["secret.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: pass, namespace: " + app.app.Namespace + "}\nstringData: {password: correct-horse}\n"
	w := newWorld(t, app)
	first := w.sync(0)
	set, ref := w.storedSet("app")
	if ref == nil || len(set.Objects) != 3 || set.Digest == "" {
		t.Fatalf("the stored set is %+v at %v, want 3 objects and a digest", set, ref)
	}
	if got := first.Record.Apps[0]; got.Set == nil || *got.Set != *ref || got.Plan == nil {
		t.Errorf("the record names the set %v and the plan %v, want %v and one", got.Set, got.Plan, ref)
	}
	one, found := set.Lookup(object.ID{Kind: "ConfigMap", Namespace: app.app.Namespace, Name: "one"})
	if want := `{"apiVersion":"v1","data":{"key":"x"},"kind":"ConfigMap","metadata":{"name":"one","namespace":"` + app.app.Namespace + `"}}`; !found || string(one.Content) != want || one.File != "one.yaml" {
		t.Errorf("stored: %v %s %s, want %s of one.yaml", found, one.File, one.Content, want)
	}
	secret, found := set.Lookup(object.ID{Kind: "Secret", Namespace: app.app.Namespace, Name: "pass"})
	if o, err := secret.Object(); !found || err != nil || fmt.Sprint(o.Content()["data"]) != "map[password:]" {
		t.Errorf("the Secret is stored as %s (%v), want its key without a value", secret.Content, err)
	}
	w.mustNotHold("correct-horse", "Y29ycmVjdC1ob3JzZQ") // it is packed; the words would stand elsewhere

	// Another file that gives the same objects changes nothing that is kept.
	app.files["README.md"] = "read me"
	again := w.sync(0)
	if _, now := w.storedSet("app"); *now != *ref || again.Record.Apps[0].Set != nil {
		t.Errorf("the same set is kept again: %v, before %v", now, ref)
	}
	app.configMap("one", "y")
	changed := w.sync(0)
	if _, now := w.storedSet("app"); *now == *ref || *changed.Record.Apps[0].Set != *now {
		t.Errorf("another set is kept as %v, want another than %v", now, ref)
	}

	// What is refused was not carried out.
	_, before := w.storedSet("app")
	delete(app.files, "namespace.yaml")
	refused := w.sync(10)
	if _, now := w.storedSet("app"); *now != *before || refused.Record.Apps[0].Set != nil || refused.Record.Apps[0].Plan != nil {
		t.Errorf("a refused set is kept: %v", now)
	}
}
