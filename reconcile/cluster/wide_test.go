package cluster_test

import (
	"bytes"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
)

// Everything goes over one HTTP/2 connection, however wide.
func TestWideRequestsShareAConnection(t *testing.T) {
	ns := namespace(t)
	// client-go shares connections between equal configurations.
	c := open(t, func(o *cluster.Options) { o.CA = append(bytes.Clone(o.CA), '\n') })
	var mu sync.Mutex
	var protocols []string
	connections, reused := map[string]bool{}, 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		TLSHandshakeDone: func(state tls.ConnectionState, _ error) {
			mu.Lock()
			defer mu.Unlock()
			protocols = append(protocols, state.NegotiatedProtocol)
		},
		GotConn: func(info httptrace.GotConnInfo) {
			mu.Lock()
			defer mu.Unlock()
			connections[info.Conn.LocalAddr().String()] = true
			if info.Reused {
				reused++
			}
		},
	})
	if _, err := c.Discover(ctx, false); err != nil {
		t.Fatal(err)
	}
	one := configMap(t, ns, "one", "1")
	var group errgroup.Group
	group.SetLimit(32)
	for range 200 {
		group.Go(func() error {
			_, err := c.DryRun(ctx, one, apply.Target{}, false)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(protocols) != 1 || protocols[0] != "h2" || len(connections) != 1 || reused < 200 {
		t.Errorf("got protocols %q, %d connections, %d requests on one that was there; want one of HTTP/2 for all", protocols, len(connections), reused)
	}
}
