package servers_test

import (
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/tidemark/tests/servers"
)

func newRepo(t *testing.T) *servers.Repo {
	t.Helper()
	r, err := servers.NewRepo(t.Context(), filepath.Join(t.TempDir(), "work"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func commit(t *testing.T, r *servers.Repo, files map[string]string) string {
	t.Helper()
	hash, err := r.Commit(t.Context(), files, "a change")
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func publish(t *testing.T, r *servers.Repo, dir string, serving servers.Serving) {
	t.Helper()
	if err := r.Publish(t.Context(), dir, serving); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, r *servers.Repo, args ...string) string {
	t.Helper()
	out, err := r.Git(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRepoIsTheSameEveryTime(t *testing.T) {
	t.Setenv("GIT_AUTHOR_NAME", "somebody else")
	history := func() []string {
		r := newRepo(t)
		first := commit(t, r, map[string]string{"a.yaml": "a: 1\n", "dir/b.yaml": "b: 1\n"})
		if err := r.Symlink("dir/link", "../a.yaml"); err != nil {
			t.Fatal(err)
		}
		if err := r.Remove("dir/b.yaml"); err != nil {
			t.Fatal(err)
		}
		return []string{first, commit(t, r, nil)}
	}
	one, two := history(), history()
	if one[0] != two[0] || one[1] != two[1] || one[0] == one[1] {
		t.Errorf("got %v and %v, want the same two hashes", one, two)
	}
}

func TestRepoKeepsTreesBranchesAndTags(t *testing.T) {
	from := t.TempDir()
	for name, content := range map[string]string{"keep.yaml": "k: 1\n", ".gitignore": "*.yaml\n"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(content), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("keep.yaml", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	r := newRepo(t)
	commit(t, r, map[string]string{"gone.yaml": "g: 1\n"})
	if err := r.Tag(t.Context(), "v1.0.0", ""); err != nil {
		t.Fatal(err)
	}
	if err := r.Branch(t.Context(), "next"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what was copied once can be copied over
		if _, err := r.CommitTree(t.Context(), from, "the folder"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Tag(t.Context(), "v2.0.0", "annotated"); err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(t.TempDir(), "bare.git")
	publish(t, r, bare, servers.Serving{})

	const want = ".gitignore\nkeep.yaml\nlink"
	if got := git(t, r, "--git-dir="+bare, "ls-tree", "-r", "--name-only", "next"); got != want {
		t.Errorf("got tree %q, want %q", got, want)
	}
	if got := git(t, r, "--git-dir="+bare, "ls-tree", "next", "link"); got[:6] != "120000" {
		t.Errorf("got %q, want a symbolic link", got)
	}
	const refs = "commit refs/heads/main\ncommit refs/heads/next\ncommit refs/tags/v1.0.0\ntag refs/tags/v2.0.0"
	if got := git(t, r, "--git-dir="+bare, "for-each-ref", "--format=%(objecttype) %(refname)"); got != refs {
		t.Errorf("got refs %q, want %q", got, refs)
	}

	if err := r.Branch(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	newest := commit(t, r, map[string]string{"new.yaml": "n: 1\n"})
	publish(t, r, bare, servers.Serving{AnySHA1: true})
	if got := git(t, r, "--git-dir="+bare, "rev-parse", "main"); got != newest {
		t.Errorf("got main at %s after publishing again, want %s", got, newest)
	}
}
