package cluster_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/tests/servers"
)

// patches makes a fault of applies only.
func patches(fault http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		fault(w, r)
		return true
	}
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// A busy server is asked again, when it wants to be, and not for ever.
func TestQuestionsAreRepeated(t *testing.T) {
	for name, test := range map[string]struct {
		refusals int // how many questions are turned away before one is answered
		after    string
		asked    int
		busy     bool
	}{
		"busy for a moment":      {2, "1", 3, false},
		"busy all the time":      {100, "0", 5, true},
		"come back in two hours": {100, "7200", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked int
			var last time.Time
			c := behind(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/namespaces/kube-system") {
					return false
				}
				if asked++; asked > 1 && test.after == "1" && time.Since(last) < time.Second {
					t.Errorf("question %d came after %s, want 1s at least", asked, time.Since(last))
				}
				last = time.Now()
				if asked > test.refusals {
					return false
				}
				answer(w, http.StatusTooManyRequests, http.Header{"Retry-After": {test.after}}, map[string]any{"reason": "TooManyRequests"})
				return true
			})
			_, err := c.Identity(t.Context())
			var busy *apply.BusyError
			if errors.As(err, &busy) != test.busy || asked != test.asked || !test.busy && err != nil {
				t.Errorf("asked %d times, got %v; want %d times, busy %t", asked, err, test.asked, test.busy)
			}
		})
	}
}

func TestAWaitingQuestionEndsWithItsContext(t *testing.T) {
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	c := behind(t, func(w http.ResponseWriter, _ *http.Request) bool {
		answer(w, http.StatusTooManyRequests, http.Header{"Retry-After": {"25"}}, map[string]any{"reason": "TooManyRequests"})
		time.AfterFunc(50*time.Millisecond, func() { cancel(stop) })
		return true
	})
	began := time.Now()
	if _, err := c.Identity(ctx); !errors.Is(err, stop) || time.Since(began) > 20*time.Second {
		t.Errorf("got %v after %s, want the context's cause at once", err, time.Since(began))
	}
}

// Whether a write may be sent again only its caller knows.
func TestWritesAreNotRepeated(t *testing.T) {
	ns := namespace(t)
	c := behind(t, patches(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusTooManyRequests, http.Header{"Retry-After": {"0"}}, map[string]any{"reason": "TooManyRequests"})
	}))
	_, err := c.Apply(t.Context(), configMap(t, ns, "one", "1"), apply.Target{}, true)
	if busy := (*apply.BusyError)(nil); !errors.As(err, &busy) || c.Requests()["apply"] != 1 {
		t.Errorf("got %v after %v requests, want one that the server was too busy for", err, c.Requests())
	}
}

// cutWithin answers with a status code and the beginning of an explanation.
func cutWithin(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(code)
		_, _ = w.Write([]byte(`{"kind":"Status",`))
	}
}

func TestAnswers(t *testing.T) {
	type status = map[string]any
	header := func(after string) http.Header { return http.Header{"Retry-After": {after}} }
	for name, test := range map[string]struct {
		fault http.HandlerFunc
		want  error
		after time.Duration // of a BusyError
	}{
		"too many requests": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 429, header("7"), status{"reason": "TooManyRequests", "message": "slow down"})
		}, nil, 7 * time.Second},
		"too many requests, says a proxy": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, nil, time.Second},
		"starting": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 503, nil, status{"reason": "ServiceUnavailable"})
		}, nil, time.Second},
		"server time-out": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 500, nil, status{"reason": "ServerTimeout", "details": status{"retryAfterSeconds": 3}})
		}, nil, 3 * time.Second},
		"no backend, says a proxy": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, apply.ErrUnanswered, 0},
		"bad gateway":              {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, apply.ErrUnanswered, 0},
		"gateway time-out":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(504) }, apply.ErrUnanswered, 0},
		"storage time-out": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 500, nil, status{"message": "etcdserver: request timed out"})
		}, apply.ErrUnanswered, 0},
		"request time-out": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 504, nil, status{"reason": "Timeout", "message": "Timeout: request did not complete within requested timeout"})
		}, apply.ErrUnanswered, 0},
		"cut": {cut, apply.ErrUnanswered, 0},
		"cut within the answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
		}, apply.ErrUnanswered, 0},
		"not found, cut within the explanation": {cutWithin(404), apply.ErrUnanswered, 0},
		"conflict, cut within the explanation":  {cutWithin(409), apply.ErrUnanswered, 0},
		"invalid, cut within the explanation":   {cutWithin(422), apply.ErrUnanswered, 0},
		"forbidden, cut within the explanation": {cutWithin(403), apply.ErrForbidden, 0},
		"no object":                             {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, apply.ErrUnanswered, 0},
		"no JSON":                               {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, apply.ErrUnanswered, 0},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 413, nil, status{"reason": "RequestEntityTooLarge"})
		}, apply.ErrRejected, 0},
		"redirect": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(307)
		}, apply.ErrRejected, 0},
		"kind is gone": {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, apply.ErrNoKind, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := behind(t, patches(test.fault))
			one := configMap(t, "default", "one", "a")
			_, err := c.Apply(t.Context(), one, apply.Target{}, true)
			var busy *apply.BusyError
			switch {
			case test.want != nil && (!errors.Is(err, test.want) || errors.As(err, &busy)):
				t.Errorf("got %v, want %v", err, test.want)
			case test.want == nil && (!errors.As(err, &busy) || busy.After != test.after || errors.Is(err, apply.ErrUnanswered)):
				t.Errorf("got %v, want busy for %s", err, test.after)
			}
			if sent := c.Requests()["apply"]; sent != 1 {
				t.Errorf("it was sent %d times, want once", sent)
			}
		})
	}
}

// The write took effect and its answer was lost: that must not look like a
// failure.
func TestLostAnswer(t *testing.T) {
	ns := namespace(t)
	one := configMap(t, ns, "one", "a")
	body, err := one.JSON()
	if err != nil {
		t.Fatal(err)
	}
	c := behind(t, patches(func(w http.ResponseWriter, r *http.Request) {
		admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
			_, err := plane.Apply(ctx, r.URL.Path, cluster.FieldManager, body)
			return err
		})
		cut(w, r)
	}))
	if _, err := c.Apply(t.Context(), one, apply.Target{}, true); !errors.Is(err, apply.ErrUnanswered) {
		t.Errorf("got %v, want ErrUnanswered", err)
	}
	if meta, err := c.Metadata(t.Context(), one.ID, "v1"); err != nil || meta.Owned == "" {
		t.Errorf("got %+v, %v, want the object there", meta, err)
	}
}

func TestTimeout(t *testing.T) {
	slow := patches(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does a server notice that the client has left
		<-r.Context().Done()
	})
	one := configMap(t, "default", "one", "a")

	c := behind(t, slow, func(o *cluster.Options) { o.Timeout = 200 * time.Millisecond })
	_, err := c.Apply(t.Context(), one, apply.Target{}, true)
	if want := "no answer: waited 200ms"; !errors.Is(err, apply.ErrUnanswered) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}

	lost := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	c = behind(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			cancel(lost)
		}
		return slow(w, r)
	})
	_, err = c.Apply(ctx, one, apply.Target{}, true)
	if !errors.Is(err, apply.ErrUnanswered) || !errors.Is(err, lost) {
		t.Errorf("got %v when stopped midway, want ErrUnanswered and why", err)
	}
	_, err = c.Apply(ctx, one, apply.Target{}, true)
	if errors.Is(err, apply.ErrUnanswered) || !errors.Is(err, lost) {
		t.Errorf("got %v when stopped before, want only why", err)
	}
}

func TestUnreachable(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, edit := range map[string]func(*cluster.Options){
		"nobody listens":       func(o *cluster.Options) { o.Server, o.CA = closed.URL, nil },
		"no such host":         func(o *cluster.Options) { o.Server = "https://nowhere.invalid" },
		"not even its own TLS": func(o *cluster.Options) { o.Server = strings.Replace(closed.URL, "http:", "https:", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, edit).Identity(t.Context())
			if !errors.Is(err, apply.ErrUnreachable) || errors.Is(err, apply.ErrUnanswered) {
				t.Errorf("got %v, want ErrUnreachable", err)
			}
		})
	}
}

// A server that nobody vouches for answers; it is the configuration that is
// wrong, or somebody is between.
func TestUntrusted(t *testing.T) {
	_, err := open(t, func(o *cluster.Options) { o.CA = nil }).Identity(t.Context())
	if err == nil || errors.Is(err, apply.ErrUnreachable) || errors.Is(err, apply.ErrUnanswered) || !strings.Contains(err.Error(), "certificate is not trusted") {
		t.Errorf("got %v, want that the certificate is not trusted", err)
	}
}

func TestRedirectsKeepTheToken(t *testing.T) {
	var asked bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(elsewhere.Close)
	c := behind(t, func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		return true
	})
	if _, err := c.Identity(t.Context()); err == nil || asked {
		t.Errorf("got %v, and the other server was asked: %t", err, asked)
	}
}
