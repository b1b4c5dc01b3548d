package git_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/tests/servers"
)

// serveSSH publishes a repository as app.git on a real sshd, and gives what
// opens it.
func serveSSH(t *testing.T, repo *servers.Repo, options servers.GitSSHOptions, serving servers.Serving) (*servers.GitSSH, git.Auth) {
	t.Helper()
	server := servers.For(t, servers.StartGitSSH, options)
	must(t, repo.Publish(t.Context(), filepath.Join(server.Root, "app.git"), serving))
	return server, git.Auth{SSHKey: read(t, server.Key), KnownHosts: read(t, server.KnownHosts), SSHPassphrase: []byte(options.Passphrase)}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	return data
}

func TestSSH(t *testing.T) {
	// What must not be used: an agent, a proxy, the files of the user.
	t.Setenv("SSH_AUTH_SOCK", "/dev/null")
	t.Setenv("ALL_PROXY", "socks5://127.0.0.1:1")
	t.Setenv("HOME", t.TempDir())
	repo := newRepo(t)
	first := runGit(t, repo, "rev-parse", "HEAD")
	head := commit(t, repo, map[string]string{"a.yaml": "a: 2\n"})
	must(t, repo.Tag(t.Context(), "v1.0.0", "annotated"))
	server, auth := serveSSH(t, repo, servers.GitSSHOptions{}, servers.Serving{})

	remote := newRemote(t, git.Options{URL: server.URL("app.git"), Auth: auth})
	rev := mustPull(t, remote, "semver:1.x")
	wantTree(t, repo, head, rev.Tree)
	if rev.Ref != "refs/tags/v1.0.0" || rev.Repo != server.URL("app.git") || remote.Cost().Requests != 1 {
		t.Errorf("got %s of %s with %d sessions, want refs/tags/v1.0.0 with 1", rev.Ref, rev.Repo, remote.Cost().Requests)
	}
	remote = newRemote(t, git.Options{URL: server.URL("app.git"), Auth: auth})
	wantTree(t, repo, head, mustPull(t, remote, head).Tree)
	if remote.Cost().Requests != 1 {
		t.Errorf("a commit cost %d sessions, want 1", remote.Cost().Requests)
	}
	// sshd's git refuses what is no tip; then it is searched.
	wantTree(t, repo, first, mustPull(t, newRemote(t, git.Options{URL: server.URL("app.git"), Auth: auth}), first).Tree)

	_, err := pull(t, newRemote(t, git.Options{URL: server.URL("other.git"), Auth: auth}), "main")
	wantError(t, err, git.ErrNotFound, "does not appear to be a git repository")
}

func TestSSHKeys(t *testing.T) {
	repo := newRepo(t)
	server, auth := serveSSH(t, repo, servers.GitSSHOptions{Passphrase: "open sesame"}, servers.Serving{})
	url := server.URL("app.git")
	mustPull(t, newRemote(t, git.Options{URL: url, Auth: auth}), "main")

	for word, change := range map[string]func(*git.Auth){
		"passphrase is missing":         func(a *git.Auth) { a.SSHPassphrase = nil },
		"does not open it":              func(a *git.Auth) { a.SSHPassphrase = []byte("s3cret") },
		"is not a private key":          func(a *git.Auth) { a.SSHKey = []byte("s3cret") },
		"ssh wants a private key":       func(a *git.Auth) { a.SSHKey = nil },
		"ssh-keyscan -p":                func(a *git.Auth) { a.KnownHosts = nil },
		"known_hosts has no key of [12": func(a *git.Auth) { a.KnownHosts = []byte("github.com ssh-ed25519 AAAA\n# nothing\n") },
	} {
		t.Run(word, func(t *testing.T) {
			broken := auth
			change(&broken)
			_, err := git.NewRemote(git.Options{URL: url, Auth: broken})
			if err == nil {
				t.Fatal("got no error")
			}
			wantError(t, err, err, word, "!s3cret")
		})
	}

	// Every kind of key is read; those that the server was not told of are
	// refused by it.
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	for _, key := range []any{ed, ec, rs} {
		block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("open"))
		must(t, err)
		signer, err := ssh.NewSignerFromKey(key)
		must(t, err)
		options := git.Options{URL: url, Auth: git.Auth{SSHKey: pem.EncodeToMemory(block), SSHPassphrase: []byte("open"), KnownHosts: auth.KnownHosts}}
		_, err = pull(t, newRemote(t, options), "main")
		wantError(t, err, git.ErrAuth, "does not accept the key")
		if errors.Is(err, git.ErrUnreachable) {
			t.Errorf("%v is taken for a server that does not answer", err)
		}
		authorized, err := os.OpenFile(server.Key+".pub", os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = authorized.Write(ssh.MarshalAuthorizedKey(signer.PublicKey()))
		must(t, errors.Join(err, authorized.Close()))
		if _, err := pull(t, newRemote(t, options), "main"); err != nil {
			t.Errorf("%T: %v", key, err)
		}
	}
}

func TestSSHKnownHosts(t *testing.T) {
	repo := newRepo(t)
	server, auth := serveSSH(t, repo, servers.GitSSHOptions{}, servers.Serving{})
	right := string(auth.KnownHosts)
	_, key, _ := strings.Cut(right, " ")
	host, port, err := net.SplitHostPort(server.Addr)
	must(t, err)
	hashed := filepath.Join(t.TempDir(), "hashed")
	must(t, os.WriteFile(hashed, auth.KnownHosts, 0o600))
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-H", "-f", hashed).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stranger := strings.TrimPrefix(string(anyHost(t).KnownHosts), "* ")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ecKey, err := ssh.NewPublicKey(&ec.PublicKey)
	must(t, err)
	otherKind := string(ssh.MarshalAuthorizedKey(ecKey))
	name := "[" + host + "]:" + port

	for title, test := range map[string]struct {
		lines string
		word  string // of the error; empty: it works
	}{
		"plain":              {right, ""},
		"hashed":             {string(read(t, hashed)), ""},
		"in a list":          {"example.com," + name + " " + key, ""},
		"wildcard":           {"[127.0.?.*]:* " + key, ""},
		"beside another":     {name + " " + stranger + right, ""},
		"beside other kinds": {name + " " + otherKind + "# a remark\n\nnonsense\n" + right, ""},
		"excluded":           {"[127.*]:*,!" + name + " " + key, "has no key of " + name},
		"another port":       {"[" + host + "]:22222 " + key, "has no key of " + name},
		"without the port":   {host + " " + key, "ssh-keyscan -p " + port + " " + host},
		"another key":        {name + " " + stranger, "offers the key SHA256:"},
		"revoked":            {right + "@revoked * " + key, "as revoked"},
		"an authority":       {"@cert-authority * " + key, "has no key of"},
	} {
		t.Run(title, func(t *testing.T) {
			try := auth
			try.KnownHosts = []byte(test.lines)
			remote, err := git.NewRemote(git.Options{URL: server.URL("app.git"), Auth: try})
			if err == nil {
				_, err = pull(t, remote, "main")
			}
			if test.word == "" {
				must(t, err)
				return
			}
			wantError(t, err, git.ErrHostKey, test.word)
			if errors.Is(err, git.ErrUnreachable) {
				t.Errorf("%v is taken for a server that does not answer", err)
			}
		})
	}
}

func TestSSHServerTrouble(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	url := "ssh://git@" + listener.Addr().String() + "/app.git"
	conns := make(chan net.Conn)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns <- conn
		}
	}()

	// A server that takes the connection and says nothing.
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the user said so")
	done := make(chan error)
	go func() {
		_, err := newRemote(t, git.Options{URL: url, Auth: anyHost(t)}).Resolve(ctx, git.Ref{})
		done <- err
	}()
	conn := <-conns
	// It is greeted: so the client is past connecting, and waits.
	_, err = conn.Read(make([]byte, 1))
	must(t, err)
	cancel(stop)
	wantError(t, <-done, stop)
	conn.Close()

	// One that goes away in the middle of its greeting.
	go func() {
		conn := <-conns
		_, _ = conn.Write([]byte("SSH-2.0-Open"))
		conn.Close()
	}()
	_, err = newRemote(t, git.Options{URL: url, Auth: anyHost(t)}).Resolve(t.Context(), git.Ref{})
	wantError(t, err, git.ErrUnreachable)

	listener.Close()
	_, err = newRemote(t, git.Options{URL: url, Auth: anyHost(t)}).Resolve(t.Context(), git.Ref{})
	wantError(t, err, git.ErrUnreachable, "refused")
}
