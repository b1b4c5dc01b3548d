package reconcile_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

func definition(group string) string {
	return fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tides.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {kind: Tide, listKind: TideList, plural: tides, singular: tide}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, group)
}

func tide(group, namespace string) string {
	return fmt.Sprintf("apiVersion: %s/v1\nkind: Tide\nmetadata: {name: high, namespace: %s}\nspec: {level: 3}\n", group, namespace)
}

func TestRunAppliesADefinitionAndItsKindTogether(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.files["crd.yaml"] = definition("together.example.com")
	web.files["tide.yaml"] = tide("together.example.com", web.app.Namespace)
	w := newWorld(t, web)
	counts(t, w.sync(0), state.Counts{Created: 3})
	counts(t, w.sync(0), state.Counts{Unchanged: 3})
	delete(web.files, "tide.yaml")
	counts(t, w.sync(0), state.Counts{Pruned: 1, Unchanged: 2})
}

// A field that the definition gets in the same commit is refused by the server
// until the definition has it.
func TestRunChangesADefinitionAndItsKindTogether(t *testing.T) {
	t.Parallel()
	const group = "changes.example.com"
	strict := func(field string) string {
		return strings.Replace(definition(group), "x-kubernetes-preserve-unknown-fields: true", "properties: {spec: {type: object, properties: {"+field+": {type: integer}}}}", 1)
	}
	web := newApp(t, "web")
	web.files["crd.yaml"] = strict("level")
	web.files["tide.yaml"] = tide(group, web.app.Namespace)
	w := newWorld(t, web)
	counts(t, w.sync(0), state.Counts{Created: 3})

	web.files["tide.yaml"] = strings.Replace(web.files["tide.yaml"], "level", "metres", 1)
	if report := w.sync(12); !strings.Contains(show(report), ".spec.metres") {
		t.Errorf("got %s, want the field that the definition lacks", show(report))
	}
	web.files["crd.yaml"] = strict("metres")
	counts(t, w.sync(0), state.Counts{Changed: 2, Unchanged: 1})
	counts(t, w.sync(0), state.Counts{Unchanged: 3})
}

func TestRunDefersAKindThatAnOperatorInstalls(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	web.files["tide.yaml"] = tide("deferred.example.com", web.app.Namespace)
	w := newWorld(t, web)
	report := w.sync(11)
	counts(t, report, state.Counts{Created: 2, Deferred: 1})
	if got := report.Record.Apps[0].Verdict; got != state.Partial {
		t.Errorf("verdict = %s, want partial", got)
	}
	if text := show(report); !strings.Contains(text, "does not serve") {
		t.Errorf("got %s, want the reason", text)
	}
	if _, err := server.Apply(t.Context(), "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tides.deferred.example.com", "operator", []byte(definition("deferred.example.com"))); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		report, err := reconcile.Run(t.Context(), w.open())
		if report.Record.Exit == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the kind is served and still deferred: %v\n%s", err, show(report))
		}
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 3})
}

func TestRunWritesNothingWhenTheServerRefusesAnObject(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	web.files["service.yaml"] = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: " + web.app.Namespace + "}\nspec: {ports: [{port: 99999}]}\n"
	web.files["pod.yaml"] = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: " + web.app.Namespace + "}\nspec: {containers: []}\n"
	w := newWorld(t, web)
	report := w.sync(12)
	message := report.Record.Apps[0].Message
	for _, want := range []string{"service.yaml", "Service " + web.app.Namespace + "/web", "99999", "pod.yaml", "containers"} {
		if !strings.Contains(message, want) {
			t.Errorf("message = %q, want %q in it", message, want)
		}
	}
	if got := web.get(t, "one"); got != "" {
		t.Error("something was applied")
	}
}

func TestRunNamesAMissingNamespace(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	w := newWorld(t, web)
	report := w.sync(12)
	if got := report.Record.Apps[0].Message; !strings.Contains(got, "createNamespace") {
		t.Errorf("message = %q, want the way out named", got)
	}
	web.app.CreateNamespace, web.app.NamespaceLabels = true, map[string]string{"team": "tide"}
	counts(t, w.sync(0), state.Counts{Created: 2})
	answer, err := server.Get(t.Context(), "/api/v1/namespaces/"+web.app.Namespace)
	if err != nil || !strings.Contains(string(answer), `"team":"tide"`) {
		t.Errorf("namespace = %s, %v; want its label", answer, err)
	}
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
}

func TestRunMasksSecrets(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	secret := func(value string) {
		web.files["secret.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: " + web.app.Namespace + "}\nstringData: {password: " + value + "}\n"
	}
	secret("canary-one")
	w := newWorld(t, web)
	counts(t, w.sync(0), state.Counts{Created: 2})
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
	secret("canary-two")
	report := w.sync(0)
	counts(t, report, state.Counts{Changed: 1, Unchanged: 1})
	if text := show(report); strings.Contains(text, "canary") || strings.Contains(text, "Y2FuYXJ5") {
		t.Errorf("the report shows the value: %s", text)
	}
	w.mustNotHold("canary", "Y2FuYXJ5")
	web.configMap("one", "1")
	counts(t, w.sync(0), state.Counts{Created: 1, Unchanged: 2})
	counts(t, w.sync(0), state.Counts{Unchanged: 3})
}

func TestPlanOnlyWritesNothing(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.configMap("one", "1")
	w := newWorld(t, web)
	job := w.open()
	job.Mode = reconcile.PlanOnly
	planned := w.run(job, 0)
	if len(planned.Plans) != 1 || len(planned.Plans[0].Changes) != 2 {
		t.Fatalf("plans = %+v, want two changes", planned.Plans)
	}
	if got := web.get(t, "one"); got != "" {
		t.Error("the plan was carried out")
	}
	if head, err := w.open().Ledger.Load(t.Context()); err != nil || head.Seq != 0 {
		t.Errorf("head = %+v, %v; want none", head, err)
	}
	if acted := w.sync(0); acted.Record.Apps[0].PlanHash != planned.Plans[0].Hash {
		t.Errorf("sync carried out plan %s, want the one shown, %s", acted.Record.Apps[0].PlanHash, planned.Plans[0].Hash)
	}
}

func TestRunScopesAKindThatAnotherAppBrings(t *testing.T) {
	t.Parallel()
	kinds, tides := newApp(t, "kinds"), newApp(t, "tides")
	kinds.files["crd.yaml"] = definition("across.example.com")
	tides.files["tide.yaml"] = "apiVersion: across.example.com/v1\nkind: Tide\nmetadata: {name: high}\n"
	w := newWorld(t, kinds, tides)
	report := w.sync(0)
	if got := report.Record.Apps[1].Counts.Created; got != 2 {
		t.Fatalf("%d objects created by the app tides, want 2\n%s", got, show(report))
	}
	if _, err := server.Get(t.Context(), "/apis/across.example.com/v1/namespaces/"+tides.app.Namespace+"/tides/high"); err != nil {
		t.Error(err)
	}
	again := w.sync(0)
	if got := again.Record.Apps[1]; got.Counts != (state.Counts{Unchanged: 2}) {
		t.Errorf("got %s, want nothing to do", show(again))
	}
}

func TestRunWaitsForAKindWhenThereIsNothingElseToDo(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	// Neither a namespace nor a scope is known for it yet.
	web.files["tide.yaml"] = "apiVersion: late.example.com/v1\nkind: Tide\nmetadata: {name: high}\n"
	w := newWorld(t, web)
	w.sync(11)
	w.deferTimeout = time.Minute
	job := w.open()
	waiting := make(chan struct{})
	var once sync.Once
	job.Progress = func(e reconcile.Event) {
		if e.Stage == "apply" {
			once.Do(func() { close(waiting) })
		}
	}
	go func() {
		<-waiting
		_, err := server.Apply(t.Context(), "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tides.late.example.com", "operator", []byte(definition("late.example.com")))
		if err != nil {
			t.Error(err)
		}
	}()
	report := w.run(job, 0)
	counts(t, report, state.Counts{Created: 1, Unchanged: 1})
	counts(t, w.sync(0), state.Counts{Unchanged: 2})
}
