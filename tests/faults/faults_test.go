// Package faults_test proves that nothing is lost, whatever dies: the built binary runs against a real API server, a
// real git server and real object stores, is killed at every request that it sends, and finds its network broken in
// every way that networks break. After each of that the invariants of DESIGN §5 are checked, and clean runs must bring
// the cluster to where it should be.
//
// Words: a *world* is one ledger with all that goes with it, which no other test touches: namespaces, a repository, and
// proxies before cluster, store and git that name every request. A *point* is one such request, and whether Tidemark
// dies before the server gets it, after the server did it, or while it is on its way. A *scenario* is a story of commits
// in whose midst a run is killed.
//
// What runs is a sample; with the variable TIDEMARK_SOAK set, everything runs (make soak).
package faults_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

// soak says that everything runs, not only a sample.
var soak = os.Getenv("TIDEMARK_SOAK") != ""

func TestMain(m *testing.M) {
	flag.Parse()
	// Worlds wait for leases to run out most of the time; cast.slots bounds those that work.
	if err := flag.Set("test.parallel", "64"); err != nil {
		panic(err)
	}
	zerolog.SetGlobalLevel(zerolog.Disabled) // the wires' own
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tidemark-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = newCast(dir)
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// cast are the servers that all worlds share, each started when it is first asked for.
type cast struct {
	dir     string
	cluster func() (*servers.ControlPlane, error)
	s3      func() (*servers.S3, error)
	gcs     func() (*servers.GCS, error)
	git     func() (*servers.GitHTTP, error)
	deletes *deletes
	// slots bounds how many worlds there are at once.
	slots      chan struct{}
	worlds     atomic.Int64
	recordings sync.Map // recorded's, by scenario and store

	mu      sync.Mutex
	started []servers.Stopper
}

var shared *cast

// user is who Tidemark is to the API server; rival is another Tidemark, where the audit log must tell two apart.
const user, rival = "tidemark", "rival"

// The user of the repositories, and what must be seen nowhere but where it belongs.
const (
	gitUser     = "tide"
	gitPassword = "canary-of-the-git-password"
	secretValue = "canary-of-a-secret-value"
)

func newCast(dir string) *cast {
	c := &cast{dir: dir, slots: make(chan struct{}, 16)}
	c.cluster = lazily(c, "cluster", servers.StartControlPlane, servers.ControlPlaneOptions{
		Audit: true, Users: []servers.User{{Name: user, Groups: []string{"system:masters"}}, {Name: rival, Groups: []string{"system:masters"}}},
	})
	c.s3 = lazily(c, "s3", servers.StartS3, servers.S3Options{})
	c.gcs = lazily(c, "gcs", servers.StartGCS, servers.GCSOptions{})
	c.git = lazily(c, "git", servers.StartGitHTTP, servers.GitHTTPOptions{Username: gitUser, Password: gitPassword})
	c.deletes = &deletes{log: c.cluster}
	return c
}

func lazily[S servers.Stopper, O any](c *cast, name string, start func(context.Context, string, O) (S, error), options O) func() (S, error) {
	return sync.OnceValues(func() (S, error) {
		var none S
		dir := filepath.Join(c.dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return none, err
		}
		server, err := start(context.Background(), dir, options)
		if err != nil {
			return none, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.started = append(c.started, server)
		return server, nil
	})
}

func (c *cast) stop() error {
	var errs []error
	for _, server := range slices.Backward(c.started) {
		errs = append(errs, server.Stop())
	}
	return errors.Join(errs...)
}

// ready skips nothing: a test that cannot have its servers fails.
func (c *cast) ready(t *testing.T) {
	t.Helper()
	if _, err := binary.Path(); err != nil {
		t.Fatal(err)
	}
	_, err := c.cluster()
	_, err2 := c.git()
	if err := errors.Join(err, err2); err != nil {
		t.Fatalf("start the servers: %v", err)
	}
}
