package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/tests/servers"
	"tidemark.dev/tidemark/tests/servers/assets"
)

// framed serves the function by the framework that Cloud Functions run Go with.
func framed(t *testing.T, f *function) (url string) {
	t.Helper()
	if err := funcframework.RegisterHTTPFunctionContext(t.Context(), "/", f.ServeHTTP); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It is closed at once.
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() { failed <- funcframework.StartHostPort("127.0.0.1", port) }() // It ends with the process.
	address := net.JoinHostPort("127.0.0.1", port)
	for {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = connection.Close()
			return "http://" + address
		}
		select {
		case err := <-failed:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// The function under its framework: a schedule, a webhook and a person bring a
// repository to a cluster, with the state in a bucket.
func TestFunction(t *testing.T) {
	if _, err := assets.APIServer(); errors.As(err, new(*assets.MissingError)) {
		t.Skipf("%v; go run ./tests/servers/install", err)
	}
	cluster := servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{})
	bucket := servers.For(t, servers.StartS3, servers.S3Options{})
	git := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{BearerToken: "hunter2hunter2"})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.Kubeconfig(kubeconfig, servers.Admin); err != nil {
		t.Fatal(err)
	}
	repo, err := servers.NewRepo(t.Context(), filepath.Join(t.TempDir(), "work"))
	if err != nil {
		t.Fatal(err)
	}
	push := func(value string) {
		t.Helper()
		if _, err := repo.Commit(t.Context(), map[string]string{
			"tidemark.yaml": "apiVersion: tidemark.dev/v1alpha1\napps:\n- {name: web, source: {path: web}}\n",
			"web/cm.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: default}\ndata: {value: " + value + "}\n",
		}, value); err != nil {
			t.Fatal(err)
		}
		if err := repo.Publish(t.Context(), filepath.Join(git.Root, "platform.git"), servers.Serving{AnySHA1: true, Filter: true}); err != nil {
			t.Fatal(err)
		}
	}
	push("one")
	// The SDK looks for credentials by itself.
	t.Setenv("AWS_ACCESS_KEY_ID", bucket.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", bucket.SecretKey)
	google := newIssuer(t)
	google.now = time.Now()
	variables := google.variables()
	delete(variables, "TIDEMARK_APP")
	variables["TIDEMARK_REPO"], variables["TIDEMARK_CONFIG"], variables["TIDEMARK_GIT_TOKEN"] = git.URL+"/platform.git", "tidemark.yaml", "hunter2hunter2"
	variables["TIDEMARK_STATE"] = fmt.Sprintf("s3://%s/prod?region=%s&path-style=true&endpoint=%s", bucket.Bucket, bucket.Region, bucket.URL)
	variables["TIDEMARK_KUBECONFIG"], variables["TIDEMARK_GITHUB_WEBHOOK_SECRET"] = kubeconfig, secret
	f, log := made(t, time.Now, variables)
	url := framed(t, f)
	defer func() {
		if t.Failed() {
			t.Logf("the function said:\n%s", log)
		}
	}()

	post := func(ctx context.Context, body string, header http.Header) (int, app.Answer, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = header
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, app.Answer{}, err
		}
		data, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return 0, app.Answer{}, err
		}
		var said app.Answer
		if len(data) > 0 {
			err = json.Unmarshal(data, &said)
		}
		return response.StatusCode, said, err
	}
	want := func(what, body string, header http.Header, verdict state.Verdict, trigger, actor string) {
		t.Helper()
		code, said, err := post(t.Context(), body, header)
		if r := said.Record; err != nil || code != http.StatusOK || r.Verdict != verdict || r.Trigger != trigger || r.Actor != actor || len(r.Apps) != 1 {
			t.Errorf("%s: got %d, %v, verdict %s, trigger %s, actor %s, %d apps (%s); want 200, %s, %s, %s and one app", what, code, err, r.Verdict, r.Trigger, r.Actor, len(r.Apps), r.Message, verdict, trigger, actor)
		}
	}
	value := func() string {
		data, err := cluster.Get(t.Context(), "/api/v1/namespaces/default/configmaps/web")
		if err != nil {
			return ""
		}
		var cm struct{ Data map[string]string }
		if err := json.Unmarshal(data, &cm); err != nil {
			t.Fatal(err)
		}
		return cm.Data["value"]
	}

	token := bearer(google.token(t, nil, nil))
	want("a plan", `{"mode":"plan"}`, token, state.Changed, "http", robot)
	if got := value(); got != "" {
		t.Errorf("a plan brought %q to the cluster", got)
	}
	byClock := token.Clone()
	byClock.Set("X-CloudScheduler", "true")
	want("a schedule", "", byClock, state.Changed, "schedule", robot)
	if got := value(); got != "one" {
		t.Errorf("after the schedule the cluster has %q, want one", got)
	}

	push("two")
	const pushed = `{"ref":"refs/heads/main","after":"whatever it says"}`
	hook := http.Header{"X-Github-Event": {"push"}, "X-Hub-Signature-256": {"sha256=" + sign("guessed", pushed)}}
	if code, _, err := post(t.Context(), pushed, hook); err != nil || code != http.StatusUnauthorized || value() != "one" {
		t.Errorf("a forged webhook: got %d, %v, and the cluster has %q; want 401 and one", code, err, value())
	}
	hook.Set("X-Hub-Signature-256", "sha256="+sign(secret, pushed))
	want("a webhook", pushed, hook, state.Changed, "http", "github webhook")
	if got := value(); got != "two" {
		t.Errorf("after the webhook the cluster has %q, want two", got)
	}
	want("Pub/Sub", `{"message":{"data":"e30=","messageId":"1"},"subscription":"projects/acme/subscriptions/pushes"}`, token, state.Unchanged, "http", robot)
	if bytes.Contains(log.Bytes(), []byte("hunter2hunter2")) {
		t.Error("the log has the token of the repository")
	}
}
