package git_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/tests/servers"
)

// serveHTTP publishes a repository as /app.git on a real git-http-backend.
func serveHTTP(t *testing.T, repo *servers.Repo, options servers.GitHTTPOptions, serving servers.Serving) *servers.GitHTTP {
	t.Helper()
	server := servers.For(t, servers.StartGitHTTP, options)
	must(t, repo.Publish(t.Context(), filepath.Join(server.Root, "app.git"), serving))
	return server
}

func TestHTTP(t *testing.T) {
	repo := newRepo(t)
	head := runGit(t, repo, "rev-parse", "HEAD")
	server := serveHTTP(t, repo, servers.GitHTTPOptions{}, servers.Serving{})
	remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})

	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			if _, err := remote.Resolve(t.Context(), parseRef(t, []string{"main", "", "refs/heads/main"}[i%3])); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := remote.Cost().Requests; n != 1 || len(server.Requests.All()) != 1 {
		t.Errorf("eight look-ups cost %d requests by its own count, %d by the server's; want 1", n, len(server.Requests.All()))
	}
	rev := mustPull(t, remote, "main")
	wantTree(t, repo, head, rev.Tree)
	if again := mustPull(t, remote, head); again.Tree != rev.Tree || again.Ref != "" {
		t.Errorf("the second fetch of a commit gave %+v", again)
	}
	if n := remote.Cost().Requests; n != 2 || server.Requests.Count(http.MethodPost, "/app.git/git-upload-pack") != 1 {
		t.Errorf("got %d requests (%+v), want one look-up and one fetch", n, server.Requests.All())
	}
}

func TestHTTPAuthentication(t *testing.T) {
	repo := newRepo(t)
	server := serveHTTP(t, repo, servers.GitHTTPOptions{Username: "ada", Password: "s3cret", BearerToken: "t0ken", TLS: true}, servers.Serving{})
	url := server.URL + "/app.git"
	for name, options := range map[string]git.Options{
		"basic":      {URL: url, Auth: git.Auth{Username: "ada", Password: "s3cret", CA: server.CACert}},
		"in the URL": {URL: strings.Replace(url, "://", "://ada:s3cret@", 1), Auth: git.Auth{CA: server.CACert}},
		"bearer":     {URL: url, Auth: git.Auth{BearerToken: "t0ken", CA: server.CACert}},
	} {
		rev, err := pull(t, newRemote(t, options), "main")
		if err != nil || rev.Repo != url {
			t.Errorf("%s: got %q, %v; want %q", name, rev.Repo, err, url)
		}
	}
	for name, test := range map[string]struct {
		options git.Options
		is      error
		word    string
	}{
		"none":         {git.Options{URL: url, Auth: git.Auth{CA: server.CACert}}, git.ErrAuth, "wants credentials"},
		"wrong":        {git.Options{URL: url, Auth: git.Auth{Username: "ada", Password: "wr0ng", CA: server.CACert}}, git.ErrAuth, "does not accept"},
		"wrong in URL": {git.Options{URL: strings.Replace(url, "://", "://ada:wr0ng@", 1), Auth: git.Auth{CA: server.CACert}}, git.ErrAuth, "does not accept"},
		"no CA":        {git.Options{URL: url, Auth: git.Auth{Username: "ada", Password: "s3cret"}}, git.ErrAuth, "certificate"},
		"no such repo": {git.Options{URL: server.URL + "/other.git", Auth: git.Auth{Username: "ada", Password: "s3cret", CA: server.CACert}}, git.ErrNotFound, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pull(t, newRemote(t, test.options), "main")
			wantError(t, err, test.is, test.word, "!s3cret", "!wr0ng")
			if errors.Is(err, git.ErrUnreachable) {
				t.Errorf("%v is taken for a server that does not answer", err)
			}
		})
	}
	_, err := git.NewRemote(git.Options{URL: url, Auth: git.Auth{CA: []byte("no PEM")}})
	if err == nil {
		t.Error("a CA that is none was accepted")
	}
}

// sink is a server that must never be shown anything.
func sink(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked: %s %s, Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestHTTPRedirects(t *testing.T) {
	repo := newRepo(t)
	other := sink(t)
	var server *servers.GitHTTP
	// The paths say how they are redirected.
	redirect := func(r *http.Request) string {
		switch path, query := r.URL.Path, "?"+r.URL.RawQuery; {
		case strings.HasPrefix(path, "/moved/"):
			return server.URL + strings.Replace(path, "/moved/", "/", 1) + query
		case strings.HasPrefix(path, "/away/"), strings.HasPrefix(path, "/late/") && r.Method == http.MethodPost:
			return other.URL + path + query
		case strings.HasPrefix(path, "/post/") && r.Method == http.MethodPost:
			return server.URL + strings.Replace(path, "/post/", "/", 1) + query
		case strings.HasPrefix(path, "/plain/"):
			return strings.Replace(server.URL, "https://", "http://", 1) + path + query
		case strings.HasPrefix(path, "/loop/"):
			return server.URL + path + query
		case strings.HasPrefix(path, "/login/"):
			return server.URL + "/app.git/HEAD"
		}
		return ""
	}
	server = servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{Username: "ada", Password: "s3cret", TLS: true, Redirect: redirect})
	for _, dir := range []string{"", "late", "post"} {
		must(t, repo.Publish(t.Context(), filepath.Join(server.Root, dir, "app.git"), servers.Serving{}))
	}
	auth := git.Auth{Username: "ada", Password: "s3cret", CA: server.CACert}

	rev := mustPull(t, newRemote(t, git.Options{URL: server.URL + "/moved/app.git", Auth: auth}), "main")
	if want := server.URL + "/moved/app.git"; rev.Repo != want {
		t.Errorf("got %s, want the URL that was configured, %s", rev.Repo, want)
	}
	for path, words := range map[string][]string{
		"/away/app.git": {other.URL, "use its URL"}, "/late/app.git": {"only the look-up"}, "/post/app.git": {"only the look-up"},
		"/plain/app.git": {"http://"}, "/loop/app.git": {"in a row"}, "/login/app.git": {"git"},
	} {
		t.Run(path, func(t *testing.T) {
			_, err := pull(t, newRemote(t, git.Options{URL: server.URL + path, Auth: auth}), "main")
			is := git.ErrRedirect
			if path == "/login/app.git" {
				is = git.ErrNotFound
			}
			wantError(t, err, is, append(words, "!s3cret")...)
		})
	}
}

func TestHTTPTipsOnly(t *testing.T) {
	repo := newRepo(t)
	first := runGit(t, repo, "rev-parse", "HEAD")
	second := commit(t, repo, map[string]string{"a.yaml": "a: 2\n"})
	commit(t, repo, map[string]string{"a.yaml": "a: 3\n"})
	// A commit that nothing but an annotated tag leads to.
	runGit(t, repo, "checkout", "--quiet", "--detach")
	tagged := commit(t, repo, map[string]string{"a.yaml": "a: tagged\n"})
	must(t, repo.Tag(t.Context(), "v1.0.0", "annotated"))
	// One that nothing at all leads to, though it is there.
	lost := commit(t, repo, map[string]string{"a.yaml": "a: lost\n"})
	must(t, repo.Tag(t.Context(), "lost", ""))
	must(t, repo.Branch(t.Context(), "main"))
	missing := strings.Repeat("0123456789", 4)

	server := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{})
	for name, serving := range map[string]servers.Serving{"tips": {}, "any": {AnySHA1: true}} {
		dir := filepath.Join(server.Root, name+".git")
		must(t, repo.Publish(t.Context(), dir, serving))
		runGit(t, repo, "--git-dir="+dir, "tag", "--delete", "lost")
	}
	for _, name := range []string{"tips", "any"} {
		for ref, hash := range map[string]string{first: first, second: second, "v1.0.0": tagged, tagged: tagged} {
			rev, err := pull(t, newRemote(t, git.Options{URL: server.URL + "/" + name + ".git"}), ref)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			wantTree(t, repo, hash, rev.Tree)
		}
	}
	any, tips := git.Options{URL: server.URL + "/any.git"}, git.Options{URL: server.URL + "/tips.git"}
	wantTree(t, repo, lost, mustPull(t, newRemote(t, any), lost).Tree)
	_, err := pull(t, newRemote(t, any), missing)
	wantError(t, err, git.ErrRefNotFound, missing)
	for _, hash := range []string{lost, missing} {
		_, err := pull(t, newRemote(t, tips), hash)
		wantError(t, err, git.ErrCommitRefused, hash, "uploadpack.allowReachableSHA1InWant")
	}
}

// A branch that moves between look-up and fetch changes nothing: what was
// looked up is what is fetched.
func TestHTTPBranchMoves(t *testing.T) {
	repo := newRepo(t)
	old := runGit(t, repo, "rev-parse", "HEAD")
	server := serveHTTP(t, repo, servers.GitHTTPOptions{}, servers.Serving{})
	remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})
	rev, err := remote.Resolve(t.Context(), git.Ref{Branch: "main"})
	must(t, err)
	commit(t, repo, map[string]string{"a.yaml": "a: 2\n"})
	must(t, repo.Publish(t.Context(), filepath.Join(server.Root, "app.git"), servers.Serving{}))
	rev, err = remote.Fetch(t.Context(), rev)
	must(t, err)
	wantTree(t, repo, old, rev.Tree)
}

func TestHTTPServerTrouble(t *testing.T) {
	repo := newRepo(t)
	backend := serveHTTP(t, repo, servers.GitHTTPOptions{}, servers.Serving{})
	answer := func(code int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	const advert = "application/x-git-upload-pack-advertisement"
	cut := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			w.Header().Set("Content-Length", "4096")
			fmt.Fprint(w, "0000")
			panic(http.ErrAbortHandler)
		}
		backend.ServeHTTP(w, r)
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		is      error
		word    string
	}{
		"503":             {answer(503, "text/plain", "s3cret"), git.ErrUnreachable, "503"},
		"429":             {answer(429, "text/plain", "s3cret"), git.ErrUnreachable, "429"},
		"403":             {answer(403, "text/plain", "s3cret"), git.ErrAuth, "403"},
		"400":             {answer(400, "text/plain", "s3cret"), git.ErrCorrupt, "400"},
		"a web page":      {answer(200, "text/html", "<p>s3cret"), git.ErrNotFound, "text/html"},
		"an empty answer": {answer(200, advert, ""), git.ErrUnreachable, ""},
		"half an answer":  {answer(200, advert, "001e# service=git-upload-pack\n0000"), git.ErrUnreachable, ""},
		"garbage":         {answer(200, advert, "what is this?"), git.ErrCorrupt, ""},
		"its own words":   {answer(200, advert, pkt("ERR \x1b[31myour password is s3cret\x1b[0m\n")), git.ErrNotFound, "your password is"},
		"SHA-256":         {answer(200, advert, "001e# service=git-upload-pack\n0000"+pkt(strings.Repeat("ab", 32)+" HEAD\x00object-format=sha256 shallow\n")+"0000"), git.ErrInvalid, "SHA-256"},
		"cut in the pack": {cut, git.ErrUnreachable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			_, err := pull(t, newRemote(t, git.Options{URL: server.URL + "/app.git", Auth: git.Auth{Username: "ada", Password: "s3cret"}}), "main")
			wantError(t, err, test.is, test.word, "!s3cret", "!\x1b")
		})
	}
	server := httptest.NewServer(nil)
	server.Close()
	_, err := pull(t, newRemote(t, git.Options{URL: server.URL + "/app.git"}), "main")
	wantError(t, err, git.ErrUnreachable, "refused")
}

func pkt(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

func TestHTTPStopsWithItsContext(t *testing.T) {
	repo := newRepo(t)
	backend := serveHTTP(t, repo, servers.GitHTTPOptions{}, servers.Serving{})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := errors.New("the user said so")
			hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != method {
					backend.ServeHTTP(w, r)
					return
				}
				if method == http.MethodPost {
					// Hang in the middle of the answer.
					w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
					fmt.Fprint(w, "00")
					must(t, http.NewResponseController(w).Flush())
				}
				cancel(stop)
				<-r.Context().Done()
			}))
			defer hang.Close()
			remote := newRemote(t, git.Options{URL: hang.URL + "/app.git"})
			rev, err := remote.Resolve(ctx, git.Ref{Branch: "main"})
			if method == http.MethodPost {
				must(t, err)
				_, err = remote.Fetch(ctx, rev)
			}
			wantError(t, err, stop)
			if errors.Is(err, git.ErrUnreachable) {
				t.Errorf("%v: being stopped is no fault of the server", err)
			}
			// Those who wait for their turn can be stopped as well, and the
			// remote serves those who come later.
			if _, err := remote.Fetch(ctx, source.Revision{Commit: strings.Repeat("a", 40)}); !errors.Is(err, stop) {
				t.Errorf("got %v, want %v", err, stop)
			}
		})
	}
}

func TestHTTPTakesTooLong(t *testing.T) {
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hang.Close()
	_, err := pull(t, newRemote(t, git.Options{URL: hang.URL + "/app.git", LookupTimeout: 50 * time.Millisecond}), "main")
	wantError(t, err, git.ErrUnreachable, "within 50ms")
	_, err = pull(t, newRemote(t, git.Options{URL: hang.URL + "/app.git", FetchTimeout: 50 * time.Millisecond}), strings.Repeat("a", 40))
	wantError(t, err, git.ErrUnreachable, "within 50ms")
}
