// Package e2e_test runs the shipped image as the shipped manifests say, on a real node: kubelet, containerd and runc. It
// wants root and what make e2e builds, which it is told by TIDEMARK_E2E, the folder that make image wrote.
package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/servers"
)

const greeting = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greeting}\ndata: {says: %q}\n"

// held is an object of a wave of its own: while one is held, the run is inside an apply.
const held = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: held-%[1]d\n  annotations: {argocd.argoproj.io/sync-wave: \"%[1]d\"}\ndata: {at: %[2]q}\n"

func commit(t *testing.T, repo *servers.Repo, git *servers.GitHTTP, says string) {
	t.Helper()
	files := map[string]string{"web/greeting.yaml": fmt.Sprintf(greeting, says)}
	for wave := 1; wave <= 5; wave++ {
		files[fmt.Sprintf("web/held-%d.yaml", wave)] = fmt.Sprintf(held, wave, says)
	}
	if _, err := repo.Commit(t.Context(), files, says); err != nil {
		t.Fatal(err)
	}
	if err := repo.Publish(t.Context(), filepath.Join(git.Root, "shop.git"), servers.Serving{}); err != nil {
		t.Fatal(err)
	}
}

func TestRealNode(t *testing.T) {
	image := os.Getenv("TIDEMARK_E2E")
	if image == "" {
		t.Skip("TIDEMARK_E2E names no image: run make e2e, as root")
	}
	w := newWorld(t, image)
	commit(t, w.repo, w.git, "one")
	w.install()

	t.Log("the CronJob fires, and syncs")
	w.until("web has greeting one", func() bool { return w.says("greeting") == "one" && w.says("held-5") == "one" })
	w.until("the run is recorded", func() bool { return w.record().Run != "" })
	if r := w.record(); r.Trigger != "schedule" || r.Verdict != "changed" || !strings.HasPrefix(r.Actor, "tidemark") {
		t.Errorf("the record says %+v, want a run that the schedule triggered", r)
	}

	t.Log("while a run is held inside an apply, one that is made by hand says skipped")
	w.hook.hold()
	commit(t, w.repo, w.git, "two")
	w.until("a run is inside an apply", w.hook.holding)
	w.kubectl("create", "job", "--from=cronjob/tidemark", "-n", "tidemark", "now")
	w.done("now")
	if !w.hook.holding() {
		t.Error("the run was not held as long as the other one took")
	}
	if log := w.log("now-"); !strings.Contains(log, "skipped") {
		t.Errorf("the job made by hand says %q, want skipped", log)
	}
	w.hook.release()
	w.until("web has greeting two", func() bool { return w.says("greeting") == "two" && w.says("held-5") == "two" })

	t.Log("a run is killed inside an apply, and the next one repairs")
	w.until("it is recorded", w.idle)
	w.hook.hold()
	commit(t, w.repo, w.git, "three")
	w.until("a run is inside an apply", w.hook.holding)
	w.kill()
	w.hook.release()
	w.until("web has greeting three", func() bool { return w.says("greeting") == "three" && w.says("held-5") == "three" })
	w.until("its lease is free, and no plan is open", func() bool { return w.tidemark("audit", "verify", "--state", w.state) == nil && w.idle() })
	if runs := w.interrupted(); len(runs) != 1 {
		t.Errorf("the records name %q as interrupted, want the run that was killed", runs)
	}
	if failed := w.failed(); len(failed) != 1 {
		t.Errorf("jobs that failed: %q, want the one that was killed", failed)
	}

	t.Log("a run made by hand says so, and by whom")
	w.kubectl("patch", "cronjob", "tidemark", "-n", "tidemark", "-p", `{"spec":{"suspend":true}}`)
	w.until("no job runs", func() bool { return !slices.ContainsFunc(w.jobs(), func(j job) bool { return j.Status.Active > 0 }) })
	commit(t, w.repo, w.git, "four")
	w.kubectl("create", "job", "--from=cronjob/tidemark", "-n", "tidemark", "again")
	w.done("again")
	if r := w.record(); r.Trigger != "manual" || r.Actor != servers.Admin || w.says("greeting") != "four" {
		t.Errorf("the record says %+v, want a run that %s triggered by hand", r, servers.Admin)
	}
	for _, may := range []struct{ verb, resource, namespace string }{{"get", "secrets", "web"}, {"create", "pods", "tidemark"}, {"patch", "configmaps", "default"}} {
		if out, err := w.tryKubectl("auth", "can-i", may.verb, may.resource, "-n", may.namespace, "--as", "system:serviceaccount:tidemark:tidemark"); err == nil {
			t.Errorf("the account may %s %s in %s: %s", may.verb, may.resource, may.namespace, out)
		}
	}
}

type job struct {
	Metadata struct{ Name string }
	Status   struct{ Active, Succeeded, Failed int }
}

func (w *world) jobs() []job {
	w.t.Helper()
	var list struct{ Items []job }
	w.get("/apis/batch/v1/namespaces/tidemark/jobs", &list)
	return list.Items
}

func (w *world) job(name string) job {
	w.t.Helper()
	for _, j := range w.jobs() {
		if j.Metadata.Name == name {
			return j
		}
	}
	return job{}
}

func (w *world) failed() []string {
	w.t.Helper()
	var names []string
	for _, j := range w.jobs() {
		if j.Status.Failed > 0 {
			names = append(names, j.Metadata.Name)
		}
	}
	return names
}

// says gives what a ConfigMap of web says.
func (w *world) says(name string) string {
	w.t.Helper()
	var o struct{ Data map[string]string }
	answer, err := w.cluster.Get(w.t.Context(), "/api/v1/namespaces/web/configmaps/"+name)
	if err != nil {
		return ""
	}
	if err := json.Unmarshal(answer, &o); err != nil {
		w.t.Fatal(err)
	}
	return o.Data["says"] + o.Data["at"]
}

// record is the newest record of the ledger that changed something.
type record struct {
	Run, Trigger, Actor, Verdict string
	Interrupted                  []string
}
