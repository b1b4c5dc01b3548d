package helm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// session speaks with one chart repository or registry.
type session struct {
	repo        *url.URL
	credentials Credentials
	// plain says that the repository may be spoken to over HTTP.
	plain  bool
	agent  string
	client *http.Client
}

// parseRepo reads the URL of a repository. Credentials in it are refused: they
// would end up in messages.
func parseRepo(repo string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(repo, "/"))
	if err != nil {
		return nil, errors.New("the repository is not a URL")
	}
	switch u.Scheme {
	case "https", "http", "oci":
	default:
		return nil, fmt.Errorf("repository %q: only https://, http:// and oci:// are known", u.Redacted())
	}
	switch {
	case u.Host == "":
		return nil, fmt.Errorf("repository %q names no host", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("repository %q holds credentials: configure them apart from the URL", u.Host)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("repository on %s: a query or fragment means nothing here", u.Host)
	}
	return u, nil
}

func (c *Charts) session(repo string, by trust) (*session, error) {
	u, err := parseRepo(repo)
	if err != nil {
		return nil, err
	}
	credentials, listed := c.credentials(u)
	plain := credentials.PlainHTTP || (by == trusted || listed) && isLoopback(u.Hostname())
	if u.Scheme == "http" && by == untrusted && !listed {
		return nil, fmt.Errorf("%s is plain HTTP: it is used for a dependency only when its credentials are configured, empty ones too", u)
	}
	if u.Scheme == "http" && !plain && (credentials.Password != "" || credentials.BearerToken != "") {
		return nil, fmt.Errorf("%s would get its credentials over plain HTTP: use https://, or set plainHTTP", u)
	}
	s := &session{repo: u, credentials: credentials, agent: c.options.UserAgent, plain: plain || u.Scheme == "http"}
	s.client = &http.Client{
		Transport:     c.transport(credentials.CA, by == trusted || listed),
		CheckRedirect: s.redirect,
	}
	return s, nil
}

// credentials gives those with the longest URL at or above a repository's.
func (c *Charts) credentials(repo *url.URL) (Credentials, bool) {
	var best Credentials
	longest := -1
	for at, candidate := range c.options.Credentials {
		u, err := parseRepo(at)
		if err != nil || u.Scheme != repo.Scheme || !strings.EqualFold(u.Host, repo.Host) {
			continue
		}
		if (u.Path == repo.Path || strings.HasPrefix(repo.Path, u.Path+"/")) && len(u.Path) > longest {
			best, longest = candidate, len(u.Path)
		}
	}
	return best, longest >= 0
}

// transport gives the connections for one set of certificates. Those for hosts
// that nobody configured do not reach private addresses; where a proxy makes
// the connections, that is the proxy's to refuse.
func (c *Charts) transport(ca []byte, anywhere bool) http.RoundTripper {
	key := fmt.Sprintf("%t %s", anywhere, ca)
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.transports[key]; ok {
		return t
	}
	dialer := &net.Dialer{Timeout: 15 * time.Second}
	if !anywhere && c.options.Proxy == nil {
		dialer.Control = publicOnly
	}
	t := &http.Transport{
		Proxy:                 c.options.Proxy,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       30 * time.Second,
	}
	if len(ca) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pool.AppendCertsFromPEM(ca)
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	c.transports[key] = t
	return t
}

// publicOnly refuses a connection to an address that is not on the internet.
func publicOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(ip) {
		return forbid("%s is a private address: a dependency is fetched from it only when the credentials of its repository are configured, empty ones too", ip)
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// redirect follows a few redirects, never from HTTPS to HTTP, and leaves
// credentials behind when the host changes.
func (s *session) redirect(request *http.Request, via []*http.Request) error {
	from := via[0].URL
	switch {
	case len(via) > 5:
		return forbid("too many redirects")
	case request.URL.Scheme != "https" && (from.Scheme == "https" || request.URL.Scheme != "http"):
		return forbid("it redirects to %s on %s", request.URL.Scheme, request.URL.Host)
	case request.URL.Host != from.Host:
		request.Header.Del("Authorization")
		request.Header.Del("Cookie")
	}
	return nil
}

// get fetches a URL of at most so many bytes. Only the repository's own host
// gets its credentials.
func (s *session) get(ctx context.Context, at *url.URL, most int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("the URL cannot be requested")
	}
	request.Header.Set("User-Agent", s.agent)
	if at.Scheme == s.repo.Scheme && at.Host == s.repo.Host {
		switch {
		case s.credentials.BearerToken != "":
			request.Header.Set("Authorization", "Bearer "+s.credentials.BearerToken)
		case s.credentials.Username != "" || s.credentials.Password != "":
			request.SetBasicAuth(s.credentials.Username, s.credentials.Password)
		}
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", visible(at), unanswered(err))
	}
	defer response.Body.Close() //nolint:errcheck // nothing was written
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %w", visible(at), refusal(response.StatusCode))
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("GET %s: %w", visible(at), unanswered(err))
	case int64(len(data)) > most:
		return nil, fmt.Errorf("GET %s: the answer is larger than %d MiB", visible(at), most>>20)
	}
	return data, nil
}

// visible gives a URL without what may be a credential in it.
func visible(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// unanswered explains why there is no answer, without the URL that net/http
// puts first: after a redirect that one may be signed. What the context ended,
// or a rule of this package or of TLS, is told as that.
func unanswered(err error) error {
	var wrapped *url.Error
	if !errors.As(err, &wrapped) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if wrapped != nil {
		err = wrapped.Err
	}
	var rule *forbidden
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &rule):
		return rule
	case errors.As(err, &certificate):
		return fmt.Errorf("%w (configure the ca of this repository if it has its own)", certificate)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// forbidden is a request that this package does not send.
type forbidden struct{ reason string }

// Error gives the reason.
func (f *forbidden) Error() string { return f.reason }

func forbid(format string, arguments ...any) error {
	return &forbidden{reason: fmt.Sprintf(format, arguments...)}
}

// refusal explains an answer that is no success.
func refusal(status int) error {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fmt.Errorf("%s (are the credentials for this repository right?)", text)
	case status == http.StatusTooManyRequests, status >= 500:
		return fmt.Errorf("%w: %s", ErrUnreachable, text)
	default:
		return errors.New(text)
	}
}
