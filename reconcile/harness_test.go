package reconcile_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // git's object names
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/window"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/mem"
	"tidemark.dev/tidemark/tests/servers"
)

// limited is a user who may do only what a test allows.
const limited = "limited"

// server is the API server of all tests in this package; each test works in
// namespaces, and with cluster-scoped names, of its own.
var server *servers.ControlPlane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "reconcile-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	server, err = servers.StartControlPlane(context.Background(), dir, servers.ControlPlaneOptions{Users: []servers.User{{Name: limited}}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = server.Stop() }()
	return m.Run()
}

// world is one ledger, the repository of its apps as files, and its cluster.
type world struct {
	t     *testing.T
	store state.Store
	apps  []*repo
	job   reconcile.Job
	ttl   time.Duration

	deferTimeout  time.Duration
	windows       []window.Window
	foldUnchanged bool
	// user is who the runs are; empty is one who may do everything.
	user string
	// witness is the name of the cluster's memory of the ledger; empty keeps none.
	witness string
}

// repo is an app whose repository is a map of files.
type repo struct {
	app     reconcile.App
	files   map[string]string
	fails   error
	renders int
	// tracks: rendering tells what it read of the repository.
	tracks  bool
	fetches int
	// log is what the wanted commit brings, and logs how often that was asked.
	log    source.Log
	logErr error
	logs   int

	varying          map[object.ID][]string
	nondeterministic string
}

func newWorld(t *testing.T, apps ...*repo) *world {
	return &world{t: t, store: mem.Open(mem.Options{}), apps: apps}
}

// newApp gives an app with a namespace of its own, which its repository makes.
func newApp(t *testing.T, name string) *repo {
	namespace := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())) + "-" + name
	if len(namespace) > 60 {
		namespace = namespace[len(namespace)-60:]
		namespace = strings.TrimLeft(namespace, "-")
	}
	return &repo{app: reconcile.App{Name: name, Namespace: namespace}, files: map[string]string{
		"namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + namespace + "}\n",
	}}
}

// configMap gives the text of a ConfigMap of the app.
func (a *repo) configMap(name, value string) {
	a.files[name+".yaml"] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {key: %q}\n", name, a.app.Namespace, value)
}

func (a *repo) commit() string {
	hash := sha1.New() //nolint:gosec // git's object names
	for _, name := range slices.Sorted(maps.Keys(a.files)) {
		fmt.Fprintf(hash, "%s %d %s", name, len(a.files[name]), a.files[name])
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Resolve and Fetch make a repo a reconcile.Source.
func (a *repo) Resolve(context.Context) (source.Revision, error) {
	return source.Revision{Repo: "test", Ref: "refs/heads/main", Commit: a.commit()}, a.fails
}

func (a *repo) Fetch(_ context.Context, r source.Revision) (source.Revision, error) {
	a.fetches++
	var entries []source.Entry
	for name, text := range a.files {
		hash := sha1.Sum([]byte(text)) //nolint:gosec // git's object names
		entries = append(entries, source.Entry{Path: name, Hash: hex.EncodeToString(hash[:])})
	}
	r.Author, r.Subject = "A <a@example.com>", "change"
	r.Tree = source.NewTree(entries, func(e source.Entry) ([]byte, error) { return []byte(a.files[e.Path]), nil })
	return r, nil
}

// read gives the files that rendering reads: a comment of the repository is not
// among them.
func (a *repo) read() map[string]string {
	read := maps.Clone(a.files)
	delete(read, "README.md")
	return read
}

// Digest and Render make it a reconcile.Renderer, of plain files.
func (a *repo) Digest() string { return "plain" }

func (a *repo) Render(_ context.Context, r source.Revision, server reconcile.Server) (reconcile.Rendered, error) {
	a.renders++
	var objects []object.Object
	recorder := source.NewRecorder(r.Tree)
	entries, err := recorder.ReadDir(".")
	if err != nil {
		return reconcile.Rendered{}, err
	}
	for _, e := range entries {
		if e.Path == "README.md" {
			continue
		}
		data, err := recorder.ReadFile(e.Path)
		if err != nil {
			return reconcile.Rendered{}, err
		}
		decoded, err := object.Decode(e.Path, data)
		if err != nil {
			return reconcile.Rendered{}, err
		}
		objects = append(objects, decoded...)
	}
	set, err := object.NewSet(objects, false)
	rendered := reconcile.Rendered{Set: set, Engine: "plain", Inputs: fmt.Sprint(a.read()), Varying: a.varying, Nondeterministic: a.nondeterministic}
	if a.tracks {
		rendered.Reads = recorder.Reads()
	}
	return rendered, err
}

// open gives the job of a new run.
func (w *world) open() reconcile.Job {
	w.t.Helper()
	run, err := state.NewRunID(time.Now(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	ledger, err := state.Open(w.store, state.Options{Run: run, Holder: "test", TTL: w.ttl})
	if err != nil {
		w.t.Fatal(err)
	}
	kubeconfig := filepath.Join(w.t.TempDir(), "kubeconfig")
	if err := server.Kubeconfig(kubeconfig, cmp.Or(w.user, servers.Admin)); err != nil {
		w.t.Fatal(err)
	}
	target, err := cluster.Open(cluster.Options{Kubeconfig: kubeconfig, Version: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	job := w.job
	job.Ledger, job.Cluster, job.Watcher = ledger, target, target
	if w.witness != "" {
		job.Witness = target.Witness("default", w.witness, "mem")
	}
	job.Trigger, job.Actor, job.Tool = "cli", "tester", "tidemark test"
	job.Configure = func(context.Context, *reconcile.Committed) (reconcile.Config, error) {
		config := reconcile.Config{Digest: "config", DeferTimeout: w.deferTimeout, FoldUnchanged: w.foldUnchanged, Windows: w.windows}
		for _, a := range w.apps {
			app := a.app
			app.Source, app.Renderer = a, a
			config.Apps = append(config.Apps, app)
		}
		return config, nil
	}
	return job
}

// sync does one run and checks its exit code.
func (w *world) sync(exit int) reconcile.Report {
	w.t.Helper()
	return w.run(w.open(), exit)
}

func (w *world) run(job reconcile.Job, exit int) reconcile.Report {
	w.t.Helper()
	report, err := reconcile.Run(w.t.Context(), job)
	if report.Record.Exit != exit {
		w.t.Fatalf("exit = %d, want %d (error %v)\n%s", report.Record.Exit, exit, err, show(report))
	}
	return report
}

func show(report reconcile.Report) string {
	var out strings.Builder
	fmt.Fprintf(&out, "verdict %s: %s %v\n", report.Record.Verdict, report.Record.Message, report.Record.Warnings)
	for _, app := range report.Record.Apps {
		fmt.Fprintf(&out, "app %s: %s %s %+v\n", app.Name, app.Verdict, app.Message, app.Counts)
		for _, c := range app.Changes {
			fmt.Fprintf(&out, "  %s %s (%s): %s %s\n", c.Action, c.ID, c.Reason, c.Outcome, c.Message)
		}
		for _, refusal := range app.Refusals {
			fmt.Fprintf(&out, "  refused %s: %s %s\n", refusal.Reason, refusal.Message, refusal.PlanHash)
		}
		for _, warning := range app.Warnings {
			fmt.Fprintf(&out, "  warning %s\n", warning)
		}
	}
	for _, p := range report.Plans {
		for _, c := range p.Changes {
			fmt.Fprintf(&out, "  plan %s %s (%s) %v\n", c.Action, c.ID, c.Reason, c.Diff)
		}
	}
	return out.String()
}

// counts checks what one run says of its only app, or the named one.
func counts(t *testing.T, report reconcile.Report, want state.Counts) {
	t.Helper()
	if got := report.Record.Apps[0].Counts; got != want {
		t.Fatalf("counts = %+v, want %+v\n%s", got, want, show(report))
	}
}

// get gives the data key of a ConfigMap of the app, "" when it is absent.
func (a *repo) get(t *testing.T, name string) string {
	t.Helper()
	answer, err := server.Get(t.Context(), a.path(name))
	if err != nil {
		return ""
	}
	var content struct{ Data map[string]string }
	if err := json.Unmarshal(answer, &content); err != nil {
		t.Fatal(err)
	}
	return content.Data["key"]
}

// path of a ConfigMap of the app.
func (a *repo) path(name string) string {
	return "/api/v1/namespaces/" + a.app.Namespace + "/configmaps/" + name
}

func now() time.Time { return time.Now() }

// names lists what the store holds, and which version of the head.
func (w *world) names() string {
	w.t.Helper()
	entries, err := w.store.(state.Sweeper).List(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name)
	}
	if blob, err := w.store.Get(w.t.Context(), "head.json"); err == nil {
		names = append(names, string(blob.Data))
	}
	return strings.Join(names, "\n")
}

// copyStore gives a store with the same objects.
func (w *world) copyStore() state.Store {
	w.t.Helper()
	entries, err := w.store.(state.Sweeper).List(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	copied := mem.Open(mem.Options{})
	for _, entry := range entries {
		blob, err := w.store.Get(w.t.Context(), entry.Name)
		if err == nil {
			_, err = copied.Create(w.t.Context(), entry.Name, blob.Data)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return copied
}

// mustNotHold fails when the ledger holds one of the words.
func (w *world) mustNotHold(words ...string) {
	w.t.Helper()
	sweeper := w.store.(state.Sweeper)
	entries, err := sweeper.List(w.t.Context(), "")
	if err != nil || len(entries) == 0 {
		w.t.Fatalf("list the ledger: %d objects, %v", len(entries), err)
	}
	for _, entry := range entries {
		blob, err := w.store.Get(w.t.Context(), entry.Name)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, word := range words {
			if strings.Contains(string(blob.Data), word) {
				w.t.Errorf("%s holds %q", entry.Name, word)
			}
		}
	}
}
