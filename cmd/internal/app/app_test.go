package app_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi" //nolint:gosec // It serves a repository of this test.
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/source"
)

// env gives an environment with these variables and nothing else.
func env(t *testing.T, variables map[string]string) app.Env {
	t.Helper()
	return app.Env{
		Lookup: func(name string) (string, bool) { value, ok := variables[name]; return value, ok },
		Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Width: func() int { return 80 },
		Home: t.TempDir(), User: "me", Host: "laptop", Now: func() time.Time { return time.Unix(1_700_000_000, 0) }, Version: "v0.0.0-test",
	}
}

func TestTrigger(t *testing.T) {
	tests := []struct {
		name      string
		host      string
		variables map[string]string
		want      string
	}{
		{"laptop", "laptop", nil, "cli"},
		{"told", "laptop", map[string]string{"TIDEMARK_TRIGGER": "manual", "CI": "true"}, "manual"},
		{"GitHub Actions", "runner", map[string]string{"CI": "true"}, "ci"},
		{"Azure Pipelines", "runner", map[string]string{"TF_BUILD": "True"}, "ci"},
		{"CI switched off", "laptop", map[string]string{"CI": "false"}, "cli"},
		{"CronJob", "tidemark-29384720-x7k2p", map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "schedule"},
		{"CronJob of an Indexed Job", "tidemark-29384720-11", map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "schedule"},
		{"kubectl create job", "by-hand-x7k2p", map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "manual"},
		{"Lambda", "host", map[string]string{"AWS_LAMBDA_FUNCTION_NAME": "f"}, "lambda"},
		{"Cloud Run service", "host", map[string]string{"K_SERVICE": "f"}, "http"},
		{"Cloud Run job", "host", map[string]string{"CLOUD_RUN_JOB": "j"}, "schedule"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := env(t, test.variables)
			e.Host = test.host
			if got := e.Trigger(); got != test.want {
				t.Errorf("Trigger with %v on %s: got %s, want %s", test.variables, test.host, got, test.want)
			}
		})
	}
}

func TestActor(t *testing.T) {
	for want, variables := range map[string]map[string]string{
		"me@laptop": {"GITHUB_ACTOR": "octocat"},
		"octocat":   {"GITHUB_ACTOR": "octocat", "CI": "true"},
		"robot":     {"TIDEMARK_ACTOR": "robot", "GITHUB_ACTOR": "octocat", "CI": "true"},
	} {
		if got := env(t, variables).Actor(); got != want {
			t.Errorf("Actor with %v: got %s, want %s", variables, got, want)
		}
	}
}

func TestVariable(t *testing.T) {
	if got, want := app.Variable("lease-ttl"), "TIDEMARK_LEASE_TTL"; got != want {
		t.Errorf("Variable: got %s, want %s", got, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name     string
		settings app.Settings
		want     string
	}{
		{"no name", app.Settings{Repo: "r"}, "has no name"},
		{"two names", app.Settings{Repo: "r", Apps: []string{"a", "b"}}, "--app is given more than once"},
		{"a bad name", app.Settings{Repo: "r", Apps: []string{"A"}}, "--app: "},
		{"a bad ref", app.Settings{Repo: "r", Apps: []string{"a"}, Ref: "a..b"}, "--ref: "},
		{"a path beside a configuration", app.Settings{Config: "c.yaml", Path: "p"}, "describe an app without a configuration"},
		{"a path beside a committed configuration", app.Settings{Config: "c.yaml", Repo: "r", Path: "p"}, "describe an app without a configuration"},
		{"two clusters", app.Settings{Repo: "r", Apps: []string{"a"}, Server: "s", Context: "c"}, "--server goes without"},
		{"half a Secret", app.Settings{Repo: "r", Apps: []string{"a"}, Git: app.GitSettings{Secret: "x"}}, "NAMESPACE/NAME"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := app.Open(env(t, nil), test.settings)
			var usage *app.UsageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open(%+v): got %v, want a UsageError that says %q", test.settings, err, test.want)
			}
		})
	}
}

func open(t *testing.T, e app.Env, settings app.Settings) *app.Session {
	t.Helper()
	session, err := app.Open(e, settings)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func TestLedger(t *testing.T) {
	// The SDKs look for credentials by themselves.
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	dir := t.TempDir()
	one := func(url string) app.Settings { return app.Settings{Repo: "r", Apps: []string{"a"}, State: url} }
	for _, url := range []string{"file://" + dir, dir, "s3://bucket/prefix?endpoint=http://127.0.0.1:1&region=x", "gs://bucket/p?endpoint=http://127.0.0.1:1"} {
		if _, err := open(t, env(t, nil), one(url)).Ledger(t.Context()); err != nil {
			t.Errorf("Ledger of %s: %v", url, err)
		}
	}
	for url, want := range map[string]string{
		"":                     "no state is given",
		"ftp://host/dir":       "ftp:// is not a place",
		"file://host/dir":      "is not file:///directory",
		"s3://":                "is not s3://bucket/prefix",
		"s3://b/p?regoin=x":    `"regoin" is not one of`,
		"gs://b/p?region=x":    `"region" is not endpoint`,
		"s3://user:secret@b/p": "is not s3://bucket/prefix",
	} {
		_, err := open(t, env(t, nil), one(url)).Ledger(t.Context())
		var usage *app.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Ledger of %q: got %v, want a UsageError that says %q", url, err, want)
		}
	}
	short := one("gs://bucket/p?endpoint=http://127.0.0.1:1")
	short.LeaseTTL = 5 * time.Second
	if _, err := open(t, env(t, nil), short).Ledger(t.Context()); err == nil {
		t.Error("Ledger on gs:// with a lease of 5s: no error")
	}
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: c, cluster: {server: "https://127.0.0.1:1"}}
users:
- {name: u, user: {token: t}}
contexts:
- {name: one, context: {cluster: c, user: u}}
`

func TestCluster(t *testing.T) {
	file := write(t, "kubeconfig", kubeconfig)
	token := write(t, "token", "t")
	single := app.Settings{Repo: "r", Apps: []string{"a"}}
	with := func(edit func(*app.Settings)) app.Settings { s := single; edit(&s); return s }
	tests := []struct {
		name      string
		settings  app.Settings
		variables map[string]string
		want      string // of the error; empty for none
	}{
		{"flag", with(func(s *app.Settings) { s.Kubeconfig = file }), nil, ""},
		{"flag before KUBECONFIG", with(func(s *app.Settings) { s.Kubeconfig = file }), map[string]string{"KUBECONFIG": "/nowhere"}, ""},
		{"KUBECONFIG", single, map[string]string{"KUBECONFIG": file}, ""},
		{"KUBECONFIG before the pod", single, map[string]string{"KUBECONFIG": file, "KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "1"}, ""},
		{"server", with(func(s *app.Settings) { s.Server, s.TokenFile = "https://127.0.0.1:1", token }), nil, ""},
		{"no such context", with(func(s *app.Settings) { s.Kubeconfig, s.Context = file, "two" }), nil, `no context "two"`},
		{"no such file", with(func(s *app.Settings) { s.Kubeconfig = "/nowhere" }), nil, "/nowhere"},
		{"nothing", single, nil, "no cluster is given"},
		{"no pod", with(func(s *app.Settings) { s.InCluster = true }), nil, "this is no pod"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := open(t, env(t, test.variables), test.settings).Cluster(t.Context())
			switch {
			case test.want == "" && err != nil:
				t.Errorf("Cluster: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("Cluster: got %v, want it to say %q", err, test.want)
			}
		})
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// repository makes a git repository of files.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, nil)
	return dir
}

// commit adds a commit with these files changed.
func commit(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "a commit")
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

func TestRender(t *testing.T) {
	files := map[string]string{
		"web/cm.yaml":            configMap("web"),
		"db/cm.yaml":             configMap("db"),
		"chart/Chart.yaml":       "apiVersion: v2\nname: c\nversion: 1.0.0\n",
		"chart/templates/a":      "",
		"chart/templates/t.yaml": configMap("c") + "data: {v: {{ .Capabilities.KubeVersion.Version | quote }}, has: {{ .Capabilities.APIVersions.Has \"example.com/v1\" | quote }}}\n",
		"tidemark.yaml":          "apiVersion: tidemark.dev/v1alpha1\napps:\n- {name: web, source: {path: web}, namespace: shop}\n- {name: db, source: {path: db}}\n",
	}
	repo := repository(t, files)
	local := write(t, "local.yaml", "apiVersion: tidemark.dev/v1alpha1\napps:\n- {name: both, source: {repo: "+repo+", path: web}}\n")
	tests := []struct {
		name     string
		settings app.Settings
		want     []string // of each object
	}{
		{"flags", app.Settings{Repo: repo, Apps: []string{"one"}, Path: "web", Namespace: "n"}, []string{"ConfigMap n/web"}},
		{"local configuration", app.Settings{Config: local}, []string{"ConfigMap default/web"}},
		{"committed configuration", app.Settings{Repo: repo, Config: "tidemark.yaml"}, []string{"ConfigMap shop/web", "ConfigMap default/db"}},
		{"one of its apps", app.Settings{Repo: repo, Config: "tidemark.yaml", Apps: []string{"db"}}, []string{"ConfigMap default/db"}},
		{"a chart without a cluster", app.Settings{Repo: repo, Apps: []string{"c"}, Path: "chart", KubeVersion: "v1.30.0", APIVersions: []string{"example.com/v1"}}, []string{"ConfigMap default/c"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rendered, err := open(t, env(t, nil), test.settings).Render(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, one := range rendered {
				for _, o := range one.Set.Objects() {
					got = append(got, o.ID.String())
					if data, ok := o.Content()["data"].(map[string]any); ok && (data["v"] != "v1.30.0" || data["has"] != "true") {
						t.Errorf("the chart saw %v", data)
					}
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	_, err := open(t, env(t, nil), app.Settings{Repo: repo, Config: "tidemark.yaml", Apps: []string{"nope"}}).Render(t.Context())
	if err == nil || !strings.Contains(err.Error(), "web, db") {
		t.Errorf("an app that is not there: got %v, want the names of those that are", err)
	}
}

// A configuration that the repository brings is as untrusted as the rest of it.
func TestCommittedConfigurationIsNotTrusted(t *testing.T) {
	repo := repository(t, map[string]string{"tidemark.yaml": "apiVersion: tidemark.dev/v1alpha1\nstate: s3://elsewhere/x\napps: [{name: a}]\n"})
	_, err := open(t, env(t, nil), app.Settings{Repo: repo, Config: "tidemark.yaml"}).Configure(t.Context(), nil)
	if _, told := errors.AsType[*config.Error](err); !told {
		t.Errorf("got %v, want a *config.Error", err)
	}
}

// Whoever writes it would choose where the passwords of Secrets are sent.
func TestCommittedConfigurationNamesNoSecretElsewhere(t *testing.T) {
	repo := repository(t, map[string]string{
		"tidemark.yaml": "apiVersion: tidemark.dev/v1alpha1\nchartRepositories: [{url: https://evil.example, auth: {secretRef: {name: s, namespace: flux-system}}}]\napps: [{name: a}]\n",
	})
	for namespace, good := range map[string]bool{"": false, "tidemark": false, "flux-system": true} {
		e := env(t, map[string]string{"TIDEMARK_POD_NAMESPACE": namespace})
		_, err := open(t, e, app.Settings{Repo: repo, Config: "tidemark.yaml"}).Configure(t.Context(), nil)
		if _, told := errors.AsType[*config.Error](err); told == good {
			t.Errorf("in the namespace %q: got %v", namespace, err)
		}
	}
}

// The credentials of one app fail that app, and are out of everything printed.
func TestCredentials(t *testing.T) {
	repo := repository(t, map[string]string{"cm.yaml": configMap("a")})
	file := write(t, "tidemark.yaml", `apiVersion: tidemark.dev/v1alpha1
repositories:
- {name: good, url: "`+repo+`", auth: {username: {value: me}, password: {env: PASSWORD}}}
- {name: bad, url: "`+repo+`", auth: {bearerToken: {env: NOT_SET}}}
apps:
- {name: good, source: {repo: good}}
- {name: bad, source: {repo: bad}}
`)
	session := open(t, env(t, map[string]string{"PASSWORD": "correct horse battery"}), app.Settings{Config: file})
	wired, err := session.Configure(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range wired.Apps {
		_, err := a.Source.Resolve(t.Context())
		if wrong := err != nil; wrong != (a.Name == "bad") {
			t.Errorf("Resolve of %s: %v", a.Name, err)
		}
		if a.Name == "bad" && !strings.Contains(err.Error(), "NOT_SET is not set") {
			t.Errorf("Resolve of bad: %v", err)
		}
	}
	if got := session.Redactor.Text("the correct horse battery staple"); got != "the (redacted) staple" {
		t.Errorf("redacted: %q", got)
	}
	if len(session.Faults()) != 1 {
		t.Errorf("faults: %v", session.Faults())
	}
}

// A run of flags knows only its own app, and no run stores a credential.
func TestJob(t *testing.T) {
	repo := repository(t, map[string]string{"tidemark.yaml": "apiVersion: tidemark.dev/v1alpha1\napps: [{name: a}]\n"})
	for _, settings := range []app.Settings{{Repo: repo, Apps: []string{"a"}}, {Repo: repo, Config: "tidemark.yaml"}} {
		settings.State, settings.Kubeconfig = t.TempDir(), write(t, "kubeconfig", kubeconfig)
		session := open(t, env(t, nil), settings)
		job, err := session.Job(t.Context(), reconcile.Sync)
		if err != nil {
			t.Fatal(err)
		}
		session.Redactor.Add("correct horse battery")
		if job.Redact == nil {
			t.Fatal("the job redacts nothing")
		}
		if got := job.Redact("a correct horse battery"); got != "a (redacted)" {
			t.Errorf("the job redacts to %q", got)
		}
		wired, err := job.Configure(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := settings.Config == ""; wired.Partial != want {
			t.Errorf("with %+v: partial is %t, want %t", settings, wired.Partial, want)
		}
	}
}

// Apps that take the same repository take it once.
func TestAppsShareARepository(t *testing.T) {
	repo := repository(t, map[string]string{"a/cm.yaml": configMap("a"), "b/cm.yaml": configMap("b")})
	file := write(t, "tidemark.yaml", "apiVersion: tidemark.dev/v1alpha1\nrepositories: [{name: r, url: "+repo+"}]\napps:\n- {name: a, source: {path: a}}\n- {name: b, source: {path: b, ref: {branch: main}}}\n")
	session := open(t, env(t, nil), app.Settings{Config: file})
	wired, err := session.Configure(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var trees []any
	for _, a := range wired.Apps {
		revision, err := a.Source.Resolve(t.Context())
		if err == nil {
			revision, err = a.Source.Fetch(t.Context(), revision)
		}
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, revision.Tree)
	}
	if trees[0] != trees[1] {
		t.Error("two apps of one commit fetched it twice")
	}
}

// A run that starts over looks everything up anew: since the first attempt the
// repositories may have moved, and another run applied what is newer.
func TestConfigureLooksUpAnew(t *testing.T) {
	const head = "apiVersion: tidemark.dev/v1alpha1\napps:\n"
	repo := repository(t, map[string]string{"tidemark.yaml": head + "- {name: a}\n"})
	version := "1.0.0"
	charts := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "apiVersion: v1\nentries: {c: [{name: c, version: %s, urls: [c.tgz]}]}\n", version)
	}))
	defer charts.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: charts.Certificate().Raw}))
	file := write(t, "tidemark.yaml", "apiVersion: tidemark.dev/v1alpha1\nchartRepositories: [{url: "+charts.URL+", auth: {ca: {file: "+write(t, "ca", ca)+"}}}]\n"+
		"apps:\n- {name: a, source: {repo: "+repo+"}}\n- {name: c, render: {helm: {chart: {repo: "+charts.URL+", name: c}}}}\n")
	for name, settings := range map[string]app.Settings{
		"committed configuration": {Repo: repo, Config: "tidemark.yaml"},
		"local configuration":     {Config: file},
		"flags":                   {Repo: repo, Apps: []string{"a"}},
	} {
		version = "1.0.0"
		session := open(t, env(t, nil), settings)
		first := resolved(t, session)
		commit(t, repo, map[string]string{"tidemark.yaml": head + "- {name: a}\n- {name: " + strings.Fields(name)[0] + "}\n"})
		version = "1.1.0"
		second := resolved(t, session)
		if first["a"].Commit == second["a"].Commit {
			t.Errorf("%s: the second attempt has the commit of the first", name)
		}
		if c := second["c"].Chart; c != nil && c.Version != version {
			t.Errorf("%s: the second attempt has the chart %v, want %s", name, c, version)
		}
		if settings.Config == "tidemark.yaml" && len(second) != 2 {
			t.Errorf("%s: the second attempt has the apps of the first: %v", name, second)
		}
	}
}

// resolved configures a session and looks up what each app wants.
func resolved(t *testing.T, session *app.Session) map[string]source.Revision {
	t.Helper()
	wired, err := session.Configure(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]source.Revision{}
	for _, a := range wired.Apps {
		if found[a.Name], err = a.Source.Resolve(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// What a registry's chart was, digest and all, is told beside what it renders to;
// a chart of the repository is told by its commit.
func TestRenderedChart(t *testing.T) {
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	files := map[string]string{"Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.2.3\n", "templates/a.yaml": configMap("a")}
	for name, text := range files {
		if err := archive.WriteHeader(&tar.Header{Name: "c/" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	charts := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".tgz") {
			_, _ = w.Write(packed.Bytes())
			return
		}
		_, _ = fmt.Fprint(w, "apiVersion: v1\nentries: {c: [{name: c, version: 1.2.3, urls: [c.tgz]}]}\n")
	}))
	defer charts.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: charts.Certificate().Raw}))
	repo := repository(t, files)
	written := charts.URL + "/charts/"
	session := open(t, env(t, nil), app.Settings{Config: write(t, "tidemark.yaml", "apiVersion: tidemark.dev/v1alpha1\n"+
		"chartRepositories: [{url: "+charts.URL+", auth: {ca: {file: "+write(t, "ca", ca)+"}}}]\n"+
		"apps:\n- {name: registry, render: {helm: {chart: {repo: "+written+", name: c, version: 1.x}}}}\n- {name: own, source: {repo: "+repo+"}}\n")})
	wired, err := session.Configure(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(packed.Bytes())
	want := map[string]*source.Chart{"registry": {Repo: written, Name: "c", Version: "1.2.3", Digest: "sha256:" + hex.EncodeToString(sum[:])}, "own": nil}
	for _, a := range wired.Apps {
		revision, err := a.Source.Resolve(t.Context())
		if err == nil {
			revision, err = a.Source.Fetch(t.Context(), revision)
		}
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := a.Renderer.Render(t.Context(), revision, reconcile.Server{Version: "v1.33.1"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[a.Name], rendered.Chart); diff != "" {
			t.Errorf("chart of %s (-want +got):\n%s", a.Name, diff)
		}
	}
}

// What every attempt of a run asked of a repository is counted, and one attempt
// looks a repository up once: the configuration in it, and its apps.
func TestGitCost(t *testing.T) {
	repo := repository(t, map[string]string{"tidemark.yaml": "apiVersion: tidemark.dev/v1alpha1\napps: [{name: a}, {name: b}]\n"})
	core, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + repo, "GIT_HTTP_EXPORT_ALL=1"},
	})
	defer server.Close()
	session := open(t, env(t, nil), app.Settings{
		Repo: server.URL + "/.git", Config: "tidemark.yaml", State: t.TempDir(), Kubeconfig: write(t, "kubeconfig", kubeconfig),
	})
	job, err := session.Job(t.Context(), reconcile.Sync)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Configure(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	alone := job.Git().Requests
	resolved(t, session)
	if got := job.Git().Requests; alone == 0 || got != 2*alone {
		t.Errorf("one attempt: %d requests; two, the second with two apps: %d, want %d", alone, got, 2*alone)
	}
}

// What an app's rendering depends on is in its digest; what it does not is not.
func TestRendererDigest(t *testing.T) {
	digest := func(text string) string {
		file := write(t, "tidemark.yaml", "apiVersion: tidemark.dev/v1alpha1\napps: [{name: a"+text+"}]\n")
		wired, err := open(t, env(t, nil), app.Settings{Config: file}).Configure(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return wired.Apps[0].Renderer.Digest()
	}
	const source = ", source: {repo: ./r}"
	base := digest(source)
	if got := digest(source + ", drift: report"); got != base {
		t.Error("a policy changed the digest of the rendering")
	}
	repository := func(option string) string {
		return digest("}]\nrepositories: [{name: r, url: ./r" + option)
	}
	if repository(", submodules: true") == repository("") {
		t.Error("the repository's submodules did not change the digest of the rendering")
	}
	if repository(", limits: {objects: 5}") != repository("") {
		t.Error("the repository's limits changed the digest of the rendering")
	}
	for _, text := range []string{", namespace: x", ", render: {engine: plain}", ", render: {helm: {values: {a: 1}}}"} {
		if digest(source+text) == base {
			t.Errorf("%s did not change the digest of the rendering", text)
		}
	}
}

func TestWithin(t *testing.T) {
	session := open(t, env(t, nil), app.Settings{Repo: "r", Apps: []string{"a"}, Timeout: time.Nanosecond})
	ctx, cancel := session.Within(t.Context())
	defer cancel()
	<-ctx.Done()
	var late *app.TimeoutError
	if !errors.As(context.Cause(ctx), &late) || !errors.Is(late, context.DeadlineExceeded) {
		t.Errorf("cause: %v, want a TimeoutError", context.Cause(ctx))
	}
}

// A chart that asks for what discovery could not tell waits for the server.
func TestIncompleteDiscovery(t *testing.T) {
	repo := repository(t, map[string]string{
		"Chart.yaml":       "apiVersion: v2\nname: c\nversion: 1.0.0\n",
		"templates/a.yaml": configMap("a") + "data: {has: {{ .Capabilities.APIVersions.Has \"metrics.example.com/v1\" | quote }}}\n",
	})
	wired, err := open(t, env(t, nil), app.Settings{Repo: repo, Apps: []string{"a"}}).Configure(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	one := wired.Apps[0]
	revision, err := one.Source.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if revision, err = one.Source.Fetch(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	_, err = one.Renderer.Render(t.Context(), revision, reconcile.Server{Version: "v1.33.1", Failing: []string{"metrics.example.com"}})
	if got := reconcile.ExitOf(err); got != reconcile.ExitUnreachable {
		t.Errorf("got %v with exit code %d, want exit code 15", err, got)
	}
}

// A server that does not answer is told apart from input that is wrong.
func TestUnreachable(t *testing.T) {
	session := open(t, env(t, nil), app.Settings{Repo: "http://127.0.0.1:1/r", Apps: []string{"a"}})
	wired, err := session.Configure(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wired.Apps[0].Source.Resolve(t.Context())
	var fault *reconcile.Fault
	if !errors.As(err, &fault) || fault.Exit != reconcile.ExitUnreachable {
		t.Errorf("got %v, want a Fault with exit code 15", err)
	}
}
