package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// deployment gives the text of a Deployment of the app. No controller runs here:
// tests write its status.
func (a *repo) deployment(name, image string) {
	a.files[name+".yaml"] = fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, namespace: %s}
spec: {replicas: 1, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: %q}]}}}
`, name, a.app.Namespace, image)
}

// The words of the deployment controller.
const (
	rolledOut = `"replicas":1,"updatedReplicas":1,"readyReplicas":1,"availableReplicas":1,"conditions":[{"type":"Available","status":"True"},{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"}]`
	stuck     = `"replicas":1,"updatedReplicas":1,"unavailableReplicas":1,"conditions":[{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded","message":"no image"}]`
	rolling   = `"replicas":1,"updatedReplicas":1,"unavailableReplicas":1,"conditions":[{"type":"Progressing","status":"True","reason":"ReplicaSetUpdated"}]`
)

// becomes writes a Deployment's status, as its controller would for a generation.
func (a *repo) becomes(t *testing.T, name string, generation int, status string) {
	t.Helper()
	path := "/apis/apps/v1/namespaces/" + a.app.Namespace + "/deployments/" + name + "/status"
	body := fmt.Sprintf(`{"status":{"observedGeneration":%d,%s}}`, generation, status)
	if _, err := server.Patch(context.WithoutCancel(t.Context()), path, []byte(body)); err != nil {
		t.Error(err)
	}
}

// whenWaiting calls do once the run waits for an app.
func whenWaiting(job *reconcile.Job, do func(app string)) {
	job.Progress = func(e reconcile.Event) {
		if e.Stage == "wait" {
			go do(e.App)
		}
	}
}

// A run waits until what it applied is healthy, and prunes only then. A healthy
// app costs nothing more.
func TestRunWaitsUntilHealthy(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait = reconcile.Wait{All: true, Timeout: time.Minute}
	web.deployment("front", "one")
	web.deployment("back", "one")
	web.configMap("old", "1")
	w := newWorld(t, web)

	job := w.open()
	whenWaiting(&job, func(string) {
		web.becomes(t, "back", 1, rolling)
		web.becomes(t, "front", 1, rolledOut)
		web.becomes(t, "back", 1, rolledOut)
	})
	report := w.run(job, 0)
	if got := report.Record.Apps[0].Health; got == nil || got.Verdict != state.Healthy || got.Total != 4 || got.Current != 4 {
		t.Fatalf("health = %+v, want all 4 objects healthy\n%s", got, show(report))
	}
	requests := job.Cluster.Requests()
	if requests["watch"] > 2 { // of Deployments and Namespaces; a stream that sees the end at once is not followed
		t.Errorf("requests = %v, want one watch a kind", requests)
	}
	if head := w.head().Apps["web"]; head.Health != state.Healthy || !head.Waiting.IsZero() || head.Inputs == "" {
		t.Errorf("head = %+v, want it healthy and applied", head)
	}
	quiet := w.open()
	if report = w.run(quiet, 0); report.Record.Verdict != state.Unchanged || quiet.Cluster.Requests()["watch"] != 0 || web.renders != 1 {
		t.Errorf("requests = %v, %d renderings, want neither watch nor rendering when nothing changed\n%s", quiet.Cluster.Requests(), web.renders, show(report))
	}

	delete(web.files, "old.yaml")
	web.deployment("front", "two")
	job = w.open()
	pruned := true
	whenWaiting(&job, func(string) {
		pruned = web.get(t, "old") == ""
		web.becomes(t, "front", 2, rolledOut)
	})
	report = w.run(job, 0)
	if pruned || web.get(t, "old") != "" {
		t.Errorf("pruned before it was healthy: %t, after: %t; want only the latter\n%s", pruned, web.get(t, "old") == "", show(report))
	}
}

// An app that is not healthy is looked at by every run until it is; what left it
// stays until then.
func TestRunFindsWhatIsNotHealthy(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait = reconcile.Wait{All: true, Timeout: time.Minute}
	web.deployment("front", "one")
	web.configMap("old", "1")
	w := newWorld(t, web)
	job := w.open()
	whenWaiting(&job, func(string) { web.becomes(t, "front", 1, rolledOut) })
	applied := w.run(job, 0).Record.Apps[0].Revision.Commit

	delete(web.files, "old.yaml")
	web.deployment("front", "two")
	job = w.open()
	whenWaiting(&job, func(string) { web.becomes(t, "front", 2, stuck) })
	for _, job := range []reconcile.Job{job, w.open()} {
		report := w.run(job, 11)
		app := report.Record.Apps[0]
		if app.Verdict != state.Partial || app.Health == nil || app.Health.Verdict != state.Unhealthy || len(app.Health.Objects) != 1 || app.Health.Objects[0].State != "failed" ||
			!strings.Contains(app.Message, "front") {
			t.Fatalf("health = %+v, %q; want a failed Deployment, named\n%s", app.Health, app.Message, show(report))
		}
		if web.get(t, "old") != "1" {
			t.Fatal("it was pruned although the app is not healthy")
		}
		if head := w.head().Apps["web"]; head.Health != state.Unhealthy || head.Revision.Commit != applied {
			t.Fatalf("head = %+v, want it unhealthy, and the revision before", head)
		}
	}
	web.becomes(t, "front", 2, rolledOut)
	report := w.sync(0)
	if app := report.Record.Apps[0]; app.Health == nil || app.Health.Verdict != state.Healthy || web.get(t, "old") != "" {
		t.Errorf("health = %+v, want it healthy and pruned\n%s", app.Health, show(report))
	}
}

// The time of a wait runs from the apply on, however many runs look.
func TestRunWaitsNoLongerThanItsTime(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait = reconcile.Wait{All: true, Timeout: 2 * time.Second}
	web.deployment("front", "one")
	w := newWorld(t, web)
	report := w.sync(11)
	first := report.Record.Apps[0].Health
	if first == nil || first.Verdict != state.Unhealthy || !strings.Contains(report.Record.Apps[0].Message, "not healthy within 2s") {
		t.Fatalf("health = %+v, want it unhealthy for lack of time\n%s", first, show(report))
	}
	report = w.sync(11)
	second := report.Record.Apps[0].Health
	if second == nil || !second.Since.Equal(first.Since) || report.Record.Cost.Seconds > 2 {
		t.Errorf("health = %+v after %.1fs, want a look at what is waited for since %s\n%s", second, report.Record.Cost.Seconds, first.Since, show(report))
	}
}

// A run that has to end leaves the wait to the next.
func TestRunThatEndsLeavesTheWaitPending(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait = reconcile.Wait{All: true, Timeout: time.Minute}
	web.deployment("front", "one")
	w := newWorld(t, web)
	job := w.open()
	ctx, interrupt := context.WithCancelCause(t.Context())
	whenWaiting(&job, func(string) { interrupt(errors.Join(errors.New("the signal terminated"), context.Canceled)) })
	report, _ := reconcile.Run(ctx, job)
	app := report.Record.Apps[0]
	if report.Record.Exit != 16 || !report.Recorded || app.Health == nil || app.Health.Verdict != state.Pending {
		t.Fatalf("exit = %d, health = %+v; want an interrupted run, and a record of what is pending\n%s", report.Record.Exit, app.Health, show(report))
	}
	if head := w.head(); !head.Idle() || head.Apps["web"].Health != state.Pending {
		t.Fatalf("head = %+v, want a free lease and a pending app", head)
	}
	job = w.open()
	whenWaiting(&job, func(string) { web.becomes(t, "front", 1, rolledOut) })
	report = w.run(job, 0)
	if got := report.Record.Apps[0].Health; got == nil || got.Verdict != state.Healthy || !got.Since.Equal(app.Health.Since) {
		t.Errorf("health = %+v, want it healthy, waited for since %s\n%s", got, app.Health.Since, show(report))
	}
}

// moving is the source of an app whose commit moves while a run waits.
type moving struct {
	*repo
	moved atomic.Bool
}

func (m *moving) Resolve(ctx context.Context) (source.Revision, error) {
	r, err := m.repo.Resolve(ctx)
	if m.moved.Load() {
		r.Commit = strings.Repeat("f", 40)
	}
	return r, err
}

// A roll-out that is stuck does not block its own fix.
func TestRunStopsWaitingForWhatIsNotWantedAnyMore(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait = reconcile.Wait{All: true, Timeout: 10 * time.Minute}
	web.deployment("front", "bad")
	w := newWorld(t, web)
	w.ttl = 4 * time.Second
	job := w.open()
	src := &moving{repo: web}
	job.Configure = func(context.Context, *reconcile.Committed) (reconcile.Config, error) {
		app := web.app
		app.Source, app.Renderer = src, web
		return reconcile.Config{Digest: "config", Apps: []reconcile.App{app}}, nil
	}
	whenWaiting(&job, func(string) { src.moved.Store(true) })
	report := w.run(job, 11)
	if app := report.Record.Apps[0]; app.Health == nil || app.Health.Verdict != state.Pending || !strings.Contains(app.Message, "moved on") {
		t.Fatalf("health = %+v, %q; want it pending, since what is wanted moved\n%s", app.Health, app.Message, show(report))
	}
	web.deployment("front", "good")
	job = w.open()
	whenWaiting(&job, func(string) { web.becomes(t, "front", 2, rolledOut) })
	w.run(job, 0)
}

// Objects of others are waited for by name, and kinds by expressions.
func TestRunWaitsForHealthChecks(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	checks, err := health.Compile([]health.Expression{{APIVersion: "v1", Kind: "ConfigMap", Current: `data.key == "ready"`}})
	if err != nil {
		t.Fatal(err)
	}
	web.app.Wait = reconcile.Wait{For: []object.ID{{Kind: "ConfigMap", Name: "other"}}, Timeout: time.Minute, Checks: checks}
	web.configMap("one", "not ready")
	w := newWorld(t, web)
	job := w.open()
	var once sync.Once
	whenWaiting(&job, func(string) {
		once.Do(func() {
			_, err := server.Create(context.WithoutCancel(t.Context()), "/api/v1/namespaces/"+web.app.Namespace+"/configmaps", []byte(`{"metadata":{"name":"other"},"data":{"key":"ready"}}`))
			if err != nil {
				t.Error(err)
			}
		})
	})
	report := w.run(job, 0)
	if got := report.Record.Apps[0].Health; got == nil || got.Verdict != state.Healthy || got.Total != 1 {
		t.Errorf("health = %+v, want the one object that is asked for\n%s", got, show(report))
	}
}

// What healthy is may be said anew by the configuration: then every app that waits
// is looked at once.
func TestRunLooksAgainWhenTheConfigurationChanges(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.app.Wait = reconcile.Wait{All: true, Timeout: time.Minute}
	web.configMap("one", "1")
	w := newWorld(t, web)
	w.sync(0)
	for _, digest := range []string{"another", "another", "config"} {
		job := w.open()
		configure := job.Configure
		job.Configure = func(ctx context.Context, last *reconcile.Committed) (reconcile.Config, error) {
			config, err := configure(ctx, last)
			config.Digest = digest
			return config, err
		}
		looks := w.head().Config != digest
		report := w.run(job, 0)
		if got := report.Record.Apps[0].Health; (got != nil) != looks {
			t.Errorf("configuration %q: health = %+v, want a look: %t\n%s", digest, got, looks, show(report))
		}
	}
}
