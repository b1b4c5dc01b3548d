package git_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/tests/servers"
)

// What lies between two commits comes without files, merges included; what does
// not come is said.
func TestLog(t *testing.T) {
	t.Parallel()
	repo := newRepo(t)
	first := strings.TrimSpace(runGit(t, repo, "rev-parse", "HEAD"))
	runGit(t, repo, "checkout", "--quiet", "-b", "side")
	side := commit(t, repo, map[string]string{"side.yaml": "s: 1\n"})
	runGit(t, repo, "checkout", "--quiet", "-")
	commit(t, repo, map[string]string{"main.yaml": "m: 1\n"})
	runGit(t, repo, "merge", "--quiet", "--no-ff", "--message", "Merge it\n\nTidemark-Approve: 0123456789", "side")
	last := strings.TrimSpace(runGit(t, repo, "rev-parse", "HEAD"))

	web := serveHTTP(t, repo, servers.GitHTTPOptions{}, generous).URL + "/app.git"
	poor := serveHTTP(t, repo, servers.GitHTTPOptions{}, servers.Serving{}).URL + "/app.git"
	for name, url := range map[string]string{"in place": repo.Dir, "served": web} {
		remote := newRemote(t, git.Options{URL: url})
		log, err := remote.Log(t.Context(), first, last)
		must(t, err)
		if len(log.Commits) != 3 || !log.Descends || log.Note != "" || log.Commits[0].Hash != last {
			t.Fatalf("%s: got %+v, want 3 commits from the merge down", name, log)
		}
		tip := log.Commits[0]
		if tip.Subject != "Merge it" || !strings.Contains(tip.Message, "Tidemark-Approve: 0123456789") || !strings.Contains(tip.Committer, "@example.test>") {
			t.Errorf("%s: the newest commit is %+v", name, tip)
		}
		if log, err = remote.Log(t.Context(), last, side); err != nil || log.Descends || len(log.Commits) != 1 || !strings.Contains(log.Note, "is not among") {
			t.Errorf("%s: backwards: got %+v, %v, want one commit and why", name, log, err)
		}
		if log, err = remote.Log(t.Context(), "", last); err != nil || len(log.Commits) != 1 {
			t.Errorf("%s: from nothing: got %+v, %v, want the newest alone", name, log, err)
		}
		if _, err = remote.Log(t.Context(), first, "nowhere"); err == nil {
			t.Errorf("%s: no commit: no error", name)
		}
	}
	// A commit that a force push took away.
	runGit(t, repo, "checkout", "--quiet", "-b", "gone", first)
	gone := commit(t, repo, map[string]string{"gone.yaml": "g: 1\n"})
	runGit(t, repo, "checkout", "--quiet", "-")
	runGit(t, repo, "branch", "--quiet", "-D", "gone")
	runGit(t, repo, "reflog", "expire", "--expire=now", "--all")
	for _, prune := range []bool{false, true} {
		if prune {
			runGit(t, repo, "gc", "--quiet", "--prune=now")
		}
		log, err := newRemote(t, git.Options{URL: web}).Log(t.Context(), gone, last)
		if err != nil || log.Descends || len(log.Commits) != 1 || !strings.Contains(log.Note, "is not among") {
			t.Errorf("from a commit that is gone (%v): got %+v, %v, want one commit and why", prune, log, err)
		}
	}
	log, err := newRemote(t, git.Options{URL: poor}).Log(t.Context(), first, last)
	if err != nil || len(log.Commits) != 0 || !strings.Contains(log.Note, "allowFilter") {
		t.Errorf("a server without filters: got %+v, %v, want no commits and why", log, err)
	}
}
