package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
	"tidemark.dev/tidemark/tests/servers/assets"
)

// bootstrap is the program as Lambda gets it, but for this machine.
var bootstrap = filepath.Join(os.TempDir(), fmt.Sprintf("tidemark-lambda-%d", os.Getpid()))

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.Remove(bootstrap)
	os.Exit(code)
}

var build = sync.OnceValue(func() error {
	command := exec.Command("go", "build", "-trimpath", "-tags", binary.Tags, "-ldflags", "-s -w -X main.version=v1.2.3", "-o", bootstrap, ".") //nolint:noctx // It is everybody's.
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
})

// start runs the program under the runtime API with these variables and nothing
// else of this process's environment.
func start(t *testing.T, api *lambdaAPI, dir string, variables map[string]string) {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(bootstrap) //nolint:noctx // It ends when its API does.
	command.Dir = dir
	command.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + api.host(), "AWS_LAMBDA_FUNCTION_NAME=tidemark", "PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"LAMBDA_TASK_ROOT=" + dir, "AWS_REGION=us-east-1", "TZ=:UTC",
	}
	for name, value := range variables {
		command.Env = append(command.Env, name+"="+value)
	}
	var log strings.Builder
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("the function said:\n%s", log.String())
		}
	})
}

// world is what a run needs: a cluster behind a proxy, a repository, a bucket.
type world struct {
	cluster *servers.ControlPlane
	git     *servers.GitHTTP
	repo    *servers.Repo
	s3      *servers.S3
	dir     string
	// hold keeps writes of ConfigMaps until it is closed.
	hold atomic.Pointer[chan struct{}]
	held chan struct{}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("Lambda is Linux")
	}
	if _, err := assets.APIServer(); errors.As(err, new(*assets.MissingError)) {
		t.Skipf("%v; go run ./tests/servers/install", err)
	}
	w := &world{dir: t.TempDir(), held: make(chan struct{}, 1)}
	w.cluster = servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{})
	w.s3 = servers.For(t, servers.StartS3, servers.S3Options{})
	w.git = servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{Username: "git", Password: "hunter2hunter2"})
	proxy := servers.For(t, servers.StartProxy, servers.ProxyOptions{Target: w.cluster.URL, TargetCA: w.cluster.CACert, Fault: w.fault})
	if err := w.cluster.KubeconfigVia(proxy, filepath.Join(w.dir, "kubeconfig"), servers.Admin); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.repo, err = servers.NewRepo(t.Context(), filepath.Join(t.TempDir(), "work")); err != nil {
		t.Fatal(err)
	}
	w.push(t, "one")
	w.file(t, "tidemark.yaml", `apiVersion: tidemark.dev/v1alpha1
repositories:
- name: platform
  url: `+w.git.URL+`/platform.git
  auth: {username: {value: git}, password: {env: GIT_PASSWORD}}
cluster: {kubeconfig: kubeconfig}
stateOptions: {s3: {endpoint: "`+w.s3.URL+`", region: us-east-1, pathStyle: true}}
leaseTTL: 1h
apps:
- {name: web, source: {path: web}}
- {name: db, source: {path: db}}
`)
	return w
}

func (w *world) file(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fault holds what is written to ConfigMaps, while that is wanted.
func (w *world) fault(r *http.Request) servers.Fault {
	hold := w.hold.Load()
	if hold == nil || r.Method != http.MethodPatch || r.URL.Query().Get("dryRun") != "" || !strings.Contains(r.URL.Path, "/configmaps/") {
		return servers.Fault{}
	}
	select {
	case w.held <- struct{}{}:
	default:
	}
	return servers.Fault{Hold: *hold}
}

// push publishes a commit in which each app says so.
func (w *world) push(t *testing.T, value string) string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"web", "db"} {
		files[name+"/cm.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: default}\ndata: {value: " + value + "}\n"
	}
	hash, err := w.repo.Commit(t.Context(), files, value)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repo.Publish(t.Context(), filepath.Join(w.git.Root, "platform.git"), servers.Serving{AnySHA1: true, Filter: true}); err != nil {
		t.Fatal(err)
	}
	return hash
}

func (w *world) variables() map[string]string {
	return map[string]string{
		"TIDEMARK_STATE": "s3://" + w.s3.Bucket + "/prod", "GIT_PASSWORD": "hunter2hunter2",
		"AWS_ACCESS_KEY_ID": w.s3.AccessKey, "AWS_SECRET_ACCESS_KEY": w.s3.SecretKey,
	}
}

// value is what the cluster has of an app, empty when it has nothing.
func (w *world) value(t *testing.T, name string) string {
	t.Helper()
	data, err := w.cluster.Get(context.WithoutCancel(t.Context()), "/api/v1/namespaces/default/configmaps/"+name)
	if err != nil {
		return ""
	}
	var cm struct{ Data map[string]string }
	if err := json.Unmarshal(data, &cm); err != nil {
		t.Fatal(err)
	}
	return cm.Data["value"]
}

func (w *world) wantValues(t *testing.T, web, db string) {
	t.Helper()
	if got, want := w.value(t, "web")+" "+w.value(t, "db"), web+" "+db; got != want {
		t.Errorf("web and db in the cluster: got %q, want %q", got, want)
	}
}

// head is the ledger's head as the bucket has it.
func (w *world) head(t *testing.T) (head struct {
	Lease struct{ Free bool }
	Audit struct{ Inline json.RawMessage }
},
) {
	t.Helper()
	status, data, _, err := w.s3.Do(t.Context(), http.MethodGet, "prod/head.json", nil, nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("read head.json: %d, %v", status, err)
	}
	if err := json.Unmarshal(data, &head); err != nil {
		t.Fatal(err)
	}
	return head
}

func answerOf(t *testing.T, end ended) app.Answer {
	t.Helper()
	if end.resource != "response" {
		t.Fatalf("the function ended with %s %s: %s", end.resource, end.kind, end.body)
	}
	var said app.Answer
	if err := json.Unmarshal(end.body, &said); err != nil {
		t.Fatalf("%v: %s", err, end.body)
	}
	return said
}

func wantRecord(t *testing.T, r state.Record, verdict state.Verdict, trigger string, apps int) {
	t.Helper()
	if r.Verdict != verdict || r.Trigger != trigger || r.Actor != functionARN || len(r.Apps) != apps || r.Tool != "tidemark v1.2.3" {
		t.Errorf("record: got verdict %s, trigger %s, actor %s, tool %s and %d apps, want %s, %s, %s, tidemark v1.2.3 and %d", r.Verdict, r.Trigger, r.Actor, r.Tool, len(r.Apps), verdict, trigger, functionARN, apps)
	}
}

const scheduled = `{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event","source":"aws.events","account":"123456789012","time":"2026-10-08T16:53:06Z","region":"us-east-1","resources":["arn:aws:events:us-east-1:123456789012:rule/tidemark"],"detail":{}}`

const notified = `{"Records":[{"EventVersion":"1.0","EventSubscriptionArn":"arn:aws:sns:us-east-1:123456789012:pushes:21be56ed","EventSource":"aws:sns","Sns":{"Type":"Notification","MessageId":"95df01b4","TopicArn":"arn:aws:sns:us-east-1:123456789012:pushes","Subject":"push","Message":"{\"ref\":\"refs/heads/main\"}"}}]}`

// The whole life of a function, one invocation after the other.
func TestLambda(t *testing.T) {
	t.Parallel()
	w, api := newWorld(t), newLambdaAPI(t)
	start(t, api, w.dir, w.variables())

	plan := answerOf(t, api.invoke(time.Minute, `{"mode":"plan","apps":["web"]}`))
	wantRecord(t, plan.Record, state.Changed, manual, 1)
	if len(plan.Plans) != 1 || plan.Plans[0].App != "web" {
		t.Errorf("a plan of web: got %+v", plan.Plans)
	}
	w.wantValues(t, "", "")

	wantRecord(t, answerOf(t, api.invoke(time.Minute, `{"apps":["web"]}`)).Record, state.Changed, manual, 1)
	w.wantValues(t, "one", "")

	wantRecord(t, answerOf(t, api.invoke(time.Minute, scheduled)).Record, state.Changed, schedule, 2)
	w.wantValues(t, "one", "one")

	w.push(t, "two")
	wantRecord(t, answerOf(t, api.invoke(time.Minute, notified)).Record, state.Changed, byEvent, 2)
	w.wantValues(t, "two", "two")
	wantRecord(t, answerOf(t, api.invoke(time.Minute, `{}`)).Record, state.Unchanged, manual, 2)

	for event, kind := range map[string]string{
		`{"apps":["web"],"prune":true}`:          "Tidemark.Usage",
		`{"mode":"destroy"}`:                     "Tidemark.Usage",
		`{"Records":[{"eventSource":"aws:s3"}]}`: "Tidemark.Usage",
		`[]`:                                     "Tidemark.Usage",
		`{"apps":["nobody"]}`:                    "Tidemark.Exit12",
		`{"Records":[{"EventSource":"aws:sqs"}],"x":1}`: "Tidemark.Usage",
	} {
		if end := api.invoke(time.Minute, event); end.resource != "error" || end.kind != kind {
			t.Errorf("the event %s: got %s %s %s, want an error %s", event, end.resource, end.kind, end.body, kind)
		}
	}
}

// Lambda kills what is not done at the deadline: the run leaves before, with its
// record and without its lease, and the next one goes on.
func TestDeadline(t *testing.T) {
	t.Parallel()
	w, api := newWorld(t), newLambdaAPI(t)
	start(t, api, w.dir, w.variables())
	answerOf(t, api.invoke(time.Minute, scheduled))
	w.push(t, "two")
	hold := make(chan struct{})
	w.hold.Store(&hold)

	end := api.invoke(30*time.Second, scheduled)
	select {
	case <-w.held:
	default:
		t.Error("the run was not in the middle of its apply")
	}
	if end.resource != "error" || end.kind != "Tidemark.Exit16" || !strings.Contains(string(end.body), "the run took longer than 30s") {
		t.Errorf("an invocation out of time: got %s %s %s, want an error Tidemark.Exit16", end.resource, end.kind, end.body)
	}
	head := w.head(t)
	if !head.Lease.Free || !strings.Contains(string(head.Audit.Inline), `"verdict":"interrupted"`) {
		t.Errorf("after the deadline: lease free %v, record %s; want a free lease and a record of the interrupted run", head.Lease.Free, head.Audit.Inline)
	}

	w.hold.Store(nil)
	close(hold)
	answerOf(t, api.invoke(time.Minute, scheduled))
	w.wantValues(t, "two", "two")
}

// What no invocation could mend is told before the first.
func TestInitError(t *testing.T) {
	api := newLambdaAPI(t)
	start(t, api, t.TempDir(), map[string]string{"TIDEMARK_LEASE_TTL": "soon"})
	if end := api.ended(time.Minute); end.resource != "init/error" || !strings.Contains(string(end.body), "TIDEMARK_LEASE_TTL") {
		t.Errorf("a variable that is none: got %s %s", end.resource, end.body)
	}
}
