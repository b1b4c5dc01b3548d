package git

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	infoRefs      = "/info/refs"
	uploadPack    = "git-upload-pack"
	advertType    = "application/x-git-upload-pack-advertisement"
	resultType    = "application/x-git-upload-pack-result"
	requestType   = "application/x-git-upload-pack-request"
	maxRedirects  = 5
	idleKeptAlive = 30 * time.Second
)

// httpServer speaks git's smart protocol (gitprotocol-http(5)).
type httpServer struct {
	client *http.Client
	auth   Auth
	tokens *appTokens
	// base is where the repository is; a redirect of the look-up may move it
	// within its host.
	base string
}

func newHTTPServer(a address, o Options, spent *meter) (*httpServer, error) {
	transport := &http.Transport{
		Proxy:               o.Proxy,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: o.LookupTimeout,
		IdleConnTimeout:     idleKeptAlive,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, at string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, at)
			if err != nil {
				return nil, err
			}
			return spent.count(conn), nil
		},
	}
	if len(o.Auth.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(o.Auth.CA) {
			return nil, invalid("CA: holds no certificate in PEM")
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	s := &httpServer{
		client: &http.Client{Transport: requests{transport, spent}, CheckRedirect: checkRedirect},
		auth:   o.Auth, base: a.String(),
	}
	if o.Auth.GitHubApp != nil {
		tokens, err := newAppTokens(*o.Auth.GitHubApp, o.Now)
		if err != nil {
			return nil, err
		}
		s.tokens = tokens
	}
	return s, nil
}

// requests counts every request that is sent, redirects and token requests too.
type requests struct {
	next  http.RoundTripper
	spent *meter
}

func (r requests) RoundTrip(req *http.Request) (*http.Response, error) {
	r.spent.requests.Add(1)
	return r.next.RoundTrip(req)
}

// checkRedirect lets only the look-up be redirected, and only within its host
// or from http up to https on it. It runs before anything is sent to the new
// place, so that no other host ever sees a request, let alone a credential.
func checkRedirect(req *http.Request, via []*http.Request) error {
	from, to := via[len(via)-1].URL, req.URL
	where := to.Scheme + "://" + to.Host
	switch {
	case via[0].Method != http.MethodGet || !strings.HasSuffix(via[0].URL.Path, infoRefs):
		return fmt.Errorf("%w: only the look-up of the refs may be redirected (to %s)", ErrRedirect, where)
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d in a row", ErrRedirect, maxRedirects)
	case to.User != nil:
		return fmt.Errorf("%w: it brings credentials of its own", ErrRedirect)
	case !sameHost(from, to):
		return fmt.Errorf("%w: it leads to %s; if that is right, use its URL", ErrRedirect, where)
	}
	return nil
}

func sameHost(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	if from.Scheme == "http" && to.Scheme == "https" {
		return portOf(from) == "80" && portOf(to) == "443"
	}
	return from.Scheme == to.Scheme && portOf(from) == portOf(to)
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return defaultPort(u.Scheme)
}

// authorise gets a GitHub App's token, once.
func (s *httpServer) authorise(ctx context.Context) error {
	if s.tokens == nil || s.auth.Password != "" {
		return nil
	}
	token, err := s.tokens.token(ctx, s.client)
	if err != nil {
		return fmt.Errorf("get a token for the GitHub App: %w", err)
	}
	s.auth.Username, s.auth.Password = "x-access-token", token
	return nil
}

func (s *httpServer) lookUp(ctx context.Context) (*advert, error) {
	if err := s.authorise(ctx); err != nil {
		return nil, err
	}
	res, err := s.do(ctx, http.MethodGet, infoRefs+"?service="+uploadPack, nil)
	if err != nil {
		return nil, err
	}
	defer finish(res)
	if kind := res.Header.Get("Content-Type"); kind != advertType {
		return nil, &caseError{is: ErrNotFound, err: fmt.Errorf("%w: it answers with %q, not as a git server does", ErrNotFound, printable(kind, 80))}
	}
	if final := *res.Request.URL; res.Request.Response != nil {
		path, ok := strings.CutSuffix(final.EscapedPath(), infoRefs)
		if !ok || final.Query().Get("service") != uploadPack {
			return nil, fmt.Errorf("%w: it leads away from %s", ErrRedirect, infoRefs)
		}
		s.base = final.Scheme + "://" + final.Host + path
	}
	known, err := decodeAdvert(res.Body)
	return known, s.redact(err)
}

func (s *httpServer) fetch(ctx context.Context, known *advert, a ask, left *budget) (objects, error) {
	if err := s.authorise(ctx); err != nil {
		return nil, err
	}
	req, message, err := request(known, a, left.limits)
	if err != nil {
		return nil, err
	}
	res, err := s.do(ctx, http.MethodPost, "/"+uploadPack, message)
	if err != nil {
		return nil, err
	}
	defer finish(res)
	if kind := res.Header.Get("Content-Type"); kind != resultType {
		return nil, corrupt("the server answers with %q instead of a pack", printable(kind, 80))
	}
	got, err := receive(ctx, res.Body, req, left)
	if err != nil {
		return nil, s.redact(err)
	}
	return got, nil
}

func (s *httpServer) close() { s.client.CloseIdleConnections() }

// finish ends an answer. One of which next to nothing is left is read to its
// end, so that its connection can be used again.
func finish(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 1<<10)
	_ = res.Body.Close()
}

// zipped packs a message that would be long, as git does.
func zipped(message []byte) []byte {
	if len(message) <= 1<<10 {
		return nil
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	// A Buffer cannot fail to take what is written to it.
	_, _ = w.Write(message)
	_ = w.Close()
	return packed.Bytes()
}

// do sends one request and gives its answer when that is a success.
func (s *httpServer) do(ctx context.Context, method, path string, message []byte) (*http.Response, error) {
	var body io.Reader = http.NoBody
	short := zipped(message)
	switch {
	case short != nil:
		body = bytes.NewReader(short)
	case message != nil:
		body = bytes.NewReader(message)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, body)
	if err != nil {
		return nil, invalid("repository URL: cannot be requested")
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "*/*")
	if message != nil {
		req.Header.Set("Content-Type", requestType)
		req.Header.Set("Accept", resultType)
	}
	if short != nil {
		req.Header.Set("Content-Encoding", "gzip")
	}
	s.auth.set(req)
	res, err := s.client.Do(req)
	if err != nil {
		return nil, transportError(err)
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, statusError(res.StatusCode, s.auth.hasHTTP())
	}
	return res, nil
}

// redact takes the credentials out of a server's own words.
func (s *httpServer) redact(err error) error {
	if said, ok := errors.AsType[*serverSaid](err); ok {
		said.text = s.auth.redact(said.text)
	}
	return err
}

// transportError sorts the errors of net/http. Its own wrapping, which repeats
// the URL, goes.
func transportError(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	var verify *tls.CertificateVerificationError
	switch {
	case errors.Is(err, ErrRedirect):
		return err
	case errors.As(err, &verify):
		return authf("the server's certificate is not trusted: %w; give its CA if it is right", verify.Err)
	}
	return unreachable(fmt.Errorf("%w: %w", ErrUnreachable, err))
}

// statusError sorts the answers that are no success. What the server wrote
// beside the number is not shown: it may repeat the request.
func statusError(code int, credentials bool) error {
	status := fmt.Sprintf("%d %s", code, http.StatusText(code))
	switch {
	case code == http.StatusUnauthorized && !credentials:
		return authf("%w: the server wants credentials, or the repository does not exist (%s)", ErrAuth, status)
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		return authf("%w: the server does not accept the credentials for this (%s)", ErrAuth, status)
	case code == http.StatusNotFound, code == http.StatusGone:
		return &caseError{is: ErrNotFound, err: fmt.Errorf("%w, or the credentials may not see it (%s)", ErrNotFound, status)}
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return unreachable(fmt.Errorf("the server cannot serve now (%s)", status))
	}
	return corrupt("the server answers %s", status)
}
