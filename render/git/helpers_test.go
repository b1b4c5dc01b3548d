package git_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/tests/servers"
)

// newRepo makes a repository with one commit of a bit of everything.
func newRepo(t *testing.T) *servers.Repo {
	t.Helper()
	repo, err := servers.NewRepo(t.Context(), filepath.Join(t.TempDir(), "work"))
	must(t, err)
	must(t, repo.Symlink("link", "dir/b.yaml"))
	commit(t, repo, map[string]string{"a.yaml": "a: 1\n", "dir/b.yaml": "b: 1\n", "dir/deep/c.yaml": "c: 1\n", "empty": ""})
	runGit(t, repo, "update-index", "--chmod=+x", "a.yaml")
	runGit(t, repo, "commit", "--quiet", "--message", "Let it run\n\nThe body.")
	return repo
}

func commit(t *testing.T, repo *servers.Repo, files map[string]string) string {
	t.Helper()
	hash, err := repo.Commit(t.Context(), files, "Change files")
	must(t, err)
	return hash
}

func runGit(t *testing.T, repo *servers.Repo, args ...string) string {
	t.Helper()
	out, err := repo.Git(t.Context(), args...)
	must(t, err)
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRemote(t *testing.T, options git.Options) *git.Remote {
	t.Helper()
	remote, err := git.NewRemote(options)
	must(t, err)
	return remote
}

func parseRef(t *testing.T, text string) git.Ref {
	t.Helper()
	ref, err := git.ParseRef(text)
	must(t, err)
	return ref
}

// pull resolves a ref and fetches it.
func pull(t *testing.T, remote *git.Remote, ref string) (source.Revision, error) {
	t.Helper()
	rev, err := remote.Resolve(t.Context(), parseRef(t, ref))
	if err != nil {
		return rev, err
	}
	return remote.Fetch(t.Context(), rev)
}

func mustPull(t *testing.T, remote *git.Remote, ref string) source.Revision {
	t.Helper()
	rev, err := pull(t, remote, ref)
	must(t, err)
	return rev
}

// wantTree compares a tree with what git itself says about the commit: every
// entry's path, mode and hash, and every file's content.
func wantTree(t *testing.T, repo *servers.Repo, commit string, got *source.Tree) {
	t.Helper()
	modes := map[string]source.Mode{
		"100644": source.File, "100755": source.Executable, "120000": source.Symlink, "160000": source.Submodule, "040000": source.Directory,
	}
	want := map[string]source.Entry{}
	for line := range strings.SplitSeq(runGit(t, repo, "ls-tree", "-r", "-t", "-z", commit), "\x00") {
		head, path, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		fields := strings.Fields(head)
		entry := source.Entry{Path: path, Mode: modes[fields[0]], Hash: fields[2]}
		if entry.Mode == source.File || entry.Mode == source.Executable {
			content, err := got.ReadFile(path)
			if blob := runGit(t, repo, "cat-file", "blob", entry.Hash); err != nil || strings.TrimSuffix(string(content), "\n") != blob {
				t.Errorf("%s: got %.80q, %v; want %.80q", path, content, err, blob)
			}
		}
		want[path] = entry
	}
	if diff := cmp.Diff(want, entriesOf(t, got)); diff != "" {
		t.Errorf("tree of %s (-want +got):\n%s", commit, diff)
	}
}

func entriesOf(t *testing.T, tree *source.Tree) map[string]source.Entry {
	t.Helper()
	all := map[string]source.Entry{}
	var walk func(string)
	walk = func(dir string) {
		entries, err := tree.ReadDir(dir)
		must(t, err)
		for _, entry := range entries {
			all[entry.Path] = entry
			if entry.Mode == source.Directory {
				walk(entry.Path)
			}
		}
	}
	walk(".")
	return all
}

// wantError holds an error against a case and against words it must, or with
// "!" in front must not, contain.
func wantError(t *testing.T, err, is error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want %q", is)
	}
	if !errors.Is(err, is) {
		t.Errorf("got %q, want it to be %q", err, is)
	}
	for _, word := range words {
		if not, ok := strings.CutPrefix(word, "!"); ok && strings.Contains(err.Error(), not) {
			t.Errorf("got %q, want it without %q", err, not)
		} else if !ok && !strings.Contains(err.Error(), word) {
			t.Errorf("got %q, want it to say %q", err, word)
		}
	}
}
