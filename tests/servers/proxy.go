package servers

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// Fault says what happens to one request. The zero value passes it on and its answer back. The fields are heeded in the
// order in which they stand.
type Fault struct {
	// Sent, when set, gets what the client sends as it is read.
	Sent io.Writer
	// Hold keeps the request from going on until the channel is closed, or its client leaves.
	Hold <-chan struct{}
	// Reset cuts the connection; the server never hears of the request.
	Reset bool
	// Status answers in the server's stead, with Header and Body; the server never hears of the request.
	Status int
	Header http.Header
	Body   string
	// Late takes the request whole and passes it on when the channel is closed, whether its client is still there or not:
	// it was on its way all the time. Taken, when set, is called once it is whole.
	Late  <-chan struct{}
	Taken func()
	// Finish lets the server do what was asked, whole, even if the client leaves meanwhile.
	Finish bool
	// Answered, when set, is called with the status when the server begins to answer, before the client hears of it.
	Answered func(status int)
	// LoseAnswer lets the server do what was asked, whole, and then cuts the connection instead of answering.
	LoseAnswer bool
	// HoldAnswer lets the server begin to answer, and keeps the answer until the channel is closed, or the client leaves.
	HoldAnswer <-chan struct{}
	// CutAnswer, above 0, cuts the connection after that many bytes of the answer's body.
	CutAnswer int
}

// ProxyOptions says where a Proxy leads.
type ProxyOptions struct {
	// Target is the server's URL. A Proxy before an https server is one itself, with an authority of its own.
	Target string
	// TargetCA is the authority behind an https Target, as PEM.
	TargetCA []byte
	// Plain has the Proxy speak plain HTTP/1 with its clients although Target is https: then each request can be cut off
	// by itself.
	Plain bool
	// RewriteHost sends Target's own name as the Host header.
	RewriteHost bool
	// Fault is asked about every request and must not read its body. It is called concurrently. Nil: none.
	Fault func(*http.Request) Fault
}

// Proxy stands before a server, counts what passes, and breaks what it is told to break. The Host header passes
// unchanged, unless it is to be rewritten, so that signatures made for the Proxy's address stay valid behind it.
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
		p.transport.TLSClientConfig = trusting(options.TargetCA)
	}
	if target.Scheme == "https" && !options.Plain {
		authority, err := newAuthority()
		if err != nil {
			return nil, err
		}
		p.CACert = authority.caPEM
		if config, err = authority.serverConfig(); err != nil {
			return nil, err
		}
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if !options.RewriteHost {
				r.Out.Host = r.In.Host
			}
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

// Connections counts the connections that clients have, those of clients that are gone among them until the Proxy has read
// what they had sent.
func (p *Proxy) Connections() int { return int(p.listener.open.Load()) }

// ServeHTTP is the proxy itself.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer http.ResponseWriter = p.Requests.record(w, r)
	fault := p.fault(r)
	if fault.Sent != nil {
		r.Body = tee{io.TeeReader(r.Body, fault.Sent), r.Body}
	}
	if fault.Hold != nil || fault.Late != nil {
		// While there is a body to come, nobody notices that the client leaves, and the body goes with it.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			cut(w)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if !wait(r.Context(), fault.Hold) || fault.Reset {
		cut(w)
	}
	if fault.Status != 0 {
		maps.Copy(answer.Header(), fault.Header)
		answer.WriteHeader(fault.Status)
		_, _ = answer.Write([]byte(fault.Body)) // the client may have left
		return
	}
	if fault.HoldAnswer != nil {
		answer = &late{ResponseWriter: answer, until: fault.HoldAnswer, ctx: r.Context()}
	}
	if fault.CutAnswer > 0 {
		answer = &short{ResponseWriter: answer, left: fault.CutAnswer}
	}
	if fault.LoseAnswer {
		answer = deaf{http.Header{}}
	}
	if fault.Answered != nil {
		answer = &telling{ResponseWriter: answer, tell: fault.Answered}
	}
	if fault.Late != nil {
		if fault.Taken != nil {
			fault.Taken()
		}
		<-fault.Late
	}
	if fault.Late != nil || fault.Finish || fault.LoseAnswer {
		// Done to the end even if the client leaves meanwhile: the server must have done it.
		r = r.WithContext(context.WithoutCancel(r.Context()))
	}
	p.forward.ServeHTTP(answer, r)
	if fault.LoseAnswer {
		cut(w)
	}
}

// tee is a request's body that somebody reads along.
type tee struct {
	io.Reader
	io.Closer
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
