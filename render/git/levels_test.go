package git_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/tests/servers"
)

// newDeepMonorepo makes apps with files, and directories below that nobody reads.
func newDeepMonorepo(t *testing.T, apps int) *servers.Repo {
	t.Helper()
	repo := newMonorepo(t, apps)
	files := map[string]string{"README": "r\n", "apps/NOTE": noise(monorepoFile)}
	for app := range apps {
		for dir := range 4 {
			files[fmt.Sprintf("apps/%03d/src/pkg%d/%d", app, dir, app)] = fmt.Sprint("source ", app, dir)
		}
	}
	commit(t, repo, files)
	return repo
}

// outlines are the questions after the directories of all apps, and their answer.
func outlines(t *testing.T, repo *servers.Repo, apps int) (questions, answers string) {
	t.Helper()
	var reads []source.Entry
	for app := range apps {
		dir := fmt.Sprintf("apps/%03d", app)
		reads = append(reads, source.Entry{Path: dir, Hash: "tree:" + runGit(t, repo, "rev-parse", "HEAD:"+dir)})
	}
	questions, ok := source.Questions(reads)
	if !ok {
		t.Fatal("no questions")
	}
	return questions, source.Answers(reads)
}

// What a change of one app costs follows that app, whatever else is in the
// repository: the directories on the way, and that app's own with its files.
func TestLevels(t *testing.T) {
	const apps = 60
	repo := newDeepMonorepo(t, apps)
	questions, answers := outlines(t, repo, apps)
	all := treeBytes(t, repo)
	any := servers.Serving{AnySHA1: true, Filter: true}
	limited := func(settings ...string) servers.Serving {
		return servers.Serving{AnySHA1: true, Filter: true, Config: settings}
	}
	for _, test := range []struct {
		name     string
		serving  servers.Serving
		requests int64
		whole    string
		broad    string
	}{
		{"directories come apart", any, 2, "", ""},
		{"no tree filter", limited("uploadpackfilter.tree.allow=false"), 3, "", "refuses to leave directories out: the server says: filter 'tree' not supported"},
		{"no tree filter that deep", limited("uploadpackfilter.tree.maxDepth=1"), 3, "", "refuses to leave directories out: the server says: tree filter allows max depth 1"},
		{"no combined filters", limited("uploadpackfilter.combine.allow=false"), 3, "", "refuses to leave directories out: the server says: filter 'combine' not supported"},
		{"no filter that it announces", limited("uploadpackfilter.allow=false"), 4, "the server refuses to leave files out", ""},
		{"no filter", servers.Serving{AnySHA1: true}, 1, "cannot leave files out", ""},
		{"nothing by hash", servers.Serving{Filter: true}, 1, "no files by hash", ""},
	} {
		for transport, options := range map[string]func(*testing.T) git.Options{
			"http": func(t *testing.T) git.Options {
				return git.Options{URL: serveHTTP(t, repo, servers.GitHTTPOptions{}, test.serving).URL + "/app.git"}
			},
			"ssh": func(t *testing.T) git.Options {
				server, auth := serveSSH(t, repo, servers.GitSSHOptions{}, test.serving)
				return git.Options{URL: server.URL("app.git"), Auth: auth}
			},
		} {
			t.Run(test.name+" "+transport, func(t *testing.T) {
				remote := newRemote(t, options(t))
				defer remote.Close()
				remote.Expect("apps/007", "apps/008/")
				rev := mustPull(t, remote, "main")
				before := remote.Cost().Fetches[0]
				rev.Tree.ExpectQuestions(questions)
				if got := rev.Tree.Answer(questions); got != answers {
					t.Errorf("got the answer %s, want %s", got, answers)
				}
				if now := remote.Cost().Fetches[0]; now != before {
					t.Errorf("telling what changed took more: %+v, then %+v", before, now)
				}
				rev.Tree.ExpectDirectories("apps/007")
				rev.Tree.Expect("apps/007/0.yaml", "apps/007/absent/too.yaml")
				for file := range 3 {
					if got, err := rev.Tree.ReadFile(fmt.Sprintf("apps/007/%d.yaml", file)); err != nil || len(got) != monorepoFile {
						t.Errorf("file %d: got %d bytes, %v", file, len(got), err)
					}
				}
				for _, absent := range []string{"apps/007/absent", "apps/absent", "apps/007/src/absent/too"} {
					if _, err := rev.Tree.Resolve(absent); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s: got %v, want that it is not there", absent, err)
					}
				}
				if outline := rev.Tree.Outline([]source.Entry{{Path: "apps/007/0.yaml"}}, "apps/007"); len(outline) != 1 || !strings.HasPrefix(outline[0].Hash, "tree:") {
					t.Errorf("got the outline %+v of what came with all that is in it", outline)
				}
				took := remote.Cost().Fetches[0]
				if took.Requests != test.requests && transport == "http" || !strings.Contains(took.Whole, test.whole) || !strings.Contains(took.Broad, test.broad) ||
					(took.Whole == "") != (test.whole == "") || (took.Broad == "") != (test.broad == "") {
					t.Errorf("got %+v, want %d requests, whole because %q, all directories because %q", took, test.requests, test.whole, test.broad)
				}
				if most := all/2 + 3*monorepoDir; test.whole == "" && test.broad == "" && took.Bytes > most {
					t.Errorf("it took %d bytes, want at most %d", took.Bytes, most)
				}
				t.Logf("%d bytes in %d requests; all directories are %d", took.Bytes, took.Requests, all)
			})
		}
	}
}

// A tree whose directories come later is the same tree, whichever of them come
// first.
func TestLevelsTree(t *testing.T) {
	repo := newRepo(t)
	must(t, repo.Symlink("dir/deep/up", "../.."))
	commit(t, repo, map[string]string{"dir/deep/er/d.yaml": "d: 1\n", "same/er/d.yaml": "d: 1\n"})
	head := runGit(t, repo, "rev-parse", "HEAD")
	must(t, repo.Tag(t.Context(), "v1.0.0", "annotated"))
	server := serveHTTP(t, repo, servers.GitHTTPOptions{}, generous)
	for _, path := range []string{"dir", "dir/deep", "./dir/deep/er/", "dir/deep/er/d.yaml"} {
		for _, ref := range []string{"main", "v1.0.0", head} {
			remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})
			remote.Expect(path)
			rev := mustPull(t, remote, ref)
			if cost := remote.Cost().Fetches[0]; rev.Subject != "Change files" || cost.Whole != "" || cost.Broad != "" {
				t.Errorf("%s, %s: got %q, %+v", path, ref, rev.Subject, cost)
			}
			if got, err := rev.Tree.ReadFile("dir/deep/up/same/er/d.yaml"); err != nil || string(got) != "d: 1\n" {
				t.Errorf("%s, %s: through a link: got %q, %v", path, ref, got, err)
			}
			wantTree(t, repo, head, rev.Tree)
		}
	}
}

// A directory that cannot be had is never taken for one that is empty, nor its
// entries for some that are not there.
func TestLevelsServerIsGone(t *testing.T) {
	repo := newRepo(t)
	server := newFront(t, serveHTTP(t, repo, servers.GitHTTPOptions{}, generous))
	remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})
	remote.Expect("dir")
	tree := mustPull(t, remote, "main").Tree
	server.Close()
	reads := source.NewRecorder(tree)
	for name, read := range map[string]func() error{
		"dir/b.yaml": func() error { _, err := reads.ReadFile("dir/b.yaml"); return err },
		"dir/absent": func() error { _, err := reads.Resolve("dir/absent"); return err },
		"dir":        func() error { _, err := reads.ReadDir("dir"); return err },
	} {
		err := read()
		wantError(t, err, git.ErrUnreachable, name+": ", remote.URL())
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v is taken for absence", name, err)
		}
	}
	if got := reads.Reads(); len(got) > 0 {
		t.Errorf("remembers %+v of what could not be read", got)
	}
	absent := []source.Entry{{Path: "dir/absent"}}
	if tree.Same(absent) {
		t.Error("what cannot be known answers as what is not there")
	}
	if outline := tree.Outline([]source.Entry{{Path: "dir/b.yaml", Hash: "1"}}, "dir"); len(outline) != 1 || outline[0].Path != "dir/b.yaml" {
		t.Errorf("got the outline %+v of a directory that is not known", outline)
	}
	if n := remote.Cost().Requests; n != 3 {
		t.Errorf("got %d requests, want a look-up, the first directories, and one that failed", n)
	}
}

func TestLevelsRefused(t *testing.T) {
	repo := newRepo(t)
	for _, test := range []struct {
		name    string
		refused map[int64]bool
		replay  bool
		whole   string
		fails   error
	}{
		{"later directories", map[int64]bool{2: true}, false, "the server does not give out files by hash: the server says: upload-pack: not our ref", nil},
		{"other ones come", map[int64]bool{2: true}, true, "the server does not give out files by hash: the server does not send all that it was asked for", nil},
		{"everything later", map[int64]bool{2: true, 3: true, 4: true}, false, "", git.ErrRefNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			backend := serveHTTP(t, repo, servers.GitHTTPOptions{}, generous)
			server := newFront(t, backend)
			first := httptest.NewRecorder()
			server.before = func(n int64, w http.ResponseWriter, r *http.Request) bool {
				switch {
				case n == 1:
					backend.ServeHTTP(first, r)
				case !test.refused[n]:
					return false
				case !test.replay:
					return refuse(w)
				}
				w.Header().Set("Content-Type", first.Header().Get("Content-Type"))
				answer := first.Body.String()
				if n > 1 { // without the lines about the commit's depth
					answer = answer[strings.Index(answer, "0008NAK"):]
				}
				_, _ = w.Write([]byte(answer))
				return true
			}
			remote := newRemote(t, git.Options{URL: server.URL + "/app.git"})
			remote.Expect("dir")
			rev := mustPull(t, remote, "main")
			if test.fails != nil {
				_, err := rev.Tree.ReadDir("dir")
				wantError(t, err, test.fails, "dir: ", "not our ref")
				return
			}
			wantTree(t, repo, rev.Commit, rev.Tree)
			if fetches := remote.Cost().Fetches; len(fetches) != 1 || fetches[0].Whole != test.whole {
				t.Errorf("got %+v, want it whole because %q", fetches, test.whole)
			}
		})
	}
}

// Entries count whenever they come.
func TestLevelsLimits(t *testing.T) {
	repo := newMonorepo(t, 20)
	server := serveHTTP(t, repo, servers.GitHTTPOptions{}, generous)
	remote := newRemote(t, git.Options{URL: server.URL + "/app.git", Limits: git.Limits{Objects: 60}})
	remote.Expect("apps/001")
	tree := mustPull(t, remote, "main").Tree
	var errs []error
	for app := range 20 {
		_, err := tree.ReadDir(fmt.Sprintf("apps/%03d", app))
		errs = append(errs, err)
	}
	if errs[0] != nil {
		t.Errorf("the first directory: %v", errs[0])
	}
	wantError(t, errors.Join(errs...), git.ErrLimit, "tree: more than 60 files and directories")
}
