package scripts_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

// cast are the servers that all tests share, each started when it is first asked for.
type cast struct {
	cluster, another func() (*servers.ControlPlane, error)
	s3               func() (*servers.S3, error)
	gcs              func() (*servers.GCS, error)
	// binDir is a folder that holds the binary and nothing else.
	binDir func() (string, error)

	mu      sync.Mutex
	started []servers.Stopper
}

var shared *cast

func newCast(dir string) *cast {
	c := &cast{}
	controlPlane := servers.ControlPlaneOptions{
		Audit: true, Users: users(), ControllerManager: true,
		// What finishes deletions; the others would only take time.
		ControllerManagerFlags: []string{"--controllers=namespace-controller,garbage-collector-controller,persistentvolumeclaim-protection-controller"},
	}
	c.cluster = lazily(c, filepath.Join(dir, "cluster"), servers.StartControlPlane, controlPlane)
	c.another = lazily(c, filepath.Join(dir, "another"), servers.StartControlPlane, servers.ControlPlaneOptions{})
	c.s3 = lazily(c, filepath.Join(dir, "s3"), servers.StartS3, servers.S3Options{})
	c.gcs = lazily(c, filepath.Join(dir, "gcs"), servers.StartGCS, servers.GCSOptions{})
	c.binDir = sync.OnceValues(func() (string, error) {
		path, err := binary.Path()
		if err != nil {
			return "", err
		}
		bin := filepath.Join(dir, "bin")
		if err := os.Mkdir(bin, 0o755); err != nil {
			return "", err
		}
		return bin, os.Symlink(path, filepath.Join(bin, "tidemark"))
	})
	return c
}

// users are one for each script, one for the bad input and one for the wide fleet, so that the API server's audit log tells them apart.
func users() []servers.User {
	scripts, _ := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	all := []servers.User{{Name: badInput, Groups: []string{"system:masters"}}, {Name: wideFleet, Groups: []string{"system:masters"}}}
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".txtar")
		all = append(all, servers.User{Name: name, Groups: []string{"system:masters"}})
	}
	return all
}

func lazily[S servers.Stopper, O any](c *cast, dir string, start func(context.Context, string, O) (S, error), options O) func() (S, error) {
	return sync.OnceValues(func() (S, error) {
		var none S
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
