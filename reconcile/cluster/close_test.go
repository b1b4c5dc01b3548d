package cluster_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/cluster"
)

// A process that asks thousands of clusters, one after the other, keeps no
// connection to those that it is done with.
func TestClose(t *testing.T) {
	opened, closed := make(chan struct{}, 10), make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state { //nolint:exhaustive // The others are between these.
		case http.StateNew:
			opened <- struct{}{}
		case http.StateClosed:
			closed <- struct{}{}
		}
	}
	server.StartTLS()
	defer server.Close()
	c, err := cluster.Open(cluster.Options{
		Server: server.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), Token: "t",
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Identity(t.Context()); err == nil {
			t.Fatal("a server that knows nothing gave an identity")
		}
		c.Close()
		<-opened
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Fatal("the connection stays open")
		}
	}
}
