// Package cluster asks a Kubernetes API server, over client-go's transport,
// what reconcile needs of it: which kinds it serves, what objects there are,
// what applying one would give, and then to apply, migrate or delete one.
//
// Laws: only a question is repeated, to a server that is busy; the caller owns
// every other retry; nothing that came in part is given as if it were whole, and "not found" only where the server
// named the very object; each answer against a request is one of the cases of
// package apply, in words that hold no value of a Secret and no credential; an
// object that was given is never edited.
//
// It is the only user of client-go: for kubeconfig files, credentials, TLS and
// the migration of client-side apply. Requests are plain HTTP, so that nothing
// retries, limits or logs them underneath.
package cluster

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// FieldManager is the name under which the server notes the fields we apply.
const FieldManager = "tidemark"

// Cluster is one API server, asked as one user. It is safe for concurrent use.
type Cluster struct {
	client   *http.Client
	base     *url.URL
	timeout  time.Duration
	pageSize int
	counter  *counter

	discovering sync.Mutex
	known       *known // nil until discovered; what it points to never changes
	recalled    map[object.GroupKind]plan.Kind
}

// Open makes ready what Options name. It reads the files they point to, runs no
// program and sends nothing: whether the server answers is seen by the first
// request.
func Open(options Options) (*Cluster, error) {
	config, err := options.config()
	if err != nil {
		return nil, err
	}
	base, err := baseURL(config)
	if err != nil {
		return nil, err
	}
	counter := &counter{counts: map[string]int64{}}
	config.Wrap(counter.wrap)
	// Between neighbours, packing costs more than it saves.
	config.DisableCompression = config.DisableCompression || options.Near || loopback(base.Hostname())
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("prepare connections to the cluster: %w", err)
	}
	c := &Cluster{
		// A redirect would carry the credentials elsewhere, so that none is followed.
		client:   &http.Client{Transport: client.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		base:     base,
		timeout:  options.Timeout,
		pageSize: options.PageSize,
		counter:  counter,
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.pageSize <= 0 {
		c.pageSize = defaultPageSize
	}
	return c, nil
}

// Close gives back the connections that are not in use. The Cluster may still be
// asked: it connects anew.
func (c *Cluster) Close() { utilnet.CloseIdleConnectionsFor(c.counter.next) }

// Requests counts what was sent so far, by verb: apply, dry-run, patch, create,
// update, delete, get, list, watch, discover and review.
func (c *Cluster) Requests() map[string]int64 { return c.counter.snapshot() }
