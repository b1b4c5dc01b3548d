package git_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/tests/servers"
)

// addSubmodule records a commit at a path, as `git submodule add` would.
func addSubmodule(t *testing.T, repo *servers.Repo, path, url, commit string) {
	t.Helper()
	if path != "unnamed" {
		runGit(t, repo, "config", "--file", ".gitmodules", "submodule."+path+".path", path)
		runGit(t, repo, "config", "--file", ".gitmodules", "submodule."+path+".url", url)
		runGit(t, repo, "add", ".gitmodules")
	}
	runGit(t, repo, "update-index", "--add", "--cacheinfo", "160000,"+commit+","+path)
	runGit(t, repo, "commit", "--quiet", "--message", "Add a submodule")
}

func TestSubmodules(t *testing.T) {
	server := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{Username: "ada", Password: "s3cret"})
	publish := func(repo *servers.Repo, name string) {
		must(t, repo.Publish(t.Context(), filepath.Join(server.Root, name), servers.Serving{}))
	}
	inner, middle, outer := newRepo(t), newRepo(t), newRepo(t)
	pinned := runGit(t, inner, "rev-parse", "HEAD")
	commit(t, inner, map[string]string{"a.yaml": "a: newer than the pin\n"})
	publish(inner, "libs/inner.git")
	addSubmodule(t, middle, "vendor/inner", "./../inner.git", pinned)
	publish(middle, "libs/middle.git")
	addSubmodule(t, outer, "mid", server.URL+"/libs/middle.git", runGit(t, middle, "rev-parse", "HEAD"))
	addSubmodule(t, outer, "again", "../libs/inner.git", pinned)
	publish(outer, "app.git")
	options := git.Options{URL: server.URL + "/app.git", Auth: git.Auth{Username: "ada", Password: "s3cret"}}

	rev := mustPull(t, newRemote(t, options), "main")
	_, err := rev.Tree.ReadFile("mid/a.yaml")
	wantError(t, err, source.ErrSubmodule, "mid/a.yaml")

	options.Submodules = true
	remote := newRemote(t, options)
	rev = mustPull(t, remote, "main")
	for _, path := range []string{"a.yaml", "mid/a.yaml", "mid/vendor/inner/a.yaml", "mid/vendor/inner/link", "again/dir/deep/c.yaml"} {
		if got, err := rev.Tree.ReadFile(path); err != nil || len(got) != 5 {
			t.Errorf("%s: got %q, %v", path, got, err)
		}
	}
	got, err := rev.Tree.Resolve("mid/vendor/inner")
	want := source.Entry{Path: "mid/vendor/inner", Mode: source.Directory, Hash: runGit(t, inner, "rev-parse", pinned+"^{tree}")}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if n := int64(len(server.Requests.All())); remote.Cost().Requests != n-2 {
		t.Errorf("got %d requests by its own count, the server had %d, 2 of them before", remote.Cost().Requests, n)
	}
}

func TestSubmodulesRefused(t *testing.T) {
	other := sink(t)
	server := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{Username: "ada", Password: "s3cret"})
	local := newRepo(t)
	pinned := runGit(t, local, "rev-parse", "HEAD")
	for url, words := range map[string][]string{
		other.URL + "/x.git":      {"sub", other.URL, "not on " + server.URL},
		"https://example.com/x":   {"sub", "https://example.com"},
		"git@127.0.0.1:x":         {"sub", "ssh://"},
		local.Dir:                 {"sub", "a path on this machine"},
		"file://" + local.Dir:     {"sub", "a path on this machine"},
		"ext::sh -c touch% /x":    {"sub"},
		"../../../..":             {"sub", "leads nowhere"},
		"http://a:b@127.0.0.1/x":  {"sub", "credentials of its own"},
		"../missing.git":          {"sub", "404"},
		"unnamed":                 {"unnamed", "no URL"},
		"../app.git":              {"sub", pinned},
		"-u./payload":             {"sub"},
		"http://127.0.0.1:0/x\nx": {"sub"},
	} {
		t.Run(url, func(t *testing.T) {
			repo := newRepo(t)
			commit(t, repo, map[string]string{"a.yaml": "a: other\n"})
			path := "sub"
			if url == "unnamed" {
				path = url
			}
			addSubmodule(t, repo, path, url, "1234567890123456789012345678901234567890")
			if url == "../app.git" {
				words[1] = "1234567890123456789012345678901234567890"
			}
			must(t, repo.Publish(t.Context(), filepath.Join(server.Root, "app.git"), servers.Serving{AnySHA1: true}))
			options := git.Options{URL: server.URL + "/app.git", Auth: git.Auth{Username: "ada", Password: "s3cret"}, Submodules: true}
			_, err := pull(t, newRemote(t, options), "main")
			is := git.ErrSubmodule
			switch url {
			case "../missing.git":
				is = git.ErrNotFound
			case "../app.git":
				is = git.ErrRefNotFound
			}
			wantError(t, err, is, append(words, "!s3cret")...)
		})
	}
	repo := newRepo(t)
	addSubmodule(t, repo, "sub", "../other", pinned)
	_, err := pull(t, newRemote(t, git.Options{URL: repo.Dir, Submodules: true}), "main")
	wantError(t, err, git.ErrSubmodule, "sub", "local repository")
}
