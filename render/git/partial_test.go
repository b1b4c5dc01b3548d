package git_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/tests/servers"
)

// generous is what a server must allow for files to come apart.
var generous = servers.Serving{AnySHA1: true, Filter: true}

const (
	monorepoFile = 2 << 10
	monorepoDir  = 3 * monorepoFile
)

// newMonorepo makes directories of three files that cannot be compressed.
func newMonorepo(t *testing.T, directories int) *servers.Repo {
	t.Helper()
	repo := newRepo(t)
	random := rand.NewChaCha8([32]byte{2})
	files := map[string]string{}
	for dir := range directories {
		for file := range 3 {
			data := make([]byte, monorepoFile)
			_, _ = random.Read(data)
			files[fmt.Sprintf("apps/%03d/%d.yaml", dir, file)] = string(data)
		}
	}
	commit(t, repo, files)
	return repo
}

// treeBytes is how long all directories are.
func treeBytes(t *testing.T, repo *servers.Repo) int64 {
	t.Helper()
	var total int64
	for line := range strings.SplitSeq(runGit(t, repo, "cat-file", "--batch-all-objects", "--batch-check"), "\n") {
		if fields := strings.Fields(line); fields[1] == "tree" {
			size, err := strconv.ParseInt(fields[2], 10, 64)
			must(t, err)
			total += size
		}
	}
	return total
}

// front is a server that stands before another one.
type front struct {
	*httptest.Server
	// connections counts those that were made to it, posts what was asked for.
	connections, posts atomic.Int64
	// before is asked about each post, by its number from 1, and says whether it
	// answered it.
	before func(n int64, w http.ResponseWriter, r *http.Request) bool
}

func newFront(t *testing.T, backend http.Handler) *front {
	t.Helper()
	f := &front{before: func(int64, http.ResponseWriter, *http.Request) bool { return false }}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && f.before(f.posts.Add(1), w, r) {
			return
		}
		backend.ServeHTTP(w, r)
	}))
	f.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			f.connections.Add(1)
		}
	}
	f.Start()
	t.Cleanup(f.Close)
	return f
}

// refuse answers as git does when it does not give out what is wanted.
func refuse(w http.ResponseWriter) bool {
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	fmt.Fprint(w, pkt("ERR upload-pack: not our ref"))
	return true
}

func TestMonorepo(t *testing.T) {
	repo := newMonorepo(t, 200)
	trees := treeBytes(t, repo)
	total := int64(200 * monorepoDir)
	for _, test := range []struct {
		name    string
		serving servers.Serving
		whole   string
	}{
		{"files come apart", generous, ""},
		{"no files by hash", servers.Serving{Filter: true}, "no files by hash"},
		{"no filter", servers.Serving{AnySHA1: true}, "cannot leave files out"},
		{"neither", servers.Serving{}, "cannot leave files out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newFront(t, serveHTTP(t, repo, servers.GitHTTPOptions{}, test.serving))
			remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})
			rev := mustPull(t, remote, "main")
			before := remote.Cost()
			rev.Tree.Expect("apps/007")
			for file := range 3 {
				if got, err := rev.Tree.ReadFile(fmt.Sprintf("apps/007/%d.yaml", file)); err != nil || len(got) != monorepoFile {
					t.Errorf("file %d: got %d bytes, %v", file, len(got), err)
				}
			}
			after := remote.Cost()
			if len(after.Fetches) != 1 || after.Fetches[0].Commit != rev.Commit || !strings.Contains(after.Fetches[0].Whole, test.whole) || (test.whole == "") != (after.Fetches[0].Whole == "") {
				t.Fatalf("got fetches %+v, want one of %s, whole because %q", after.Fetches, rev.Commit, test.whole)
			}
			fetch := after.Fetches[0]
			if test.whole != "" {
				if fetch.Requests != 1 || after.Requests != 2 || fetch.Bytes < total || after.Bytes != before.Bytes {
					t.Errorf("got %+v, want one request of all %d bytes", after, total)
				}
				return
			}
			if fetch.Requests != 2 || after.Requests != 3 || server.posts.Load() != 2 {
				t.Errorf("got %+v, want a look-up, directories, files", after)
			}
			if n := server.connections.Load(); n != 1 {
				t.Errorf("got %d connections, want all over one", n)
			}
			if before.Bytes > 2*trees {
				t.Errorf("directories took %d bytes, they are %d", before.Bytes, trees)
			}
			if after.Bytes > trees+3*monorepoDir {
				t.Errorf("one directory took %d bytes in all, want at most %d and 3 times %d", after.Bytes, trees, monorepoDir)
			}
			rev.Tree.Expect(".")
			for dir := range 200 {
				if got, err := rev.Tree.ReadFile(fmt.Sprintf("apps/%03d/1.yaml", dir)); err != nil || len(got) != monorepoFile {
					t.Fatalf("directory %d: got %d bytes, %v", dir, len(got), err)
				}
			}
			if n := server.posts.Load(); n != 3 {
				t.Errorf("got %d requests, want one more for all other files", n)
			}
			t.Logf("%d bytes of %d: %d for directories of %d, %d for files of %d", after.Bytes, total, before.Bytes, trees, after.Bytes-before.Bytes, monorepoDir)
		})
	}
}

// A tree whose files come later is the same tree.
func TestPartialTree(t *testing.T) {
	repo := newRepo(t)
	head := runGit(t, repo, "rev-parse", "HEAD")
	must(t, repo.Tag(t.Context(), "v1.0.0", "annotated"))
	server := serveHTTP(t, repo, servers.GitHTTPOptions{}, generous)
	for _, ref := range []string{"main", "v1.0.0", head} {
		remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})
		rev := mustPull(t, remote, ref)
		if rev.Subject != "Let it run" || remote.Cost().Fetches[0].Whole != "" {
			t.Errorf("%s: got %q, %+v", ref, rev.Subject, remote.Cost())
		}
		wantTree(t, repo, head, rev.Tree)
		if got, err := rev.Tree.ReadFile("link"); err != nil || string(got) != "b: 1\n" {
			t.Errorf("%s: through a link: got %q, %v", ref, got, err)
		}
	}
}

func TestPartialReaders(t *testing.T) {
	repo := newMonorepo(t, 4)
	server := newFront(t, serveHTTP(t, repo, servers.GitHTTPOptions{}, generous))
	tree := mustPull(t, newRemote(t, git.Options{URL: server.URL + "/app.git"}), "main").Tree
	tree.Expect("apps/001", "apps/002", "apps/003")
	var wait sync.WaitGroup
	for i := range 24 {
		wait.Go(func() {
			name := fmt.Sprintf("apps/%03d/%d.yaml", i%3+1, i%2)
			if got, err := tree.Within(t.Context()).ReadFile(name); err != nil || len(got) != monorepoFile {
				t.Errorf("%s: got %d bytes, %v", name, len(got), err)
			}
		})
	}
	wait.Wait()
	if n := server.posts.Load(); n != 2 {
		t.Errorf("readers made %d requests, want one for the directories and one for all files", n)
	}
}

func TestPartialReadIsCancelled(t *testing.T) {
	repo := newRepo(t)
	server := newFront(t, serveHTTP(t, repo, servers.GitHTTPOptions{}, generous))
	asked := make(chan bool, 1)
	server.before = func(n int64, _ http.ResponseWriter, r *http.Request) bool {
		if n == 2 {
			// Only then the server sees that the client goes away.
			_, _ = io.Copy(io.Discard, r.Body)
			asked <- true
			<-r.Context().Done()
		}
		return n == 2
	}
	tree := mustPull(t, newRemote(t, git.Options{URL: server.URL + "/app.git"}), "main").Tree
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("the run is over")
	go func() {
		<-asked
		cancel(over)
	}()
	_, err := tree.Within(ctx).ReadFile("dir/b.yaml")
	wantError(t, err, over, "dir/b.yaml: ")
	if got, err := tree.ReadFile("dir/b.yaml"); err != nil || string(got) != "b: 1\n" {
		t.Errorf("the next reader got %q, %v", got, err)
	}
}

func TestPartialServerIsGone(t *testing.T) {
	repo := newRepo(t)
	server := newFront(t, serveHTTP(t, repo, servers.GitHTTPOptions{}, generous))
	remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})
	tree := mustPull(t, remote, "main").Tree
	server.Close()
	for _, name := range []string{"dir/b.yaml", "dir/b.yaml", "a.yaml"} {
		_, err := tree.ReadFile(name)
		wantError(t, err, git.ErrUnreachable, name+": ", remote.URL())
	}
	if n := remote.Cost().Requests; n != 4 {
		t.Errorf("got %d requests, want a look-up, directories, and one for each of two directories", n)
	}
}

// What breaks off while it comes is no file.
func TestPartialBreaksOff(t *testing.T) {
	repo := newMonorepo(t, 4)
	backend := serveHTTP(t, repo, servers.GitHTTPOptions{}, generous)
	server := newFront(t, backend)
	server.before = func(n int64, w http.ResponseWriter, r *http.Request) bool {
		if n == 2 {
			answer := httptest.NewRecorder()
			backend.ServeHTTP(answer, r)
			w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
			_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		}
		return n == 2
	}
	tree := mustPull(t, newRemote(t, git.Options{URL: server.URL + "/app.git"}), "main").Tree
	_, err := tree.ReadFile("apps/001/1.yaml")
	wantError(t, err, git.ErrUnreachable, "apps/001/1.yaml: ", "breaks off")
}

func TestPartialRefused(t *testing.T) {
	repo := newRepo(t)
	for _, test := range []struct {
		name    string
		refused []int64
		whole   string
		fails   error
	}{
		{"directories", []int64{1}, "the server refuses to leave files out: the server says: upload-pack: not our ref", nil},
		{"files", []int64{2}, "the server does not give out files by hash: the server says: upload-pack: not our ref", nil},
		{"all that comes later", []int64{2, 3, 4}, "", git.ErrRefNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newFront(t, serveHTTP(t, repo, servers.GitHTTPOptions{}, generous))
			server.before = func(n int64, w http.ResponseWriter, _ *http.Request) bool {
				return slices.Contains(test.refused, n) && refuse(w)
			}
			remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})
			rev := mustPull(t, remote, "main")
			if test.fails != nil {
				_, err := rev.Tree.ReadFile("a.yaml")
				wantError(t, err, test.fails, "a.yaml: ", "not our ref")
				return
			}
			wantTree(t, repo, rev.Commit, rev.Tree)
			if fetches := remote.Cost().Fetches; len(fetches) != 1 || fetches[0].Whole != test.whole {
				t.Errorf("got %+v, want it whole because %q", fetches, test.whole)
			}
		})
	}
}

// One file that is too large does not keep those beside it away, and counts no
// less than in a whole commit.
func TestPartialLimits(t *testing.T) {
	repo := newRepo(t)
	commit(t, repo, map[string]string{"dir/zeros": strings.Repeat("\x00", 2<<20), "dir/noise": noise(2 << 20), "other/noise": noise(1 << 20), "more/noise": noise(1<<20) + "x"})
	server := serveHTTP(t, repo, servers.GitHTTPOptions{}, generous)
	url := server.URL + "/app.git"
	for name, limits := range map[string]git.Limits{
		"it comes":       {FileBytes: 1 << 20},
		"it is too much": {FileBytes: 1 << 20, PackBytes: 2 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			remote := newRemote(t, git.Options{URL: url, Limits: limits})
			tree := mustPull(t, remote, "main").Tree
			for range 2 {
				for _, large := range []string{"dir/zeros", "dir/noise"} {
					_, err := tree.ReadFile(large)
					wantError(t, err, git.ErrLimit, large, "file: more than 1048576 bytes")
				}
				if got, err := tree.ReadFile("dir/b.yaml"); err != nil || string(got) != "b: 1\n" {
					t.Errorf("beside them: got %q, %v", got, err)
				}
			}
			if whole := remote.Cost().Fetches[0].Whole; (whole != "") != (limits.PackBytes > 0) {
				t.Errorf("whole because %q", whole)
			}
		})
	}
	for name, test := range map[string]struct {
		limits git.Limits
		word   string
	}{
		"bytes":   {git.Limits{PackBytes: 1<<20 + 1<<19}, "pack: more than 1572864 bytes"},
		"work":    {git.Limits{InflatedBytes: 1<<20 + 1<<19}, "inflated pack: more than 1572864 bytes"},
		"objects": {git.Limits{Objects: 13}, "pack: more than 13 objects"},
	} {
		t.Run(name+" of all packs", func(t *testing.T) {
			tree := mustPull(t, newRemote(t, git.Options{URL: url, Limits: test.limits}), "main").Tree
			var errs []error
			for _, name := range []string{"other/noise", "more/noise", "a.yaml", "dir/deep/c.yaml", "dir/b.yaml"} {
				_, err := tree.ReadFile(name)
				errs = append(errs, err)
			}
			wantError(t, errors.Join(errs...), git.ErrLimit, test.word)
			if errs[0] != nil {
				t.Errorf("the first file alone: %v", errs[0])
			}
		})
	}
}

// Files that nobody reads do not travel, also where links and names are followed.
func TestPartialLooksWithoutFiles(t *testing.T) {
	repo := newMonorepo(t, 4)
	must(t, repo.Symlink("shared", "apps/003"))
	commit(t, repo, nil)
	server := newFront(t, serveHTTP(t, repo, servers.GitHTTPOptions{}, generous))
	remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})
	tree := mustPull(t, remote, "main").Tree
	first := remote.Cost().Bytes
	reads := []source.Entry{}
	for file := range 3 {
		e, err := tree.Resolve(filepath.Join("apps/003", strconv.Itoa(file)+".yaml"))
		must(t, err)
		e.Path = strings.Replace(e.Path, "apps/003", "shared", 1)
		reads = append(reads, e)
	}
	if !tree.Same(reads) {
		t.Error("the tree differs from itself")
	}
	if n, bytes := server.posts.Load(), remote.Cost().Bytes-first; n != 2 || bytes > monorepoFile {
		t.Errorf("got %d requests and %d bytes after the directories, want one for the links", n, bytes)
	}
}
