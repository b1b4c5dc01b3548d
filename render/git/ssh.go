package git

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/crypto/ssh"
)

// sshServer runs git-upload-pack on the other side of ssh, once for the
// look-up and once for each fetch. It reads no file, asks no agent and never
// prompts.
type sshServer struct {
	address address
	config  ssh.ClientConfig
	limits  Limits
	spent   *meter
}

func newSSHServer(a address, o Options, spent *meter) (*sshServer, error) {
	if len(o.Auth.SSHKey) == 0 {
		return nil, authf("%w: ssh wants a private key", ErrAuth)
	}
	signer, err := parseSSHKey(o.Auth)
	if err != nil {
		return nil, invalid("ssh key: %w", err)
	}
	check, algorithms, err := parseKnownHosts(o.Auth.KnownHosts).verifier(a.host, a.dialPort())
	if err != nil {
		return nil, err
	}
	return &sshServer{
		address: a, limits: o.Limits, spent: spent,
		config: ssh.ClientConfig{
			User:              a.user,
			Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
			HostKeyCallback:   check,
			HostKeyAlgorithms: algorithms,
		},
	}, nil
}

func parseSSHKey(auth Auth) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(auth.SSHKey)
	if _, ok := errors.AsType[*ssh.PassphraseMissingError](err); !ok {
		if err != nil {
			return nil, errors.New("is not a private key in PEM")
		}
		return signer, nil
	}
	if len(auth.SSHPassphrase) == 0 {
		return nil, errors.New("is encrypted, and its passphrase is missing")
	}
	signer, err = ssh.ParsePrivateKeyWithPassphrase(auth.SSHKey, auth.SSHPassphrase)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errors.New("the passphrase does not open it")
	}
	if err != nil {
		return nil, errors.New("cannot be opened with the passphrase")
	}
	return signer, nil
}

// sshSession is one run of git-upload-pack.
type sshSession struct {
	client  *ssh.Client
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	said    *stderr
	stop    func() bool
}

// stderr keeps the first words that the other side says beside the protocol.
type stderr struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (&prefix{&s.text, 4096}).Write(p)
}

func (s *stderr) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// open connects and starts git-upload-pack. When the context ends the
// connection is cut, whatever it is waiting for.
func (s *sshServer) open(ctx context.Context) (*sshSession, error) {
	s.spent.requests.Add(1)
	target := net.JoinHostPort(s.address.host, s.address.dialPort())
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, unreachable(fmt.Errorf("%w: %w", ErrUnreachable, err))
	}
	conn = s.spent.count(conn)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	session, err := s.start(conn, target)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, err
	}
	session.stop = stop
	return session, nil
}

func (s *sshServer) start(conn net.Conn, target string) (*sshSession, error) {
	known := false
	config := s.config
	config.HostKeyCallback = func(host string, addr net.Addr, key ssh.PublicKey) error {
		err := s.config.HostKeyCallback(host, addr, key)
		known = err == nil
		return err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, target, &config)
	if err != nil {
		return nil, handshakeError(err, known)
	}
	client := ssh.NewClient(c, channels, requests)
	session, err := client.NewSession()
	if err != nil {
		return nil, unreachable(fmt.Errorf("open a session: %w", err))
	}
	open := &sshSession{client: client, session: session, said: &stderr{}}
	session.Stderr = open.said
	if open.in, err = session.StdinPipe(); err != nil {
		return nil, err
	}
	if open.out, err = session.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := session.Start(uploadPack + " " + shellQuote(s.address.path)); err != nil {
		return nil, authf("%w: the server does not run %s", ErrAuth, uploadPack)
	}
	return open, nil
}

// handshakeError sorts what can go wrong before a session: the library has no
// type for "your key was refused", but nothing else fails once the server was
// recognised while its connection still stands.
func handshakeError(err error, known bool) error {
	var hostKey *HostKeyError
	var network net.Error
	switch {
	case errors.As(err, &hostKey):
		return hostKey
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return unreachable(fmt.Errorf("the ssh server closes the connection: %w", err))
	case known:
		return authf("%w: the ssh server does not accept the key for this user", ErrAuth)
	}
	return fmt.Errorf("the ssh server and this client do not agree: %w", err)
}

// shellQuote quotes a path for the shell that a server may run the command in.
// The exclamation mark is for csh, which reads it even inside quotes; git
// quotes the same way (sq_quote_buf).
func shellQuote(path string) string {
	return "'" + strings.NewReplacer(`'`, `'\''`, `!`, `'\!'`).Replace(path) + "'"
}

func (s *sshSession) close() {
	s.stop()
	_ = s.session.Close()
	_ = s.client.Close()
}

// advert reads the refs, which the server sends first.
func (s *sshSession) advert() (*advert, error) {
	known, err := decodeAdvert(s.out)
	if !errors.Is(err, errNoAdvert) {
		return known, err
	}
	// The program ended without a word on its output. If it ended by itself
	// and not with the connection, there is no such repository, or no right
	// to it, and it said so beside.
	if _, ok := errors.AsType[*ssh.ExitError](s.session.Wait()); ok {
		return nil, &caseError{is: ErrNotFound, err: fmt.Errorf("%w, or the key may not see it: %w", ErrNotFound, saidError(s.said.String()))}
	}
	return nil, err
}

func (s *sshServer) lookUp(ctx context.Context) (*advert, error) {
	session, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer session.close()
	known, err := session.advert()
	if err != nil {
		return nil, err
	}
	// A flush: nothing is wanted. The server then ends in peace.
	if _, err := io.WriteString(session.in, "0000"); err != nil {
		return known, nil //nolint:nilerr // the refs are here; how the session ends does not matter
	}
	return known, nil
}

func (s *sshServer) fetch(ctx context.Context, _ *advert, wants []plumbing.Hash, depth int) (objects, error) {
	session, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer session.close()
	known, err := session.advert()
	if err != nil {
		return nil, err
	}
	req, message, err := request(known, wants, depth, s.limits)
	if err != nil {
		return nil, err
	}
	if _, err := session.in.Write(message); err != nil {
		return nil, unreachable(fmt.Errorf("ask for the pack: %w", err))
	}
	return receive(ctx, session.out, req, s.limits)
}
