// Package servers starts the real servers that Tidemark is tested and shown against: a Kubernetes control plane,
// nodes that are played, git over HTTP and SSH, S3, GCS, and a proxy that breaks the way to any of them on demand.
//
// Each is started by one function that takes a folder for its data and its log, answers when the server is ready, and
// leaves it running until Stop; the context bounds the start only. All listen on 127.0.0.1, on free ports. Where the
// system allows it (Linux), they die with the process that started them, however that dies.
//
// Programs call the Start functions; tests wrap them in For. The programs behind them are built by
//
//	go run ./tests/servers/install
//
// It uses the standard library only, so that tests may import it without weighing on the product's dependencies, and
// so that what it says about a cluster or a bucket is independent of the product's own clients.
package servers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// TB is the part of testing.TB that For needs.
type TB interface {
	Helper()
	Cleanup(func())
	Context() context.Context
	TempDir() string
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Stopper is any started server.
type Stopper interface{ Stop() error }

// For starts a server for one test, in a folder of its own, and stops it when the test ends:
//
//	cp := servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{})
func For[S Stopper, O any](tb TB, start func(context.Context, string, O) (S, error), options O) S {
	tb.Helper()
	dir := tb.TempDir()
	server, err := start(tb.Context(), dir, options)
	if err != nil {
		tb.Fatalf("start %T: %v", server, err)
	}
	tb.Cleanup(func() {
		if err := server.Stop(); err != nil {
			tb.Errorf("stop %T: %v", server, err)
		}
	})
	return server
}

const startLimit = 90 * time.Second

// poll calls ready until it answers nil; when the context ends first, it answers with what ready said last.
func poll(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// freePort finds a port that nothing listens on. It keeps below the range from which systems take ports for outgoing
// connections and listeners without one, so that nobody gets it by chance before the server does.
func freePort() (int, error) {
	var last error
	for range 100 {
		port := 10240 + rand.IntN(32000-10240)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			last = err
			continue
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}
