package servers

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// Fault says what happens to one request. The zero value passes it on and its answer back. The fields are heeded in the
// order in which they stand.
type Fault struct {
	// Hold keeps the request from going on until the channel is closed, or its client leaves.
	Hold <-chan struct{}
	// Reset cuts the connection; the server never hears of the request.
	Reset bool
	// Status answers in the server's stead, with Header and Body; the server never hears of the request.
	Status int
	Header http.Header
	Body   string
	// LoseAnswer lets the server do what was asked, whole, and then cuts the connection instead of answering.
	LoseAnswer bool
	// HoldAnswer lets the server begin to answer, and keeps the answer until the channel is closed, or the client leaves.
	HoldAnswer <-chan struct{}
}

// ProxyOptions says where a Proxy leads.
type ProxyOptions struct {
	// Target is the server's URL. A Proxy before an https server is one itself, with an authority of its own.
	Target string
	// TargetCA is the authority behind an https Target, as PEM.
	TargetCA []byte
	// Fault is asked about every request and must not read its body. It is called concurrently. Nil: none.
	Fault func(*http.Request) Fault
}

// Proxy stands before a server, counts what passes, and breaks what it is told to break. The Host header passes
// unchanged, so that signatures made for the Proxy's address stay valid behind it.
type Proxy struct {
	// URL is where it listens.
	URL string
	// CACert is the authority behind an https URL, as PEM.
	CACert []byte
	// Requests is what came, broken requests included.
	Requests *Requests

	fault     func(*http.Request) Fault
	forward   *httputil.ReverseProxy
	transport *http.Transport
	listener  *listener
}

// StartProxy ignores dir: a Proxy keeps nothing.
func StartProxy(_ context.Context, _ string, options ProxyOptions) (*Proxy, error) {
	target, err := url.Parse(options.Target)
	if err != nil {
		return nil, err
	}
	p := &Proxy{Requests: &Requests{}, fault: options.Fault, transport: &http.Transport{
		MaxIdleConnsPerHost: 64, ForceAttemptHTTP2: true,
		DisableCompression: true, // what the client did not ask for would be undone on its way
	}}
	if p.fault == nil {
		p.fault = func(*http.Request) Fault { return Fault{} }
	}
	var config *tls.Config
	if target.Scheme == "https" {
		authority, err := newAuthority()
		if err != nil {
			return nil, err
		}
		p.CACert = authority.caPEM
		p.transport.TLSClientConfig = trusting(options.TargetCA)
		if config, err = authority.serverConfig(); err != nil {
			return nil, err
		}
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		Transport:     p.transport,
		FlushInterval: -1, // watches must flow
		// A server that is away is cut off from its clients too, rather than answered for.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { cut(w) },
	}
	if p.listener, err = listen(p, config); err != nil {
		return nil, err
	}
	p.URL = p.listener.url
	return p, nil
}

// Stop cuts what is under way and frees the port; the server behind is left alone.
func (p *Proxy) Stop() error {
	err := p.listener.Stop()
	p.transport.CloseIdleConnections()
	return err
}

// ServeHTTP is the proxy itself.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := p.Requests.record(w, r)
	fault := p.fault(r)
	if !wait(r.Context(), fault.Hold) || fault.Reset {
		cut(w)
	}
	switch {
	case fault.Status != 0:
		maps.Copy(answer.Header(), fault.Header)
		answer.WriteHeader(fault.Status)
		_, _ = answer.Write([]byte(fault.Body)) // the client may have left
	case fault.LoseAnswer:
		// Done to the end even if the client leaves meanwhile: the server must have done it.
		p.forward.ServeHTTP(deaf{http.Header{}}, r.WithContext(context.WithoutCancel(r.Context())))
		cut(w)
	case fault.HoldAnswer != nil:
		p.forward.ServeHTTP(&late{ResponseWriter: answer, until: fault.HoldAnswer, ctx: r.Context()}, r)
	default:
		p.forward.ServeHTTP(answer, r)
	}
}

// wait answers false when the client left first.
func wait(ctx context.Context, until <-chan struct{}) bool {
	if until == nil {
		return true
	}
	select {
	case <-until:
		return true
	case <-ctx.Done():
		return false
	}
}

// cut ends the connection without an answer, with a TCP reset where the protocol has a connection to a request (HTTP/1).
// It does not return.
func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		below := conn
		if secure, ok := conn.(*tls.Conn); ok {
			below = secure.NetConn()
		}
		if tcp, ok := below.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = below.Close()
	}
	panic(http.ErrAbortHandler)
}

// deaf is a ResponseWriter that nobody hears.
type deaf struct{ header http.Header }

func (d deaf) Header() http.Header         { return d.header }
func (d deaf) Write(b []byte) (int, error) { return len(b), nil }
func (d deaf) WriteHeader(int)             {}

// late holds the beginning of an answer back.
type late struct {
	http.ResponseWriter
	until <-chan struct{}
	ctx   context.Context //nolint:containedctx // the request's own, for as long as it is answered
}

func (l *late) WriteHeader(status int) {
	if !wait(l.ctx, l.until) {
		cut(l.ResponseWriter)
	}
	l.ResponseWriter.WriteHeader(status)
}

func (l *late) Unwrap() http.ResponseWriter { return l.ResponseWriter }
