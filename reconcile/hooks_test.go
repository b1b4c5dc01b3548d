package reconcile_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/state"
)

// hook gives the text of a Job that is a hook.
func (a *repo) hook(name, meta, annotations string) {
	a.files[name+".yaml"] = "apiVersion: batch/v1\nkind: Job\nmetadata: {" + meta + ", namespace: " + a.app.Namespace + ", annotations: {" + annotations + "}}\n" +
		"spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}\n"
}

// jobs gives the UIDs of the app's Jobs by name.
func (a *repo) jobs(t *testing.T) map[string]string {
	t.Helper()
	answer, err := server.Get(t.Context(), "/apis/batch/v1/namespaces/"+a.app.Namespace+"/jobs")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Items []struct{ Metadata struct{ Name, UID string } }
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		t.Fatal(err)
	}
	uids := map[string]string{}
	for _, item := range list.Items {
		uids[item.Metadata.Name] = item.Metadata.UID
	}
	return uids
}

// ends writes a Job's status, as its controller would.
func (a *repo) ends(t *testing.T, name, how string) {
	t.Helper()
	at := `"startTime":"2026-01-01T00:00:00Z",`
	if how == "Complete" {
		at += `"completionTime":"2026-01-01T00:00:01Z","succeeded":1,`
	}
	before := strings.Replace(how, "Complete", "SuccessCriteriaMet", 1)
	before = strings.Replace(before, "Failed", "FailureTarget", 1)
	condition := func(kind string) string {
		return `{"type":"` + kind + `","status":"True","reason":"r","lastTransitionTime":"2026-01-01T00:00:01Z"}`
	}
	body := `{"status":{` + at + `"conditions":[` + condition(before) + `,` + condition(how) + `]}}`
	path := "/apis/batch/v1/namespaces/" + a.app.Namespace + "/jobs/" + name + "/status"
	if _, err := server.Patch(context.WithoutCancel(t.Context()), path, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

// hooked gives an app whose namespace is another's, so that its hooks can run
// before anything of it is applied.
func hooked(t *testing.T) (*repo, *repo) {
	base, web := newApp(t, "base"), newApp(t, "web")
	web.app.Namespace = base.app.Namespace
	delete(web.files, "namespace.yaml")
	web.app.DependsOn = []reconcile.Dependency{{App: "base"}}
	web.app.Wait = reconcile.Wait{Timeout: time.Second}
	web.app.SkipValidation = true
	web.configMap("settings", "one")
	return base, web
}

func TestRunTakesHooksUpAndNeverStartsOneTwice(t *testing.T) {
	t.Parallel()
	base, web := hooked(t)
	web.hook("before", "generateName: before-", "argocd.argoproj.io/hook: PreSync")
	web.hook("after", "name: after", "argocd.argoproj.io/hook: PostSync, argocd.argoproj.io/hook-delete-policy: HookSucceeded")
	web.hook("fail", "name: fail", "argocd.argoproj.io/hook: SyncFail")
	w := newWorld(t, base, web)

	report := w.sync(reconcile.ExitPartial)
	first := web.jobs(t)
	if web.get(t, "settings") != "" || len(first) != 1 {
		t.Fatalf("Jobs %v, settings %q, want only the hook before\n%s", first, web.get(t, "settings"), show(report))
	}
	var before string
	for name := range first {
		before = name
	}
	if !strings.HasPrefix(before, "before-") || len(before) != len("before-")+8 {
		t.Errorf("hook = %q, want eight digits after its prefix", before)
	}

	web.ends(t, before, "Complete")
	report = w.sync(reconcile.ExitPartial)
	second := web.jobs(t)
	if web.get(t, "settings") != "one" || second[before] != first[before] || second["after"] == "" || len(second) != 2 {
		t.Fatalf("Jobs %v, settings %q, want the sync and the hook after it\n%s", second, web.get(t, "settings"), show(report))
	}

	web.ends(t, "after", "Complete")
	report = w.sync(reconcile.ExitOK)
	if jobs := web.jobs(t); len(jobs) != 1 || jobs[before] != first[before] {
		t.Fatalf("Jobs %v, want the hook that ended gone\n%s", jobs, show(report))
	}
	if report = w.sync(reconcile.ExitOK); report.Record.Verdict != state.Unchanged {
		t.Fatalf("verdict = %s, want unchanged\n%s", report.Record.Verdict, show(report))
	}

	// Drift runs no hooks, a change does.
	if err := server.Delete(t.Context(), web.path("settings")); err != nil {
		t.Fatal(err)
	}
	report = w.sync(reconcile.ExitOK)
	if jobs := web.jobs(t); web.get(t, "settings") != "one" || len(jobs) != 1 {
		t.Fatalf("Jobs %v, want no hook for drift\n%s", jobs, show(report))
	}
	web.configMap("settings", "two")
	report = w.sync(reconcile.ExitPartial)
	if jobs := web.jobs(t); web.get(t, "settings") != "one" || len(jobs) != 1 || jobs[before] != "" {
		t.Fatalf("Jobs %v, want a new hook before the change, and the old one gone\n%s", jobs, show(report))
	}
}

func TestRunStopsWhenAHookFails(t *testing.T) {
	t.Parallel()
	base, web := hooked(t)
	web.hook("before", "name: before", "helm.sh/hook: 'pre-install,pre-upgrade'")
	web.hook("test", "name: test", "helm.sh/hook: test")
	w := newWorld(t, base, web)
	w.sync(reconcile.ExitPartial)
	web.ends(t, "before", "Failed")
	first := web.jobs(t)
	for range 2 {
		report := w.sync(reconcile.ExitPartial)
		if jobs := web.jobs(t); web.get(t, "settings") != "" || len(jobs) != 1 || jobs["before"] != first["before"] {
			t.Fatalf("Jobs %v, settings %q, want the failed hook and nothing else\n%s", jobs, web.get(t, "settings"), show(report))
		}
	}
	web.configMap("settings", "two")
	w.sync(reconcile.ExitPartial)
	if jobs := web.jobs(t); jobs["before"] == first["before"] || jobs["before"] == "" {
		t.Fatalf("Jobs %v, want the hook anew for another set", jobs)
	}
	web.ends(t, "before", "Complete")
	w.sync(reconcile.ExitOK)
	if web.get(t, "settings") != "two" {
		t.Error("the sync did not follow its hook")
	}
}

func TestRightsReachHooks(t *testing.T) {
	t.Parallel()
	base, web := hooked(t)
	base.makeNamespace(t)
	web.app.Rules.KeepAll = true
	web.hook("before", "name: before", "argocd.argoproj.io/hook: PreSync")
	web.files["reader.yaml"] = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {generateName: reader-, annotations: {argocd.argoproj.io/hook: PreSync}}\n" +
		"rules: [{apiGroups: [''], resources: [limitranges], verbs: [get]}]\n"
	w := newWorld(t, base, web)
	rights, err := reconcile.RightsOf(t.Context(), w.open(), reconcile.Unopened{}, func() []apply.Permission { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for resource, verbs := range map[string]string{"jobs": "create delete get list patch watch", "clusterroles": "create delete get list patch watch", "limitranges": "get"} {
		var got []string
		for _, rule := range rights.Rules {
			if slices.Contains(rule.Resources, resource) && len(rule.Names) == 0 {
				got = append(got, rule.Verbs...)
			}
		}
		if slices.Sort(got); strings.Join(got, " ") != verbs {
			t.Errorf("%s: %q, want %q\n%+v", resource, got, verbs, rights.Rules)
		}
	}
}

func TestTwoAppsDoNotShareAHook(t *testing.T) {
	t.Parallel()
	base, web := hooked(t)
	other := newApp(t, "other")
	other.app.Namespace, other.app.DependsOn = base.app.Namespace, web.app.DependsOn
	delete(other.files, "namespace.yaml")
	other.configMap("others", "one")
	web.hook("before", "name: before", "argocd.argoproj.io/hook: PreSync")
	other.hook("before", "name: before", "argocd.argoproj.io/hook: PreSync")
	w := newWorld(t, base, web, other)
	report := w.sync(reconcile.ExitRefused)
	for _, app := range report.Record.Apps[1:] {
		if app.Verdict != state.Refused || !strings.Contains(app.Refusals[0].Message, "the hook Job.batch "+base.app.Namespace+"/before is wanted by the apps") {
			t.Errorf("%s: %s %+v, want it refused", app.Name, app.Verdict, app.Refusals)
		}
	}
	if jobs := web.jobs(t); len(jobs) != 0 {
		t.Errorf("Jobs %v, want none", jobs)
	}
	delete(other.files, "before.yaml")
	w.sync(reconcile.ExitPartial) // it waits for its Job, which nobody runs here
	if jobs := web.jobs(t); len(jobs) != 1 || other.get(t, "others") != "one" {
		t.Errorf("Jobs %v, want the one hook, and the other app applied\n%s", jobs, show(report))
	}
	// A member, though not rendered, keeps it to itself.
	other.hook("before", "name: before", "argocd.argoproj.io/hook: PreSync")
	report = w.sync(reconcile.ExitRefused)
	if app := report.Record.Apps[2]; app.Verdict != state.Refused {
		t.Errorf("other: %s %s, want it refused", app.Verdict, app.Message)
	}
}
