package git

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshServer runs git-upload-pack on the other side of ssh. It reads no file, asks
// no agent and never prompts.
//
// The program first tells the refs and then waits: the session of a look-up
// stays open, so that the first fetch needs none of its own, and later ones run
// over the same connection.
type sshServer struct {
	address address
	config  ssh.ClientConfig
	spent   *meter

	mu   sync.Mutex
	kept *sshConnection
	// timer closes what is kept, when it was not needed for a while.
	timer *time.Timer
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
		address: a, spent: spent,
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

func (s *sshServer) lookUp(ctx context.Context) (*advert, error) {
	session, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	known, err := session.advert()
	if err != nil {
		session.abort()
		return nil, err
	}
	s.keep(session)
	return known, nil
}

func (s *sshServer) fetch(ctx context.Context, _ *advert, a ask, left *budget) (objects, error) {
	session, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	got, err := session.fetch(ctx, a, left)
	if err != nil && session.used && !session.answered() && ctx.Err() == nil && errors.Is(err, ErrUnreachable) {
		// The server did not wait that long.
		session.abort()
		if session, err = s.connect(ctx); err != nil {
			return nil, err
		}
		got, err = session.fetch(ctx, a, left)
	}
	if err != nil {
		session.abort()
		return nil, err
	}
	session.end()
	s.keep(session)
	return got, nil
}

// open gives a session on the connection that is kept, else on a new one.
func (s *sshServer) open(ctx context.Context) (*sshSession, error) {
	kept := s.take()
	if kept == nil {
		return s.connect(ctx)
	}
	kept.guard(ctx)
	if session := kept.waiting; session != nil {
		kept.waiting = nil
		session.used = true
		return session, nil
	}
	s.spent.requests.Add(1)
	session, err := kept.start(s.address.path)
	if err == nil {
		session.used = true
		return session, nil
	}
	kept.release()
	kept.close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return s.connect(ctx)
}

// keep keeps the connection of a session for a while.
func (s *sshServer) keep(session *sshSession) {
	connection := session.connection
	if !connection.release() {
		connection.close()
		return
	}
	if session.known != nil {
		connection.waiting = session
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = connection
	s.timer = time.AfterFunc(idleKeptAlive, s.close)
}

// take gives the connection that is kept, nil if there is none.
func (s *sshServer) take() *sshConnection {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.kept
	if kept != nil {
		s.timer.Stop()
	}
	s.kept = nil
	return kept
}

func (s *sshServer) close() {
	if kept := s.take(); kept != nil {
		kept.close()
	}
}
