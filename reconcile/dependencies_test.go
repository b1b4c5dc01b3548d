package reconcile_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// verdicts gives the verdict and message of each app.
func verdicts(report reconcile.Report) map[string]string {
	all := map[string]string{}
	for _, app := range report.Record.Apps {
		all[app.Name] = strings.TrimSpace(string(app.Verdict) + " " + app.Message)
	}
	return all
}

// broken gives an object that the server refuses only when it is applied: it goes
// into a namespace that is not there.
func (a *repo) broken() {
	a.files["broken.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken, namespace: " + a.app.Namespace + "-none}\n"
}

func TestRunHoldsBackWhatDependsOnAnAppThatFails(t *testing.T) {
	t.Parallel()
	base, middle, top, other := newApp(t, "base"), newApp(t, "middle"), newApp(t, "top"), newApp(t, "other")
	for _, a := range []*repo{base, middle, top, other} {
		a.configMap("settings", "one")
		a.app.SkipValidation = true // what is wrong shows when it is applied
	}
	middle.app.DependsOn = []reconcile.Dependency{{App: "base"}}
	top.app.DependsOn = []reconcile.Dependency{{App: "middle", Healthy: true}}
	middle.app.Wait = reconcile.Wait{All: true}
	base.broken()
	w := newWorld(t, top, middle, base, other)

	got := verdicts(w.sync(reconcile.ExitPartial))
	if !strings.HasPrefix(got["base"], "partial") || !strings.HasPrefix(got["other"], "changed") {
		t.Errorf("verdicts = %v, want base partial and other changed", got)
	}
	if want := "the dependency base is not ready: it is not fully applied"; !strings.HasPrefix(got["middle"], "waiting") || !strings.Contains(got["middle"], want) {
		t.Errorf("middle = %q, want waiting: %s", got["middle"], want)
	}
	if want := "the dependency middle is not ready: it waits"; !strings.HasPrefix(got["top"], "waiting") || !strings.Contains(got["top"], want) {
		t.Errorf("top = %q, want waiting: %s", got["top"], want)
	}
	if middle.get(t, "settings") != "" || top.get(t, "settings") != "" || other.get(t, "settings") != "one" {
		t.Error("what depends on an app that failed was applied, or what does not was not")
	}

	delete(base.files, "broken.yaml")
	got = verdicts(w.sync(reconcile.ExitOK))
	for _, name := range []string{"base", "middle", "top"} {
		if !strings.HasPrefix(got[name], "changed") && name != "base" {
			t.Errorf("%s = %q, want changed", name, got[name])
		}
	}
	if top.get(t, "settings") != "one" {
		t.Error("the next run did not take up what waited")
	}
	report := w.sync(reconcile.ExitOK)
	if report.Record.Verdict != state.Unchanged {
		t.Errorf("verdict = %s, want unchanged\n%s", report.Record.Verdict, show(report))
	}
}

func TestRunRefusesDependenciesThatLeadNowhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		depends map[string]string
		want    string
	}{
		{"unknown", map[string]string{"a": "nobody"}, "app a depends on nobody, which is no app of this ledger"},
		{"a circle", map[string]string{"a": "b", "b": "c", "c": "a"}, "apps depend on each other in a circle: a → b → c → a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var apps []*repo
			for _, name := range []string{"a", "b", "c"} {
				a := newApp(t, name)
				a.app.Name = name
				if on := c.depends[name]; on != "" {
					a.app.DependsOn = []reconcile.Dependency{{App: on}}
				}
				apps = append(apps, a)
			}
			report := newWorld(t, apps...).sync(reconcile.ExitConfig)
			if !strings.Contains(report.Record.Message, c.want) {
				t.Errorf("message = %q, want %q", report.Record.Message, c.want)
			}
		})
	}
}

func TestRunAppliesWhatDependsOnAnotherAppsObject(t *testing.T) {
	t.Parallel()
	base, top := newApp(t, "base"), newApp(t, "top")
	base.configMap("settings", "one")
	top.dependent("user", "/namespaces/"+base.app.Namespace+"/ConfigMap/settings")
	w := newWorld(t, top, base)
	w.sync(reconcile.ExitOK)
	if top.get(t, "user") != "one" {
		t.Error("what depends on another app's object was not applied in the same run")
	}

	base.dependent("settings", "/namespaces/"+top.app.Namespace+"/ConfigMap/user")
	top.dependent("user", "/namespaces/"+base.app.Namespace+"/ConfigMap/settings, /Namespace/"+base.app.Namespace)
	got := verdicts(w.sync(reconcile.ExitConfig))
	for _, name := range []string{"base", "top"} {
		if !strings.Contains(got[name], "apps wait for each other") {
			t.Errorf("%s = %q, want that it waits for itself", name, got[name])
		}
	}

	top.dependent("user", "apps/namespaces/nowhere/Deployment/none")
	got = verdicts(w.sync(reconcile.ExitConfig))
	if want := "user.yaml: ConfigMap " + top.app.Namespace + "/user depends on Deployment.apps nowhere/none, which is in no app of this ledger"; !strings.Contains(got["top"], want) {
		t.Errorf("top = %q, want %q", got["top"], want)
	}
}

// dependent gives the text of a ConfigMap that depends on other objects.
func (a *repo) dependent(name, on string) {
	a.files[name+".yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: " + a.app.Namespace +
		", annotations: {config.kubernetes.io/depends-on: \"" + on + "\"}}\ndata: {key: one}\n"
}
