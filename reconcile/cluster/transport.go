package cluster

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
)

// The verbs that requests are counted by.
const (
	verbApply    = "apply"
	verbDryRun   = "dry-run"
	verbPatch    = "patch"
	verbCreate   = "create"
	verbUpdate   = "update"
	verbDelete   = "delete"
	verbGet      = "get"
	verbList     = "list"
	verbDiscover = "discover"
	verbReview   = "review"
	verbWatch    = "watch"
)

const (
	protobufType = "application/vnd.kubernetes.protobuf"
	wholeJSON    = "application/json"
	metadataJSON = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
	// Protobuf is what the server spends least on, and we; whatever serves kinds of
	// its own behind it may know JSON only.
	metadataOnly = protobufType + ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1," + metadataJSON
	metadataList = protobufType + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1," +
		"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)

// request is one HTTP request and what is needed to understand the answer.
type request struct {
	verb        string
	method      string
	path        string // below the server's address, escaped
	query       url.Values
	accept      string // wholeJSON when empty
	contentType string
	body        []byte

	// resource and name are what the request is about: a 404 is a proof of
	// absence only when it names both.
	resource, name string
	// discreet: what the server says may repeat values of a Secret.
	discreet bool
	// limit is how long the whole answer may take; 0 is the cluster's time-out.
	limit time.Duration
}

const (
	// attempts bounds how often a busy server is asked the same.
	attempts = 5
	// longestWait is the longest that a question waits for Retry-After.
	longestWait = 30 * time.Second
)

// question: the request changes nothing, so that it may be sent again.
func (r request) question() bool {
	switch r.verb {
	case verbGet, verbList, verbDiscover, verbDryRun, verbReview, verbWatch:
		return true
	}
	return false
}

// send sends the request and gives the body of a 2xx answer. Any other answer,
// and none, is an error of package apply. A question is asked again of a busy
// server, as late as it wants; writes are their callers' to repeat, who know
// whether they may still be sent.
func (c *Cluster) send(ctx context.Context, r request) ([]byte, error) {
	var body []byte
	err := c.receive(ctx, r, func(_ string, answer io.Reader) (err error) {
		body, err = io.ReadAll(answer)
		return err
	})
	if err != nil {
		return nil, err
	}
	return body, nil
}

// receive is send for an answer that take reads while it comes; what take does
// not understand was no answer.
func (c *Cluster) receive(ctx context.Context, r request, take func(contentType string, answer io.Reader) error) error {
	for n := 1; ; n++ {
		err := c.once(ctx, r, take)
		busy, ok := errors.AsType[*apply.BusyError](err)
		if !ok || !r.question() || n == attempts || busy.After > longestWait {
			return err
		}
		pause := time.NewTimer(busy.After)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// once sends the request once.
func (c *Cluster) once(ctx context.Context, r request, take func(contentType string, answer io.Reader) error) error {
	// The connection is the watershed: without one nothing was sent, with one the
	// server may have got the whole request, whatever went wrong afterwards.
	var connected atomic.Bool
	limit := cmp.Or(r.limit, c.timeout)
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	traced := httptrace.WithClientTrace(context.WithValue(bounded, verbKey{}, r.verb), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	unanswered := func(err error) error {
		switch {
		case ctx.Err() != nil && !connected.Load():
			return context.Cause(ctx)
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", apply.ErrUnanswered, context.Cause(ctx))
		case bounded.Err() != nil:
			err = fmt.Errorf("waited %s", limit)
		}
		if connected.Load() {
			return fmt.Errorf("%w: %w", apply.ErrUnanswered, err)
		}
		if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			// It is there, and waiting will not make it another one.
			return fmt.Errorf("the server's certificate is not trusted: %w", untrusted.Err)
		}
		return fmt.Errorf("%w: %w", apply.ErrUnreachable, err)
	}

	address := *c.base
	address.Path = ""
	target := address.String() + strings.TrimSuffix(c.base.EscapedPath(), "/") + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(traced, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	accept := r.accept
	if accept == "" {
		accept = wholeJSON
	}
	req.Header.Set("Accept", accept)
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	response, err := c.client.Do(req)
	if err != nil {
		// The wrapping repeats the address, which the reader knows.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return unanswered(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is only read
	if response.StatusCode/100 != 2 {
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		if err != nil && needsWords(response.StatusCode) {
			return unanswered(fmt.Errorf("read the answer: %w", err))
		}
		return r.refused(response.StatusCode, response.Header, body)
	}
	if err := take(response.Header.Get("Content-Type"), response.Body); err != nil {
		return unanswered(fmt.Errorf("read the answer: %w", err))
	}
	return nil
}

// needsWords says whether a status code means different things that only the
// whole explanation tells apart. Of others, what can be read of it helps, and the
// code decides.
func needsWords(code int) bool {
	return code == http.StatusNotFound || code == http.StatusConflict || code == http.StatusUnprocessableEntity
}

// counter counts requests by verb where they leave, so that nothing is missed.
type counter struct {
	// next holds the connections.
	next http.RoundTripper

	mu     sync.Mutex
	counts map[string]int64
}

type verbKey struct{}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip sends the request.
func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func (c *counter) wrap(next http.RoundTripper) http.RoundTripper {
	c.next = next
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		verb, ok := request.Context().Value(verbKey{}).(string)
		if !ok {
			// client-go's own, such as a refresh of credentials.
			verb = strings.ToLower(request.Method)
		}
		c.mu.Lock()
		c.counts[verb]++
		c.mu.Unlock()
		return next.RoundTrip(request)
	})
}

func (c *counter) snapshot() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}
