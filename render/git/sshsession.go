package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshConnection is one connection to a server.
type sshConnection struct {
	conn   net.Conn
	client *ssh.Client
	// waiting is a session that told the refs and waits for a request.
	waiting *sshSession
	// release lets go of the context that guards the connection; it is false
	// when that context cut the connection.
	release func() bool
}

// guard cuts the connection when a context ends, whatever it is waiting for.
func (c *sshConnection) guard(ctx context.Context) {
	c.release = context.AfterFunc(ctx, func() { _ = c.conn.Close() })
}

func (c *sshConnection) close() {
	if c.waiting != nil {
		// A flush: nothing is wanted. The server then ends in peace.
		late := time.AfterFunc(time.Second, func() { _ = c.conn.Close() })
		defer late.Stop()
		_, _ = io.WriteString(c.waiting.in, "0000")
	}
	_ = c.client.Close()
	_ = c.conn.Close()
}

// sshSession is one run of git-upload-pack.
type sshSession struct {
	connection *sshConnection
	session    *ssh.Session
	in         io.WriteCloser
	out        *answer
	said       *stderr
	// known is what the program told first; nil before it did, and after it was
	// asked for a pack.
	known *advert
	// used says that the connection was kept since an earlier session.
	used bool
}

// answer counts what the program says.
type answer struct {
	io.Reader
	bytes atomic.Int64
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	a.bytes.Add(int64(n))
	return n, err
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

// connect connects and starts git-upload-pack.
func (s *sshServer) connect(ctx context.Context) (*sshSession, error) {
	s.spent.requests.Add(1)
	target := net.JoinHostPort(s.address.host, s.address.dialPort())
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, unreachable(fmt.Errorf("%w: %w", ErrUnreachable, err))
	}
	connection := &sshConnection{conn: s.spent.count(conn)}
	connection.guard(ctx)
	if connection.client, err = s.greet(connection.conn, target); err != nil {
		connection.release()
		_ = conn.Close()
		return nil, err
	}
	session, err := connection.start(s.address.path)
	if err != nil {
		connection.release()
		connection.close()
		return nil, err
	}
	return session, nil
}

func (s *sshServer) greet(conn net.Conn, target string) (*ssh.Client, error) {
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
	return ssh.NewClient(c, channels, requests), nil
}

// start runs git-upload-pack for the repository at a path.
func (c *sshConnection) start(path string) (*sshSession, error) {
	session, err := c.client.NewSession()
	if err != nil {
		return nil, unreachable(fmt.Errorf("open a session: %w", err))
	}
	open := &sshSession{connection: c, session: session, said: &stderr{}}
	session.Stderr = open.said
	if open.in, err = session.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	open.out = &answer{Reader: out}
	if err := session.Start(uploadPack + " " + shellQuote(path)); err != nil {
		return nil, authf("%w: the server does not run %s", ErrAuth, uploadPack)
	}
	return open, nil
}

// advert reads the refs, which the server sends first.
func (s *sshSession) advert() (*advert, error) {
	if s.known != nil {
		return s.known, nil
	}
	known, err := decodeAdvert(s.out)
	if err == nil {
		s.out.bytes.Store(0)
		s.known = known
		return known, nil
	}
	if !errors.Is(err, errNoAdvert) {
		return nil, err
	}
	// The program ended without a word on its output. If it ended by itself
	// and not with the connection, there is no such repository, or no right
	// to it, and it said so beside.
	if _, ok := errors.AsType[*ssh.ExitError](s.session.Wait()); ok {
		return nil, &caseError{is: ErrNotFound, err: fmt.Errorf("%w, or the key may not see it: %w", ErrNotFound, saidError(s.said.String()))}
	}
	return nil, err
}

// fetch asks for a pack, which is the last that a session can do.
func (s *sshSession) fetch(ctx context.Context, a ask, left *budget) (*pack, error) {
	known, err := s.advert()
	if err != nil {
		return nil, err
	}
	s.known = nil
	req, message, err := request(known, a, left.limits)
	if err != nil {
		return nil, err
	}
	if _, err := s.in.Write(message); err != nil {
		return nil, unreachable(fmt.Errorf("ask for the pack: %w", err))
	}
	return receive(ctx, s.out, req, left)
}

// answered says whether anything came since the refs.
func (s *sshSession) answered() bool { return s.out.bytes.Load() > 0 }

// end ends the session and leaves the connection.
func (s *sshSession) end() { _ = s.session.Close() }

// abort ends the session and its connection.
func (s *sshSession) abort() {
	s.connection.release()
	_ = s.session.Close()
	s.connection.close()
}
