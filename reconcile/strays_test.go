package reconcile_test

import (
	"regexp"
	"strings"
	"testing"
)

// version is what a restore leaves out of an object.
var version = regexp.MustCompile(`"(resourceVersion|uid)":"[^"]*",`)

// A cluster that is restored from a backup holds again what was pruned since.
// It bears our marks, and belongs into an inventory; it is not pruned unasked.
func TestRunFindsWhatARestoreBroughtBack(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	web.configMap("two", "1")
	web.files["token.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: " + web.app.Namespace + "}\n"
	w := newWorld(t, web)
	witness := w.attend()
	w.sync(0)
	known, err := witness.ReadWitness(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	backup := map[string][]byte{}
	secrets := "/api/v1/namespaces/" + web.app.Namespace + "/secrets/"
	for _, path := range []string{web.path("two"), secrets + "token"} {
		if backup[path], err = server.Get(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	delete(web.files, "two.yaml")
	delete(web.files, "token.yaml")
	w.sync(0)

	for path, object := range backup {
		byHand(t, path[:strings.LastIndex(path, "/")], version.ReplaceAllString(string(object), ""))
	}
	later, err := witness.ReadWitness(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	later.Epoch = known.Epoch
	if err := witness.WriteWitness(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	report := w.sync(10)
	inventory := w.inventory("web")
	if n := len(inventory.Members); n != 3 {
		t.Errorf("the inventory has %d members, want what came back in it, also of a kind that nothing else is of\n%s", n, show(report))
	}
	if web.get(t, "two") != "1" {
		t.Errorf("two was pruned, want an approval asked for\n%s", show(report))
	}
	job := w.open()
	job.Approve, job.Reason = []string{report.Plans[0].Hash}, "restored by accident"
	w.run(job, 0)
	if web.get(t, "two") != "" || len(w.inventory("web").Members) != 1 {
		t.Errorf("two = %q, inventory %+v; want both gone", web.get(t, "two"), w.inventory("web").Members)
	}
}
