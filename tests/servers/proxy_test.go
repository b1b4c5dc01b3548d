package servers_test

import (
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tidemark.dev/tidemark/tests/servers"
)

func TestProxyBreaksWhatItIsTold(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(server.Close)
	held := make(chan struct{})
	faults := map[string]servers.Fault{
		"/reset":       {Reset: true},
		"/busy":        {Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"7"}}, Body: "later"},
		"/lost":        {LoseAnswer: true},
		"/held":        {Hold: held},
		"/held-answer": {HoldAnswer: held},
	}
	p := servers.For(t, servers.StartProxy, servers.ProxyOptions{
		Target: server.URL,
		Fault:  func(r *http.Request) servers.Fault { return faults[r.URL.Path] },
	})
	for _, test := range []struct {
		path    string
		status  int
		reached int32
	}{
		{"/pass", http.StatusCreated, 1},
		{"/reset", 0, 0},
		{"/busy", http.StatusServiceUnavailable, 0},
		{"/lost", 0, 1},
	} {
		before := reached.Load()
		status, body := request(t.Context(), http.MethodPut, p.URL+test.path, "x")
		if status != test.status || reached.Load()-before != test.reached {
			t.Errorf("%s: got %d %s, server reached %d times; want %d, %d", test.path, status, body, reached.Load()-before, test.status, test.reached)
		}
		if n := p.Requests.Count(http.MethodPut, test.path); n != 1 {
			t.Errorf("%s: counted %d, want 1", test.path, n)
		}
	}

	before := reached.Load()
	statuses := make(chan int)
	for _, path := range []string{"/held", "/held-answer"} {
		go func() {
			status, _ := request(t.Context(), http.MethodPut, p.URL+path, "x")
			statuses <- status
		}()
	}
	eventually(t, "one of the held requests at the server", func() bool { return reached.Load() == before+1 })
	select {
	case status := <-statuses:
		t.Fatalf("got %d while both are held", status)
	default:
	}
	close(held)
	for range 2 {
		if status := <-statuses; status != http.StatusCreated {
			t.Errorf("got %d after letting go, want 201", status)
		}
	}
}

func TestProxyOutlivesItsClients(t *testing.T) {
	var done atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && string(body) == "x" && r.Context().Err() == nil {
			done.Add(1)
		}
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(server.Close)
	came, late, answered, hold := make(chan string, 1), make(chan struct{}), make(chan int, 1), make(chan struct{})
	sent, taken := make(told, 1), make(chan struct{})
	p := servers.For(t, servers.StartProxy, servers.ProxyOptions{
		Target: server.URL,
		Fault: func(r *http.Request) servers.Fault {
			defer func() { came <- r.URL.Path }()
			if r.URL.Path == "/hold" {
				return servers.Fault{Hold: hold}
			}
			if r.URL.Path == "/late" {
				return servers.Fault{Late: late, Sent: sent, Taken: func() { close(taken) }}
			}
			return servers.Fault{Finish: true, Answered: func(status int) { answered <- status }, HoldAnswer: hold}
		},
	})
	// leave sends a request, and leaves once it is where it should be.
	leave := func(path string, reached func()) {
		ctx, cancel := context.WithCancel(t.Context())
		var client sync.WaitGroup
		client.Go(func() {
			if status, _ := request(ctx, http.MethodPut, p.URL+path, "x"); status != 0 {
				t.Errorf("%s: answered with %d", path, status)
			}
		})
		<-came
		reached()
		cancel()
		client.Wait()
	}
	leave("/finish", func() {
		if status := <-answered; status != http.StatusCreated {
			t.Errorf("told of %d, want 201", status)
		}
	})
	if n := done.Load(); n != 1 {
		t.Errorf("done %d times, want 1", n)
	}
	leave("/hold", func() {})
	eventually(t, "no connection of those who left", func() bool { return p.Connections() == 0 })
	leave("/late", func() {
		if body := <-sent; body != "x" {
			t.Errorf("saw %q pass, want x", body)
		}
		<-taken
	})
	if n := done.Load(); n != 1 {
		t.Errorf("done %d times before it was let go, want 1", n)
	}
	if n := p.Connections(); n == 0 {
		t.Error("no connection is left, but the late request still has its own")
	}
	close(late)
	eventually(t, "the late request done", func() bool { return done.Load() == 2 })
	eventually(t, "no connection left", func() bool { return p.Connections() == 0 })
}

// told is a writer that tells what is written.
type told chan string

func (t told) Write(b []byte) (int, error) {
	t <- string(b)
	return len(b), nil
}

func TestProxyCutsAnAnswerShort(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host+" says it")
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	p := servers.For(t, servers.StartProxy, servers.ProxyOptions{
		Target: server.URL, Plain: true, RewriteHost: true,
		TargetCA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		Fault: func(r *http.Request) servers.Fault {
			if r.URL.Path == "/cut" {
				return servers.Fault{CutAnswer: 4}
			}
			return servers.Fault{}
		},
	})
	if status, body := request(t.Context(), http.MethodGet, p.URL+"/whole", ""); status != http.StatusOK || body != host+" says it" {
		t.Errorf("got %d %q, want what %s says", status, body, host)
	}
	answer, err := http.Get(p.URL + "/cut") //nolint:noctx,gosec // it ends by itself, and the address is the test's
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err == nil || string(body) != host[:4] {
		t.Errorf("got %q and %v, want %q and a broken connection", body, err, host[:4])
	}
}

func TestProxyKeepsSignatures(t *testing.T) {
	s := servers.For(t, servers.StartS3, servers.S3Options{})
	var lose atomic.Bool
	lose.Store(true)
	p := servers.For(t, servers.StartProxy, servers.ProxyOptions{Target: s.URL, Fault: func(r *http.Request) servers.Fault {
		return servers.Fault{LoseAnswer: lose.Load() && r.Method == http.MethodPut}
	}})
	through := *s
	through.URL = p.URL
	if _, _, _, err := through.Do(t.Context(), http.MethodPut, "a", http.Header{"If-None-Match": {"*"}}, []byte("mine")); err == nil {
		t.Error("got an answer that should have been lost")
	}
	lose.Store(false)
	if status, _, _, err := through.Do(t.Context(), http.MethodPut, "a", http.Header{"If-None-Match": {"*"}}, []byte("mine")); err != nil || status != http.StatusPreconditionFailed {
		t.Errorf("got %d, %v; want 412, for the lost request was done", status, err)
	}
	status, body, _, err := through.Do(t.Context(), http.MethodGet, "a", nil, nil)
	if err != nil || status != http.StatusOK || string(body) != "mine" {
		t.Errorf("got %d %q, %v through the proxy", status, body, err)
	}
}

func TestProxyBeforeTLS(t *testing.T) {
	g := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{TLS: true})
	p := servers.For(t, servers.StartProxy, servers.ProxyOptions{Target: g.URL, TargetCA: g.CACert})
	r := newRepo(t)
	hash := commit(t, r, map[string]string{"a.yaml": "a: 1\n"})
	publish(t, r, filepath.Join(g.Root, "app.git"), servers.Serving{})
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, p.CACert, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := git(t, r, "-c", "http.sslCAInfo="+ca, "ls-remote", p.URL+"/app.git", "refs/heads/main"); !strings.HasPrefix(out, hash) {
		t.Errorf("got %q through the proxy, want main at %s", out, hash)
	}
	if status, reason := request(t.Context(), http.MethodGet, p.URL, ""); status != 0 || !strings.Contains(reason, "unknown authority") {
		t.Errorf("got %d %s of a client that does not know the authority", status, reason)
	}
}
