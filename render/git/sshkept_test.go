package git_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/tests/servers"
)

// relay stands before an ssh server and knows the connections to it.
type relay struct {
	net.Listener

	mu    sync.Mutex
	all   []net.Conn
	open  int
	ended *sync.Cond
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{Listener: listener}
	r.ended = sync.NewCond(&r.mu)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			r.mu.Lock()
			r.all = append(r.all, client)
			r.open += 2
			r.mu.Unlock()
			for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = client.Close()
					_ = server.Close()
					r.mu.Lock()
					defer r.mu.Unlock()
					r.open--
					r.ended.Broadcast()
				}()
			}
		}
	}()
	return r
}

// made counts the connections that were ever made.
func (r *relay) made() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// wait waits until there is no connection.
func (r *relay) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.open > 0 {
		r.ended.Wait()
	}
}

// cut ends all connections, as a server does that waited long enough.
func (r *relay) cut() {
	r.mu.Lock()
	for _, conn := range r.all {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.wait()
}

// relayed gives what reaches a server through a relay.
func relayed(t *testing.T, server *servers.GitSSH, auth git.Auth) (*relay, git.Options) {
	t.Helper()
	r := newRelay(t, server.Addr)
	address := r.Addr().String()
	_, before, _ := net.SplitHostPort(server.Addr)
	_, after, _ := net.SplitHostPort(address)
	auth.KnownHosts = bytes.ReplaceAll(auth.KnownHosts, []byte("]:"+before), []byte("]:"+after))
	return r, git.Options{URL: strings.Replace(server.URL("app.git"), server.Addr, address, 1), Auth: auth}
}

func TestSSHKeepsItsConnection(t *testing.T) {
	repo := newRepo(t)
	head := runGit(t, repo, "rev-parse", "HEAD")
	server, auth := serveSSH(t, repo, servers.GitSSHOptions{}, generous)
	relay, options := relayed(t, server, auth)

	// Unchanged: one session, and nothing is left of it.
	remote := newRemote(t, options)
	_, err := remote.Resolve(t.Context(), parseRef(t, "main"))
	must(t, err)
	remote.Close()
	relay.wait()
	if cost := remote.Cost(); cost.Requests != 1 || relay.made() != 1 {
		t.Errorf("a look-up took %+v and %d connections", cost, relay.made())
	}

	// Changed: the directories come in the session of the look-up, all files in
	// another one over the same connection.
	remote = newRemote(t, options)
	tree := mustPull(t, remote, "main").Tree
	tree.Expect(".")
	wantTree(t, repo, head, tree)
	if cost := remote.Cost(); cost.Requests != 2 || len(cost.Fetches) != 1 || cost.Fetches[0].Whole != "" || relay.made() != 2 {
		t.Errorf("got %+v and %d connections, want two sessions on one", cost, relay.made()-1)
	}
	remote.Close()
	relay.wait()
}

func TestSSHServerDoesNotWait(t *testing.T) {
	repo := newRepo(t)
	head := runGit(t, repo, "rev-parse", "HEAD")
	server, auth := serveSSH(t, repo, servers.GitSSHOptions{}, generous)
	relay, options := relayed(t, server, auth)
	remote := newRemote(t, options)
	rev, err := remote.Resolve(t.Context(), parseRef(t, "main"))
	must(t, err)
	relay.cut()
	rev, err = remote.Fetch(t.Context(), rev)
	must(t, err)
	relay.cut()
	wantTree(t, repo, head, rev.Tree)
	remote.Close()
	relay.wait()

	// A server that is gone is not asked for ever.
	remote = newRemote(t, options)
	rev = mustPull(t, remote, "main")
	must(t, relay.Close())
	relay.cut()
	_, err = rev.Tree.ReadFile("a.yaml")
	wantError(t, err, git.ErrUnreachable, "a.yaml: ")
}
