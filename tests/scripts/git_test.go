package scripts_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"tidemark.dev/tidemark/tests/servers"
)

// repo gives the script's repository of that name.
func repo(ts *testscript.TestScript, name string) *servers.Repo {
	w := of(ts)
	if r := w.repos[name]; r != nil {
		return r
	}
	ctx, cancel := within()
	defer cancel()
	r, err := servers.NewRepo(ctx, filepath.Join(w.dir, ".worktrees", name))
	ts.Check(err)
	if w.repos == nil {
		w.repos = map[string]*servers.Repo{}
	}
	w.repos[name] = r
	return r
}

// publish shows the repository to those who fetch from it.
func publish(ts *testscript.TestScript, name string) {
	ctx, cancel := within()
	defer cancel()
	ts.Check(repo(ts, name).Publish(ctx, filepath.Join(of(ts).dir, "git", name+".git"), servers.Serving{AnySHA1: true}))
}

// commit: DIR MESSAGE
func commit(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "commit DIR MESSAGE")
	ctx, cancel := within()
	defer cancel()
	hash, err := repo(ts, args[0]).CommitTree(ctx, ts.MkAbs(args[0]), args[1])
	ts.Check(err)
	ts.Setenv("COMMIT", hash)
	publish(ts, args[0])
}

// branch: DIR NAME
func branch(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "branch DIR NAME")
	ctx, cancel := within()
	defer cancel()
	ts.Check(repo(ts, args[0]).Branch(ctx, args[1]))
	publish(ts, args[0])
}

// tag: DIR NAME [MESSAGE]
func tag(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 3, "tag DIR NAME [MESSAGE]")
	ctx, cancel := within()
	defer cancel()
	ts.Check(repo(ts, args[0]).Tag(ctx, args[1], append(args, "")[2]))
	publish(ts, args[0])
}

// git: http|https|token|ssh|redirect|lured [SECRET]
func git(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 2, "git http|https|token|ssh|redirect|lured [SECRET]")
	secret := append(args, "")[1]
	if args[0] == "ssh" {
		gitSSH(ts, secret)
		return
	}
	options := map[string]servers.GitHTTPOptions{
		"http":  {},
		"https": {TLS: true, Username: "tide", Password: secret},
		"token": {TLS: true, BearerToken: secret},
	}
	if args[0] == "redirect" || args[0] == "lured" {
		gitRedirect(ts, args[0], secret)
		return
	}
	chosen, known := options[args[0]]
	if !known {
		ts.Fatalf("git: %s is none", args[0])
	}
	gitHTTP(ts, chosen)
}

func gitHTTP(ts *testscript.TestScript, options servers.GitHTTPOptions) *servers.GitHTTP {
	ctx, cancel := within()
	defer cancel()
	server, err := servers.StartGitHTTP(ctx, of(ts).dir, options)
	ts.Check(err)
	of(ts).stops = append(of(ts).stops, server)
	ts.Setenv("GIT", server.URL)
	ts.Setenv("GIT_WITH_PASSWORD", strings.Replace(server.URL, "://", "://"+options.Username+":"+options.Password+"@", 1))
	if options.TLS {
		ca := filepath.Join(of(ts).dir, ".git-ca.pem")
		ts.Check(os.WriteFile(ca, server.CACert, 0o600))
		ts.Setenv("GIT_CA", ca)
	}
	return server
}

// gitRedirect serves repositories that another host is said to have; "lured" says that somebody went there.
func gitRedirect(ts *testscript.TestScript, command, secret string) {
	w := of(ts)
	if command == "lured" {
		if requests := w.lure.Requests.All(); len(requests) > 0 {
			ts.Fatalf("the other host was asked: %v", requests)
		}
		return
	}
	w.lure = gitHTTP(ts, servers.GitHTTPOptions{})
	gitHTTP(ts, servers.GitHTTPOptions{TLS: true, Username: "tide", Password: secret, Redirect: func(r *http.Request) string {
		return w.lure.URL + r.URL.RequestURI()
	}})
}

func gitSSH(ts *testscript.TestScript, passphrase string) {
	ctx, cancel := within()
	defer cancel()
	server, err := servers.StartGitSSH(ctx, of(ts).dir, servers.GitSSHOptions{Passphrase: passphrase})
	ts.Check(err)
	of(ts).stops = append(of(ts).stops, server)
	ts.Setenv("GIT", "ssh://"+server.User+"@"+server.Addr)
	ts.Setenv("GIT_KEY", server.Key)
	host, port, _ := strings.Cut(server.Addr, ":")
	ts.Setenv("GIT_HOST", "["+host+"]:"+port)
	ts.Setenv("GIT_KNOWN_HOSTS", server.KnownHosts)
}
