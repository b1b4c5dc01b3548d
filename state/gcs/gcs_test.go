package gcs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/gcs"
	"tidemark.dev/tidemark/state/storetest"
	"tidemark.dev/tidemark/tests/servers"
	"tidemark.dev/tidemark/tests/servers/assets"
)

// hasty is a clock on which every sleep is over at once. Those who sleep at the
// same time wake at the same time.
type hasty struct{ slept atomic.Int64 }

func (c *hasty) Wall() time.Time     { return time.Unix(0, c.slept.Load()) }
func (c *hasty) Mono() time.Duration { return time.Duration(c.slept.Load()) }
func (c *hasty) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	until := c.slept.Load() + int64(d)
	for {
		now := c.slept.Load()
		if now >= until || c.slept.CompareAndSwap(now, until) {
			return nil
		}
	}
}

func open(t *testing.T, options gcs.Options) *gcs.Store {
	t.Helper()
	store, err := gcs.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestStore(t *testing.T) {
	server := servers.For(t, servers.StartGCS, servers.GCSOptions{})
	var opened atomic.Int64
	storetest.Run(t, func(t *testing.T) state.Store {
		return open(t, gcs.Options{
			Bucket: server.Bucket, Prefix: fmt.Sprintf("ledgers/%d", opened.Add(1)), Endpoint: server.URL, Clock: &hasty{},
		})
	})
	t.Run("no such bucket", func(t *testing.T) {
		store := open(t, gcs.Options{Bucket: "missing", Endpoint: server.URL})
		if _, err := store.Create(t.Context(), "head.json", []byte("x")); !errors.Is(err, state.ErrRefused) {
			t.Errorf("Create: got %v, want ErrRefused", err)
		}
	})
}

// proxied gives a store behind a proxy that does fault to the first n writes.
func proxied(t *testing.T, n int64, fault servers.Fault) (*gcs.Store, *hasty, *atomic.Int64) {
	t.Helper()
	server := servers.For(t, servers.StartGCS, servers.GCSOptions{})
	var writes atomic.Int64
	proxy := servers.For(t, servers.StartProxy, servers.ProxyOptions{
		Target: server.URL,
		Fault: func(request *http.Request) servers.Fault {
			if strings.HasPrefix(request.URL.Path, "/upload/") && writes.Add(1) <= n {
				return fault
			}
			return servers.Fault{}
		},
	})
	clock := &hasty{}
	return open(t, gcs.Options{Bucket: server.Bucket, Prefix: "p", Endpoint: proxy.URL, Clock: clock}), clock, &writes
}

func TestTooManyRequestsAreRepeated(t *testing.T) {
	store, clock, writes := proxied(t, 3, servers.Fault{Status: http.StatusTooManyRequests})
	if _, err := store.Create(t.Context(), "head.json", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if got := writes.Load(); got != 4 {
		t.Errorf("%d writes were sent, want 4", got)
	}
	if slept := clock.Mono(); slept < 7*time.Second {
		t.Errorf("slept for %s, want 1 + 2 + 4 s or more", slept)
	}
}

func TestOtherFailuresAreNotRepeated(t *testing.T) {
	for name, fault := range map[string]servers.Fault{
		"503":         {Status: http.StatusServiceUnavailable},
		"reset":       {Reset: true},
		"lost answer": {LoseAnswer: true},
	} {
		store, _, writes := proxied(t, 1, fault)
		_, err := store.Create(t.Context(), "head.json", []byte("one"))
		for _, certain := range []error{nil, state.ErrExists, state.ErrChanged, state.ErrNotFound, state.ErrRefused} {
			if errors.Is(err, certain) {
				t.Errorf("%s: got %v, want an unknown outcome", name, err)
			}
		}
		if got := writes.Load(); got != 1 {
			t.Errorf("%s: %d writes were sent, want 1", name, got)
		}
	}
}

func TestWritesOfOneNameAreSpacedOut(t *testing.T) {
	store, clock, _ := proxied(t, 0, servers.Fault{})
	stamp, err := store.Create(t.Context(), "head.json", []byte("0"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if stamp, err = store.Swap(t.Context(), "head.json", fmt.Append(nil, i+1), stamp.Version); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Create(t.Context(), fmt.Sprintf("blob-%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if slept := clock.Mono(); slept != 3*time.Second {
		t.Errorf("three swaps after a create took %s, want 3s; blobs wait for nobody", slept)
	}
}

// busy answers two writes of three with 429.
type busy struct{ writes atomic.Int64 }

func (b *busy) RoundTrip(request *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(request.URL.Path, "/upload/") || b.writes.Add(1)%3 == 0 {
		return http.DefaultTransport.RoundTrip(request)
	}
	_, err := io.Copy(io.Discard, request.Body)
	return &http.Response{
		StatusCode: http.StatusTooManyRequests, Header: http.Header{}, Body: http.NoBody, Request: request,
	}, errors.Join(err, request.Body.Close())
}

// Racers of one process do not queue up for one write a second, and a store that
// has too many of them is slow, not unfit.
func TestProbeTakesSeconds(t *testing.T) {
	server := servers.For(t, servers.StartGCS, servers.GCSOptions{})
	for name, transport := range map[string]http.RoundTripper{"idle": nil, "busy": &busy{}} {
		clock := &hasty{}
		store := open(t, gcs.Options{Bucket: server.Bucket, Prefix: name, Endpoint: server.URL, Transport: transport, Clock: clock})
		l, err := state.Open(store, state.Options{Run: "run"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.Probe(t.Context()); err != nil || got.Unknown > 0 {
			t.Errorf("%s: got %+v, %v, want certain answers", name, got, err)
		}
		if slept := clock.Mono(); transport == nil && slept > 5*time.Second {
			t.Errorf("%s: slept for %s, want a second for each of three writes", name, slept)
		}
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]gcs.Options{
		"gs://tides":         {Bucket: "tides"},
		"gs://tides/prod/a/": {Bucket: "tides", Prefix: "prod/a"},
		"gs://tides?endpoint=http://127.0.0.1:4443": {Bucket: "tides", Endpoint: "http://127.0.0.1:4443"},
	} {
		got, err := gcs.ParseURL(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ParseURL(%q): %v, want - got +\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"gs://", "gs:///prefix", "s3://tides", "gs://u:p@tides", "gs://tides?key=x"} {
		if got, err := gcs.ParseURL(text); err == nil {
			t.Errorf("ParseURL(%q): got %v, want an error", text, got)
		}
	}
}

func TestRaces(t *testing.T) {
	t.Parallel()
	server := servers.For(t, servers.StartGCS, servers.GCSOptions{})
	bundle, err := assets.GCS()
	if err != nil {
		t.Fatal(err)
	}
	storetest.Races(t, "gcs on fake-gcs-server "+bundle.Version, func(t *testing.T, place string) state.Store {
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		return open(t, gcs.Options{Bucket: server.Bucket, Prefix: place, Endpoint: server.URL, Transport: transport, Clock: &hasty{}})
	})
}
