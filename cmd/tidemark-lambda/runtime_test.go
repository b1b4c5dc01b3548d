package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const functionARN = "arn:aws:lambda:eu-central-1:123456789012:function:tidemark"

// lambdaAPI is the runtime API as the AWS documentation tells it: one invocation
// at a time, its end by response or error, each answered 202; what belongs to no
// open invocation is refused.
type lambdaAPI struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex
	open  string
	count int
	calls chan offered
	ends  chan ended
}

type offered struct {
	event   string
	timeout time.Duration
}

// ended is what the function said: a response, or a fault with its type.
type ended struct {
	// resource is response, error or init/error.
	resource string
	kind     string
	body     []byte
}

func newLambdaAPI(t *testing.T) *lambdaAPI {
	api := &lambdaAPI{t: t, calls: make(chan offered), ends: make(chan ended, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", api.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{end}", api.end)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", func(w http.ResponseWriter, r *http.Request) { api.take(w, r, "init/error") })
	api.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		api.CloseClientConnections()
		api.Close()
	})
	return api
}

func (api *lambdaAPI) host() string { return strings.TrimPrefix(api.URL, "http://") }

// invoke calls the function and waits for its end.
func (api *lambdaAPI) invoke(timeout time.Duration, event string) ended {
	api.t.Helper()
	select {
	case api.calls <- offered{event: event, timeout: timeout}:
	case <-time.After(time.Minute):
		api.t.Fatal("the function does not ask for its next invocation")
	}
	return api.ended(timeout)
}

func (api *lambdaAPI) ended(timeout time.Duration) ended {
	api.t.Helper()
	select {
	case end := <-api.ends:
		return end
	case <-time.After(timeout):
		api.t.Fatalf("the function did not answer in %s, which Lambda gives it", timeout)
	}
	return ended{}
}

func (api *lambdaAPI) next(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
		return
	case call := <-api.calls:
		api.mu.Lock()
		defer api.mu.Unlock()
		if api.open != "" {
			api.t.Errorf("the function asked for another invocation before it ended %s", api.open)
		}
		api.count++
		api.open = fmt.Sprintf("8476a536-e9f4-11e8-9739-%012d", api.count)
		header := w.Header()
		header.Set("Lambda-Runtime-Aws-Request-Id", api.open)
		header.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(call.timeout).UnixMilli()))
		header.Set("Lambda-Runtime-Invoked-Function-Arn", functionARN)
		header.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1")
		header.Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, call.event)
	}
}

func (api *lambdaAPI) end(w http.ResponseWriter, r *http.Request) {
	api.mu.Lock()
	known := api.open == r.PathValue("id")
	api.open = ""
	api.mu.Unlock()
	if !known {
		w.WriteHeader(http.StatusBadRequest)
		api.t.Errorf("%s: no such invocation is open", r.URL.Path)
		return
	}
	api.take(w, r, r.PathValue("end"))
}

func (api *lambdaAPI) take(w http.ResponseWriter, r *http.Request, resource string) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !json.Valid(body) {
		w.WriteHeader(http.StatusBadRequest)
		api.t.Errorf("%s: %v, %q is not JSON", r.URL.Path, err, body)
		return
	}
	kind := r.Header.Get("Lambda-Runtime-Function-Error-Type")
	if strings.HasSuffix(resource, "error") {
		var f fault
		if err := json.Unmarshal(body, &f); err != nil || f.Type != kind || f.Type == "" || f.Message == "" || f.Stack == nil {
			api.t.Errorf("%s: %q with the type %q is not an error as Lambda wants it", resource, body, kind)
		}
	}
	w.WriteHeader(http.StatusAccepted)
	api.ends <- ended{resource: resource, kind: kind, body: body}
}
