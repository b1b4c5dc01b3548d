package servers

import (
	"bytes"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
)

// GitHTTPOptions says who may read. The zero value serves everybody over plain HTTP. When both a password and a token
// are set, either opens.
type GitHTTPOptions struct {
	// Username and Password are asked for by basic authentication, when Password is set.
	Username, Password string
	// BearerToken is asked for, when set.
	BearerToken string
	// TLS serves https with an authority of its own; see GitHTTP.CACert.
	TLS bool
	// Redirect is asked first about every request: the URL to send the client to, or "" to serve it. It is called
	// concurrently.
	Redirect func(*http.Request) string
}

// GitHTTP serves the bare repositories under Root with git's own git-http-backend.
type GitHTTP struct {
	// URL is what a repository's path under Root follows: URL + "/app.git".
	URL string
	// Root holds the repositories; Repo.Publish puts them there at any time.
	Root string
	// CACert is the authority behind URL, as PEM, when TLS is on.
	CACert []byte
	// Requests is what came, refused and redirected requests included.
	Requests *Requests

	options  GitHTTPOptions
	backend  *cgi.Handler
	log      *os.File
	listener *listener
}

// StartGitHTTP serves what is, or will be, under dir/git.
func StartGitHTTP(_ context.Context, dir string, options GitHTTPOptions) (*GitHTTP, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, err
	}
	g := &GitHTTP{Root: filepath.Join(dir, "git"), Requests: &Requests{}, options: options}
	if err := os.MkdirAll(g.Root, 0o755); err != nil {
		return nil, err
	}
	g.log, err = os.OpenFile(filepath.Join(dir, "git-http-backend.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	g.backend = &cgi.Handler{
		Path:   git,
		Args:   []string{"http-backend"},
		Env:    append(gitEnv(dir), "GIT_PROJECT_ROOT="+g.Root, "GIT_HTTP_EXPORT_ALL=1"),
		Stderr: g.log,
	}
	var config *tls.Config
	if options.TLS {
		authority, err := newAuthority()
		if err != nil {
			return nil, err
		}
		g.CACert = authority.caPEM
		if config, err = authority.serverConfig(); err != nil {
			return nil, err
		}
	}
	if g.listener, err = listen(g, config); err != nil {
		return nil, err
	}
	g.URL = g.listener.url
	return g, nil
}

// Stop ends the server.
func (g *GitHTTP) Stop() error { return errors.Join(g.listener.Stop(), g.log.Close()) }

// ServeHTTP is the server itself.
func (g *GitHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := g.Requests.record(w, r)
	if g.options.Redirect != nil {
		if target := g.options.Redirect(r); target != "" {
			http.Redirect(answer, r, target, http.StatusFound)
			return
		}
	}
	if !g.admits(r) {
		if g.options.Password != "" {
			answer.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		}
		http.Error(answer, "who are you?", http.StatusUnauthorized)
		return
	}
	if r.ContentLength < 0 {
		// CGI tells the length beforehand, and git sends long requests without one.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(answer, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	}
	g.backend.ServeHTTP(answer, r)
}

func (g *GitHTTP) admits(r *http.Request) bool {
	o := g.options
	if o.Password == "" && o.BearerToken == "" {
		return true
	}
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	if user, password, ok := r.BasicAuth(); ok {
		return o.Password != "" && same(user, o.Username) && same(password, o.Password)
	}
	return o.BearerToken != "" && same(r.Header.Get("Authorization"), "Bearer "+o.BearerToken)
}
