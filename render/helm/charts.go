package helm

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
)

// ErrUnreachable is the case of a chart repository or registry that does not
// answer, or answers that it cannot.
var ErrUnreachable = errors.New("does not answer")

// Credentials say how one chart repository or registry is spoken to.
type Credentials struct {
	// Username and Password are sent by basic authentication, or to the token
	// service that the registry names.
	Username, Password string
	// BearerToken is sent as it is; it wins over Username.
	BearerToken string
	// CA holds certificates (PEM) that are trusted besides the system's.
	CA []byte
	// PlainHTTP speaks HTTP with an oci:// registry, and lets credentials go
	// over HTTP. Loopback addresses need no such word.
	PlainHTTP bool
}

// ChartsOptions configure Charts. The zero value reaches public repositories.
type ChartsOptions struct {
	// Credentials are by URL, https://, http:// or oci://; the longest one that
	// is a repository's URL or a folder above it counts, for that repository's
	// own host only. A repository that a Chart.yaml names on a private address,
	// or over plain HTTP, is used only when it is listed here; the Credentials
	// may be empty.
	Credentials map[string]Credentials
	// Proxy chooses a proxy; nil means none. (http.ProxyFromEnvironment reads
	// the environment, which is for cmd to decide.)
	Proxy func(*http.Request) (*url.URL, error)
	// UserAgent is sent with each request; empty means "tidemark".
	UserAgent string
}

// Charts fetches charts over the network into memory, and keeps what it
// fetched: make one for each run. It is safe for concurrent use.
type Charts struct {
	options ChartsOptions
	indexes memo[index]
	packed  memo[packed]

	mu         sync.Mutex
	transports map[string]http.RoundTripper
}

// packed is a chart as it came from a repository.
type packed struct {
	version ChartVersion
	data    []byte
}

// trust says who named a repository.
type trust int

const (
	// trusted: the configuration named it.
	trusted trust = iota
	// untrusted: a file in a repository named it, and may mean to make the
	// runner call a service that only the runner can reach.
	untrusted
)

// NewCharts makes Charts. It sends nothing. Credentials for what is no URL, and
// certificates that cannot be read, are errors.
func NewCharts(options ChartsOptions) (*Charts, error) {
	if options.UserAgent == "" {
		options.UserAgent = "tidemark"
	}
	for repo, c := range options.Credentials {
		if _, err := parseRepo(repo); err != nil {
			return nil, fmt.Errorf("credentials: %w", err)
		}
		if len(c.CA) > 0 && !x509.NewCertPool().AppendCertsFromPEM(c.CA) {
			return nil, fmt.Errorf("credentials for %s: ca holds no certificate in PEM", repo)
		}
	}
	return &Charts{options: options, transports: map[string]http.RoundTripper{}}, nil
}

// Resolve gives the version that a reference means now, by one look-up and
// without fetching the chart. Its Digest is empty when the repository's index
// does not tell it, its Version when the reference is a digest alone.
func (c *Charts) Resolve(ctx context.Context, ref ChartRef) (ChartVersion, error) {
	found, err := c.find(ctx, ref, trusted)
	if err != nil {
		return ChartVersion{}, err
	}
	return found.version, nil
}

// fetch gives the newest chart that a reference allows, as a gzipped tar.
func (c *Charts) fetch(ctx context.Context, ref ChartRef, by trust) (ChartVersion, []byte, error) {
	found, err := c.find(ctx, ref, by)
	if err != nil {
		return ChartVersion{}, nil, err
	}
	key := fmt.Sprintf("%d %s", by, found.key)
	got, err := c.packed.do(key, func() (packed, error) {
		version, data, err := found.fetch(ctx)
		return packed{version: version, data: data}, err
	})
	return got.version, got.data, err
}

// located is a chart that was found and not fetched yet.
type located struct {
	version ChartVersion
	// key is the same for what is the same chart.
	key   string
	fetch func(context.Context) (ChartVersion, []byte, error)
}

// find looks a reference up, in the index of an HTTP repository or among the
// tags of a registry.
func (c *Charts) find(ctx context.Context, ref ChartRef, by trust) (located, error) {
	if err := ref.check(); err != nil {
		return located{}, fmt.Errorf("chart %s: %w", ref.Name, err)
	}
	s, err := c.session(ref.Repo, by)
	if err != nil {
		return located{}, fmt.Errorf("chart %s: %w", ref.Name, err)
	}
	look := c.inIndex
	if s.repo.Scheme == "oci" {
		look = c.inRegistry
	}
	found, err := look(ctx, s, ref)
	if err != nil {
		return located{}, fmt.Errorf("chart %s in %s: %w", ref.Name, ref.Repo, err)
	}
	return found, nil
}

// check refuses a reference that cannot mean anything.
func (r ChartRef) check() error {
	if r.Name == "" || strings.ContainsAny(r.Name, "/\\") || r.Name == "." || r.Name == ".." {
		return fmt.Errorf("%q is not the name of a chart", r.Name)
	}
	if r.Version != "" {
		if _, err := semver.NewConstraint(r.Version); err != nil {
			return fmt.Errorf("version %q is neither a version nor a range of versions", r.Version)
		}
	}
	if r.Digest != "" {
		sum, found := strings.CutPrefix(r.Digest, "sha256:")
		if data, err := hex.DecodeString(sum); !found || err != nil || len(data) != 32 {
			return fmt.Errorf("digest %q is not sha256: and 64 hexadecimal digits", r.Digest)
		}
	}
	return nil
}

// exact gives the version that a reference names, and whether it names one
// rather than a range.
func (r ChartRef) exact() (string, bool) {
	_, err := semver.StrictNewVersion(strings.TrimPrefix(r.Version, "v"))
	return r.Version, err == nil
}

// newest gives the index of the newest of some versions that a reference
// allows, -1 for none. Without a range, pre-releases do not count; an exact
// version is found as it is written.
func (r ChartRef) newest(versions []string) int {
	if want, exact := r.exact(); exact {
		for i, v := range versions {
			if sameVersion(v, want) {
				return i
			}
		}
		return -1
	}
	constraint := r.Version
	if constraint == "" {
		constraint = "*"
	}
	allowed, err := semver.NewConstraint(constraint)
	if err != nil {
		return -1
	}
	best, at := (*semver.Version)(nil), -1
	for i, text := range versions {
		v, err := semver.NewVersion(text)
		if err == nil && allowed.Check(v) && (best == nil || v.GreaterThan(best)) {
			best, at = v, i
		}
	}
	return at
}

// sameVersion says whether two versions are the same, build metadata too; one
// may have a "v" in front.
func sameVersion(a, b string) bool {
	return strings.TrimPrefix(a, "v") == strings.TrimPrefix(b, "v")
}

// memo does each thing once, and again only when it went wrong.
type memo[T any] struct {
	mu    sync.Mutex
	calls map[string]*call[T]
}

type call[T any] struct {
	mu    sync.Mutex
	done  bool
	value T
}

func (m *memo[T]) do(key string, f func() (T, error)) (T, error) {
	m.mu.Lock()
	if m.calls == nil {
		m.calls = map[string]*call[T]{}
	}
	c, ok := m.calls[key]
	if !ok {
		c = &call[T]{}
		m.calls[key] = c
	}
	m.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return c.value, nil
	}
	value, err := f()
	if err == nil {
		c.value, c.done = value, true
	}
	return value, err
}
