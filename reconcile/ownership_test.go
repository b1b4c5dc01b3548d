package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/tidemark/state"
)

// byHand creates an object as kubectl create would.
func byHand(t *testing.T, path, manifest string) {
	t.Helper()
	if _, err := server.Create(t.Context(), path, []byte(manifest)); err != nil {
		t.Fatal(err)
	}
}

func (a *repo) makeNamespace(t *testing.T) {
	t.Helper()
	byHand(t, "/api/v1/namespaces", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+a.app.Namespace+`"}}`)
}

func (a *repo) makeConfigMap(t *testing.T, name, metadata string) {
	t.Helper()
	byHand(t, "/api/v1/namespaces/"+a.app.Namespace+"/configmaps",
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"`+name+`"`+metadata+`},"data":{"key":"theirs"}}`)
}

func TestRunAdoptsWhatBearsNoMarks(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	web.makeConfigMap(t, "one", "")
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	web.configMap("two", "2")
	w := newWorld(t, web)
	counts(t, w.sync(0), state.Counts{Adopted: 1, Created: 1})
	if got := web.get(t, "one"); got != "1" {
		t.Errorf("one = %q, want what the repository says", got)
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 2})

	// What existed before is not pruned without a word.
	delete(web.files, "one.yaml")
	report := w.sync(10)
	if text := show(report); !strings.Contains(text, "protected") || !strings.Contains(text, "existed before") {
		t.Errorf("got %s, want the adopted object protected", text)
	}
}

func TestRunRefusesOthersObjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ tool, metadata string }{
		{"helm", `,"annotations":{"meta.helm.sh/release-name":"web"}`},
		{"argocd", `,"annotations":{"argocd.argoproj.io/tracking-id":"web:/ConfigMap:x/one"}`},
		{"flux", `,"labels":{"kustomize.toolkit.fluxcd.io/name":"web"}`},
		{"tidemark:0123", `,"labels":{"tidemark.dev/ledger":"0123"},"annotations":{"tidemark.dev/id":"/ConfigMap/NAMESPACE/one"}`},
		{"controller", `,"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"0001","controller":true}]`},
	} {
		t.Run(strings.NewReplacer(":", "-").Replace(c.tool), func(t *testing.T) {
			t.Parallel()
			web := newApp(t, "web")
			web.makeNamespace(t)
			web.makeConfigMap(t, "one", strings.ReplaceAll(c.metadata, "NAMESPACE", web.app.Namespace))
			delete(web.files, "namespace.yaml")
			web.configMap("one", "1")
			web.configMap("two", "2")
			w := newWorld(t, web)
			report := w.sync(10)
			if text := show(report); !strings.Contains(text, "refused foreign") {
				t.Errorf("got %s, want the refusal foreign", text)
			}
			if one, two := web.get(t, "one"), web.get(t, "two"); one != "theirs" || two != "" {
				t.Errorf("one = %q, two = %q; want nothing written", one, two)
			}
			if c.tool == "controller" {
				return // nobody may take that over
			}
			web.app.Rules.Adopt = []string{c.tool}
			counts(t, w.sync(0), state.Counts{Adopted: 1, Created: 1})
			counts(t, w.sync(0), state.Counts{Unchanged: 2})
		})
	}
}

// An object that a controller took over is told of in every run, not only in the
// one that sees it first.
func TestRunTellsOfAControllerEachTime(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	if _, err := server.Patch(t.Context(), web.path("one"), []byte(`{"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"0001","controller":true}]}}`)); err != nil {
		t.Fatal(err)
	}
	first := show(w.sync(10))
	if second := show(w.sync(10)); first != second || !strings.Contains(first, "ReplicaSet rs") {
		t.Errorf("got %s, then %s; want the controller told of twice", first, second)
	}
}

func TestRunKeepsWhatOptedOutOfPruning(t *testing.T) {
	t.Parallel()
	for i, annotation := range []string{
		"tidemark.dev/prune: disabled",
		"kustomize.toolkit.fluxcd.io/prune: disabled",
		"argocd.argoproj.io/sync-options: Validate=false,Prune=false",
		"helm.sh/resource-policy: keep",
		"client.lifecycle.config.k8s.io/deletion: detach",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			web := newApp(t, "web")
			web.configMap("one", "1")
			web.files["one.yaml"] = strings.Replace(web.files["one.yaml"], "metadata: {", "metadata: {annotations: {"+strings.Replace(annotation, ": ", `: "`, 1)+`"}, `, 1)
			w := newWorld(t, web)
			w.sync(0)
			text := web.files["one.yaml"]
			delete(web.files, "one.yaml")
			counts(t, w.sync(0), state.Counts{Kept: 1, Unchanged: 1})
			if got := web.get(t, "one"); got != "1" {
				t.Errorf("one = %q, want it kept", got)
			}
			counts(t, w.sync(0), state.Counts{Kept: 1, Unchanged: 1})
			// It comes back into the set, and may be pruned once the annotation goes.
			web.files["one.yaml"] = text
			counts(t, w.sync(0), state.Counts{Unchanged: 2})
			web.configMap("one", "1")
			counts(t, w.sync(0), state.Counts{Changed: 1, Unchanged: 1})
			delete(web.files, "one.yaml")
			counts(t, w.sync(0), state.Counts{Pruned: 1, Unchanged: 1})
		})
	}
}

func TestRunHandsOverBetweenApps(t *testing.T) {
	t.Parallel()
	old, young := newApp(t, "old"), newApp(t, "young")
	old.configMap("moving", "1")
	young.configMap("own", "1")
	w := newWorld(t, old, young)
	w.sync(0)
	uid := old.uid(t, "moving")

	young.files["moving.yaml"] = old.files["moving.yaml"]
	report := w.sync(10)
	if text := show(report); strings.Count(text, "refused wanted-twice") != 2 {
		t.Errorf("got %s, want both apps refused", text)
	}
	delete(old.files, "moving.yaml")
	w.sync(0)
	if got := old.uid(t, "moving"); got != uid {
		t.Errorf("uid = %s, want %s: the object is handed over, not made anew", got, uid)
	}
	again := w.sync(0)
	if again.Record.Verdict != state.Unchanged || again.Record.Apps[0].Counts.Unchanged != 1 || again.Record.Apps[1].Counts.Unchanged != 3 {
		t.Errorf("got %s, want 1 and 3 unchanged objects", show(again))
	}
	delete(young.files, "moving.yaml")
	w.sync(0)
	if got := old.get(t, "moving"); got != "" {
		t.Error("its new owner did not prune the object")
	}
}

func (a *repo) uid(t *testing.T, name string) string {
	t.Helper()
	answer, err := server.Get(t.Context(), a.path(name))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(answer), `"uid":"`)
	uid, _, _ := strings.Cut(rest, `"`)
	return uid
}

func TestRunForgetsWhatIsGoneAndLeavesWhatWasTaken(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("gone", "1")
	web.configMap("taken", "1")
	w := newWorld(t, web)
	w.sync(0)
	if err := server.Delete(t.Context(), web.path("gone")); err != nil {
		t.Fatal(err)
	}
	// Another ledger took it over.
	if _, err := server.Patch(t.Context(), web.path("taken"), []byte(`{"metadata":{"labels":{"tidemark.dev/ledger":"another"}}}`)); err != nil {
		t.Fatal(err)
	}
	delete(web.files, "gone.yaml")
	delete(web.files, "taken.yaml")
	counts(t, w.sync(0), state.Counts{Unchanged: 1})
	if got := web.get(t, "taken"); got != "1" {
		t.Error("the other ledger's object was pruned")
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 1})
}

func TestRunDoesNotPruneWhatLostItsMarks(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	if _, err := server.Patch(t.Context(), web.path("one"), []byte(`{"metadata":{"labels":{"tidemark.dev/ledger":null}}}`)); err != nil {
		t.Fatal(err)
	}
	text := web.files["one.yaml"]
	delete(web.files, "one.yaml")
	report := w.sync(0)
	counts(t, report, state.Counts{Kept: 1, Unchanged: 1})
	if text := show(report); !strings.Contains(text, "disagrees") {
		t.Errorf("got %s, want the reason disagrees", text)
	}
	web.files["one.yaml"] = text
	counts(t, w.sync(0), state.Counts{Changed: 1, Unchanged: 1, Drifted: 1})
}
