package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/s3"
	"tidemark.dev/tidemark/state/storetest"
	"tidemark.dev/tidemark/tests/servers"
	"tidemark.dev/tidemark/tests/servers/assets"
)

func options(t *testing.T, server *servers.S3) s3.Options {
	t.Helper()
	// Connections that stay open would hold the server up when it is to stop.
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return s3.Options{
		HTTP:   &http.Client{Transport: transport},
		Bucket: server.Bucket, Region: server.Region, Endpoint: server.URL, PathStyle: true,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey,
	}
}

func open(t *testing.T, options s3.Options) *s3.Store {
	t.Helper()
	store, err := s3.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestStore(t *testing.T) {
	server := servers.For(t, servers.StartS3, servers.S3Options{})
	var opened atomic.Int64
	storetest.Run(t, func(t *testing.T) state.Store {
		options := options(t, server)
		options.Prefix = fmt.Sprintf("ledgers/%d", opened.Add(1))
		return open(t, options)
	})
	t.Run("at the root of the bucket", func(t *testing.T) {
		store := open(t, options(t, server))
		if _, err := store.Create(t.Context(), "head.json", []byte("one")); err != nil {
			t.Fatal(err)
		}
		if entries, err := store.List(t.Context(), "head"); err != nil || len(entries) != 1 || entries[0].Name != "head.json" {
			t.Errorf("List: got %v, %v", entries, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		for name, edit := range map[string]func(*s3.Options){
			"wrong secret":      func(o *s3.Options) { o.SecretKey = "wrong" },
			"unknown key":       func(o *s3.Options) { o.AccessKey = "stranger" },
			"no such bucket":    func(o *s3.Options) { o.Bucket = "missing" },
			"impossible bucket": func(o *s3.Options) { o.Bucket = "Im_possible" },
		} {
			options := options(t, server)
			edit(&options)
			store := open(t, options)
			if _, err := store.Get(t.Context(), "head.json"); !errors.Is(err, state.ErrRefused) {
				t.Errorf("%s: Get gives %v, want ErrRefused", name, err)
			}
			if _, err := store.Create(t.Context(), "refused.json", []byte("x")); !errors.Is(err, state.ErrRefused) {
				t.Errorf("%s: Create gives %v, want ErrRefused", name, err)
			}
		}
	})
}

// Each write is sent once: the ledger alone may repeat it.
func TestWritesAreNotRepeated(t *testing.T) {
	server := servers.For(t, servers.StartS3, servers.S3Options{})
	for name, fault := range map[string]servers.Fault{
		"503":         {Status: http.StatusServiceUnavailable},
		"reset":       {Reset: true},
		"lost answer": {LoseAnswer: true},
	} {
		proxy := servers.For(t, servers.StartProxy, servers.ProxyOptions{
			Target: server.URL,
			Fault: func(request *http.Request) servers.Fault {
				if request.Method == http.MethodPut {
					return fault
				}
				return servers.Fault{}
			},
		})
		options := options(t, server)
		options.Endpoint, options.Prefix = proxy.URL, "once-"+fmt.Sprint(fault.Status, fault.Reset)
		store := open(t, options)
		for what, write := range map[string]func() error{
			"Create": func() error { _, err := store.Create(t.Context(), "made.json", []byte("x")); return err },
			"Swap":   func() error { _, err := store.Swap(t.Context(), "swapped.json", []byte("x"), `"v"`); return err },
		} {
			before := len(proxy.Requests.All())
			err := write()
			for _, certain := range []error{nil, state.ErrExists, state.ErrChanged, state.ErrNotFound, state.ErrRefused} {
				if errors.Is(err, certain) {
					t.Errorf("%s, %s: got %v, want an unknown outcome", name, what, err)
				}
			}
			if sent := len(proxy.Requests.All()) - before; sent != 1 {
				t.Errorf("%s, %s: %d requests were sent, want 1", name, what, sent)
			}
		}
	}
}

func TestOpenWithoutCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	if _, err := s3.Open(t.Context(), s3.Options{Bucket: "b", Region: "eu-north-1"}); !errors.Is(err, state.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]s3.Options{
		"s3://tides":         {Bucket: "tides"},
		"s3://tides/prod/a/": {Bucket: "tides", Prefix: "prod/a"},
		"s3://tides/p?region=eu-north-1&endpoint=http://127.0.0.1:9000&path-style=true": {
			Bucket: "tides", Prefix: "p", Region: "eu-north-1", Endpoint: "http://127.0.0.1:9000", PathStyle: true,
		},
	} {
		got, err := s3.ParseURL(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ParseURL(%q): %v, want - got +\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"s3://", "s3:///prefix", "gs://tides", "s3://key:secret@tides/p", "s3://tides?secret=x", "s3://tides?path-style=maybe"} {
		if got, err := s3.ParseURL(text); err == nil {
			t.Errorf("ParseURL(%q): got %v, want an error", text, got)
		}
	}
}

func TestRaces(t *testing.T) {
	t.Parallel()
	server := servers.For(t, servers.StartS3, servers.S3Options{})
	bundle, err := assets.S3()
	if err != nil {
		t.Fatal(err)
	}
	storetest.Races(t, "s3 on versitygw "+bundle.Version, func(t *testing.T, place string) state.Store {
		options := options(t, server)
		options.Prefix = place
		return open(t, options)
	})
}
