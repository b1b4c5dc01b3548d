package git_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/tests/servers"
)

func TestLocalRepository(t *testing.T) {
	repo := newRepo(t)
	head := runGit(t, repo, "rev-parse", "HEAD")
	dir := t.TempDir()
	bare, shared, linked := filepath.Join(dir, "bare.git"), filepath.Join(dir, "shared"), filepath.Join(dir, "linked")
	must(t, repo.Publish(t.Context(), bare, servers.Serving{}))
	runGit(t, repo, "clone", "--quiet", "--shared", repo.Dir, shared)
	runGit(t, repo, "worktree", "add", "--quiet", "-b", "side", linked)
	packed := filepath.Join(dir, "packed.git")
	must(t, repo.Publish(t.Context(), packed, servers.Serving{}))
	runGit(t, repo, "--git-dir="+packed, "repack", "-a", "-d", "--quiet")
	runGit(t, repo, "--git-dir="+packed, "pack-refs", "--all")

	for name, test := range map[string]struct{ url, ref string }{
		"work tree": {repo.Dir, "refs/heads/main"}, "its .git": {filepath.Join(repo.Dir, ".git"), "refs/heads/main"}, "file://": {"file://" + repo.Dir, "refs/heads/main"},
		"bare": {bare, "refs/heads/main"}, "bare, without .git": {filepath.Join(dir, "bare"), "refs/heads/main"}, "packed": {packed, "refs/heads/main"},
		"borrowing its objects": {shared, "refs/heads/main"}, "linked work tree": {linked, "refs/heads/side"},
	} {
		t.Run(name, func(t *testing.T) {
			remote := newRemote(t, git.Options{URL: test.url})
			rev := mustPull(t, remote, "")
			if rev.Commit != head || rev.Ref != test.ref {
				t.Errorf("got %s at %s, want %s at %s", rev.Ref, rev.Commit, test.ref, head)
			}
			if rev.Author != "Ada Tide <ada@example.test>" || rev.Subject != "Let it run" || !rev.Time.Equal(time.Date(2026, 1, 1, 12, 1, 0, 0, time.UTC)) {
				t.Errorf("got author %q, subject %q, time %s", rev.Author, rev.Subject, rev.Time)
			}
			wantTree(t, repo, head, rev.Tree)
			if remote.Cost().Requests != 0 {
				t.Errorf("got %d requests", remote.Cost().Requests)
			}
		})
	}
}

func TestLocalReadsWhatIsCommitted(t *testing.T) {
	repo := newRepo(t)
	must(t, os.WriteFile(filepath.Join(repo.Dir, "a.yaml"), []byte("not committed"), 0o600))
	got, err := mustPull(t, newRemote(t, git.Options{URL: repo.Dir}), "main").Tree.ReadFile("a.yaml")
	if err != nil || string(got) != "a: 1\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLocalRefused(t *testing.T) {
	dir := t.TempDir()
	_, err := pull(t, newRemote(t, git.Options{URL: dir}), "main")
	wantError(t, err, git.ErrNotFound, "no git repository", dir)
	_, err = pull(t, newRemote(t, git.Options{URL: filepath.Join(dir, "missing")}), "main")
	wantError(t, err, git.ErrNotFound, "missing")

	repo := newRepo(t)
	runGit(t, repo, "init", "--quiet", "--bare", "--object-format=sha256", filepath.Join(dir, "sha256"))
	_, err = pull(t, newRemote(t, git.Options{URL: filepath.Join(dir, "sha256")}), "main")
	wantError(t, err, git.ErrInvalid, "SHA-256")

	runGit(t, repo, "init", "--quiet", "--bare", filepath.Join(dir, "empty"))
	_, err = pull(t, newRemote(t, git.Options{URL: filepath.Join(dir, "empty")}), "")
	wantError(t, err, git.ErrRefNotFound, "empty")

	// A file whose bytes were changed on disk is found out.
	object := runGit(t, repo, "rev-parse", "HEAD:a.yaml")
	other := runGit(t, repo, "rev-parse", "HEAD:dir/b.yaml")
	path := func(hash string) string { return filepath.Join(repo.Dir, ".git/objects", hash[:2], hash[2:]) }
	must(t, os.Remove(path(object)))
	must(t, os.Link(path(other), path(object)))
	_, err = mustPull(t, newRemote(t, git.Options{URL: repo.Dir}), "main").Tree.ReadFile("a.yaml")
	wantError(t, err, git.ErrCorrupt, "a.yaml")
}

func TestResolve(t *testing.T) {
	repo := newRepo(t)
	hash := map[string]string{}
	for _, tag := range []string{"v1.0.0", "1.2.0", "v1.10.0", "v2.0.0-rc.1", "v2.0.0-rc.2", "release-7", "v3"} {
		hash[tag] = commit(t, repo, map[string]string{"tag": tag})
		message := ""
		if tag == "v1.10.0" {
			message = "annotated"
		}
		must(t, repo.Tag(t.Context(), tag, message))
	}
	must(t, repo.Tag(t.Context(), "nested", "of a tag"))
	runGit(t, repo, "tag", "-a", "-m", "of a tag", "twice", "nested")
	must(t, repo.Branch(t.Context(), "production"))
	hash["production"] = commit(t, repo, map[string]string{"x": "1"})
	must(t, repo.Branch(t.Context(), "v3")) // also a tag
	hash["branch v3"] = commit(t, repo, map[string]string{"x": "2"})
	must(t, repo.Branch(t.Context(), "main"))
	runGit(t, repo, "update-ref", "refs/pull/7/head", hash["production"])
	remote := newRemote(t, git.Options{URL: repo.Dir})

	for _, test := range []struct {
		ref          git.Ref
		name, commit string
	}{
		{git.Ref{}, "refs/heads/main", hash["v3"]},
		{git.Ref{Branch: "production"}, "refs/heads/production", hash["production"]},
		{git.Ref{Name: "production"}, "refs/heads/production", hash["production"]},
		{git.Ref{Name: "refs/heads/production"}, "refs/heads/production", hash["production"]},
		{git.Ref{Name: "refs/pull/7/head"}, "refs/pull/7/head", hash["production"]},
		{git.Ref{Name: "v3"}, "refs/heads/v3", hash["branch v3"]},
		{git.Ref{Branch: "v3"}, "refs/heads/v3", hash["branch v3"]},
		{git.Ref{Tag: "v3"}, "refs/tags/v3", hash["v3"]},
		{git.Ref{Name: "v1.10.0"}, "refs/tags/v1.10.0", hash["v1.10.0"]},
		{git.Ref{Tag: "twice"}, "refs/tags/twice", hash["v3"]},
		{git.Ref{Semver: "*"}, "refs/tags/v1.10.0", hash["v1.10.0"]},
		{git.Ref{Semver: "<1.10"}, "refs/tags/1.2.0", hash["1.2.0"]},
		{git.Ref{Semver: "1.0.x"}, "refs/tags/v1.0.0", hash["v1.0.0"]},
		{git.Ref{Semver: ">=2.0.0-0"}, "refs/tags/v2.0.0-rc.2", hash["v2.0.0-rc.2"]},
		{git.Ref{Commit: hash["1.2.0"]}, "", hash["1.2.0"]},
	} {
		got, err := remote.Resolve(t.Context(), test.ref)
		if err != nil || got.Ref != test.name || got.Commit != test.commit {
			t.Errorf("%s: got %s at %s, %v; want %s at %s", test.ref, got.Ref, got.Commit, err, test.name, test.commit)
		}
	}
	for _, test := range []struct {
		ref   git.Ref
		words []string
	}{
		{git.Ref{Branch: "prodcution"}, []string{"refs/heads/prodcution", "there is production"}},
		{git.Ref{Name: "v1.0"}, []string{"v1.0.0"}},
		{git.Ref{Name: "nothing-like-it"}, []string{"there is main"}},
		{git.Ref{Name: "refs/heads/man"}, []string{"there is main"}},
		{git.Ref{Tag: "main"}, []string{"refs/tags/main"}},
		{git.Ref{Name: hash["v3"][:8]}, []string{"all its 40 digits"}},
		{git.Ref{Semver: ">=4"}, []string{"no tag is in the range", "v2.0.0-rc.2, v2.0.0-rc.1, v1.10.0"}},
	} {
		_, err := remote.Resolve(t.Context(), test.ref)
		wantError(t, err, git.ErrRefNotFound, test.words...)
	}
	_, err := remote.Resolve(t.Context(), git.Ref{Branch: "a", Tag: "b"})
	wantError(t, err, git.ErrInvalid)

	// A tag can name anything; a Revision is a commit.
	runGit(t, repo, "tag", "tree", "HEAD^{tree}")
	_, err = pull(t, newRemote(t, git.Options{URL: repo.Dir}), "refs/tags/tree")
	wantError(t, err, git.ErrInvalid, "is a tree, not a commit")
	_, err = pull(t, newRemote(t, git.Options{URL: repo.Dir}), "0123456789012345678901234567890123456789")
	wantError(t, err, git.ErrRefNotFound)
}
