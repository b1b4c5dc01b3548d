package git_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/tests/servers"
)

// noise is text that does not compress.
func noise(n int) string {
	seed := [32]byte{1}
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(data)
	return string(data)
}

// counting counts what a server writes.
type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

func TestPackBytesStopsTheTransfer(t *testing.T) {
	repo := newRepo(t)
	runGit(t, repo, "config", "core.compression", "0")
	commit(t, repo, map[string]string{"noise": noise(32 << 20)})
	backend := serveHTTP(t, repo, servers.GitHTTPOptions{}, servers.Serving{})
	var written atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		backend.ServeHTTP(counting{w, &written}, r)
	}))
	defer front.Close()
	_, err := pull(t, newRemote(t, git.Options{URL: front.URL + "/app.git", Limits: git.Limits{PackBytes: 1 << 20}}), "main")
	wantError(t, err, git.ErrLimit, "pack: more than 1048576 bytes")
	front.Close()
	// What lies in the buffers between the two may have been written as well.
	if n := written.Load(); n > 16<<20 {
		t.Errorf("the server could write %d bytes", n)
	}
}

func TestLimits(t *testing.T) {
	repo := newRepo(t)
	head := commit(t, repo, map[string]string{"zeros": strings.Repeat("\x00", 24<<20), "noise": noise(4 << 20)})
	server := serveHTTP(t, repo, servers.GitHTTPOptions{}, servers.Serving{})
	must(t, repo.Publish(t.Context(), filepath.Join(server.Root, "filter.git"), servers.Serving{Filter: true}))
	app, filter, local := server.URL+"/app.git", server.URL+"/filter.git", repo.Dir

	for _, test := range []struct {
		name, url string
		limits    git.Limits
		word      string
	}{
		{"objects of a pack", app, git.Limits{Objects: 5}, "pack: more than 5 objects"},
		{"entries of a tree", local, git.Limits{Objects: 5}, "tree: more than 5 files"},
		{"work", app, git.Limits{InflatedBytes: 8 << 20}, "inflated pack"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := pull(t, newRemote(t, git.Options{URL: test.url, Limits: test.limits}), "main")
			wantError(t, err, git.ErrLimit, test.word)
		})
	}

	for name, options := range map[string]git.Options{
		"over http": {URL: app, Limits: git.Limits{FileBytes: 1 << 20}},
		"local":     {URL: local, Limits: git.Limits{FileBytes: 1 << 20}},
		// Where the server can leave large files out, they do not even travel.
		"filtered": {URL: filter, Limits: git.Limits{FileBytes: 1 << 20, PackBytes: 1 << 16}},
	} {
		t.Run(name, func(t *testing.T) {
			rev := mustPull(t, newRemote(t, options), "main")
			for _, large := range []string{"zeros", "noise"} {
				_, err := rev.Tree.ReadFile(large)
				wantError(t, err, git.ErrLimit, large, "more than 1048576 bytes")
			}
			if got, err := rev.Tree.ReadFile("link"); err != nil || string(got) != "b: 1\n" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	wantTree(t, repo, head, mustPull(t, newRemote(t, git.Options{URL: filter, Limits: git.Limits{FileBytes: 24 << 20}}), "main").Tree)
}

// Many versions of one long text in one commit come as chains of deltas.
func TestDeltas(t *testing.T) {
	repo := newRepo(t)
	lines := strings.Split(strings.ToValidUTF8(fmt.Sprintf("%x", noise(32<<10)), ""), "7")
	files := map[string]string{}
	for i := range 60 {
		lines[i*3] = fmt.Sprintf("changed %d", i)
		files[fmt.Sprintf("chart/%02d.yaml", i)] = strings.Join(lines, "\n")
	}
	head := commit(t, repo, files)
	runGit(t, repo, "repack", "-a", "-d", "-f", "--quiet", "--depth=50", "--window=60")
	server := serveHTTP(t, repo, servers.GitHTTPOptions{}, servers.Serving{})
	dir := filepath.Join(server.Root, "app.git")
	runGit(t, repo, "--git-dir="+dir, "repack", "-a", "-d", "-f", "--quiet", "--depth=50", "--window=60")
	if list := runGit(t, repo, "--git-dir="+dir, "verify-pack", "-v", onlyPack(t, dir)); !strings.Contains(list, "chain length = 9") {
		t.Fatalf("the pack has no long chains:\n%s", list)
	}
	remote := newRemote(t, git.Options{URL: server.URL + "/app.git", Limits: git.Limits{PackBytes: 512 << 10}})
	wantTree(t, repo, head, mustPull(t, remote, "main").Tree)
}

func onlyPack(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.idx"))
	if err != nil || len(found) != 1 {
		t.Fatalf("got %v, %v", found, err)
	}
	return found[0]
}

// hashObject stores an object that git itself would refuse to make.
func hashObject(t *testing.T, repo *servers.Repo, kind string, content []byte) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "hash-object", "-t", kind, "--literally", "-w", "--stdin")
	cmd.Dir, cmd.Stdin = repo.Dir, bytes.NewReader(content)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

func treeObject(entries ...string) []byte {
	var out bytes.Buffer
	for i := 0; i < len(entries); i += 2 {
		out.WriteString(entries[i] + "\x00")
		for j := 0; j < 40; j += 2 {
			var b byte
			fmt.Sscanf(entries[i+1][j:j+2], "%02x", &b)
			out.WriteByte(b)
		}
	}
	return out.Bytes()
}

func commitTree(t *testing.T, repo *servers.Repo, tree string) {
	t.Helper()
	runGit(t, repo, "update-ref", "refs/heads/evil", runGit(t, repo, "commit-tree", "-m", "\x1b[31mred\x07\nbody", tree))
}

func TestHostileTrees(t *testing.T) {
	repo := newRepo(t)
	blob := runGit(t, repo, "rev-parse", "HEAD:a.yaml")
	server := serveHTTP(t, repo, servers.GitHTTPOptions{}, servers.Serving{})

	// A bomb: ten levels of ten times the same directory are ten thousand
	// million files in eleven objects.
	bomb := hashObject(t, repo, "tree", treeObject("100644 f", blob))
	for range 10 {
		var level []string
		for i := range 10 {
			level = append(level, fmt.Sprintf("40000 d%d", i), bomb)
		}
		bomb = hashObject(t, repo, "tree", treeObject(level...))
	}
	deep := hashObject(t, repo, "tree", treeObject("100644 f", blob))
	for range 100 {
		deep = hashObject(t, repo, "tree", treeObject("40000 "+strings.Repeat("d", 100), deep))
	}
	sub := hashObject(t, repo, "tree", treeObject("100644 f", blob))
	for name, test := range map[string]struct {
		tree string
		is   error
		word string
	}{
		"bomb":       {bomb, git.ErrLimit, "tree: more than"},
		"deep":       {deep, git.ErrLimit, "more than 4096 bytes"},
		"dot dot":    {hashObject(t, repo, "tree", treeObject("40000 ..", sub)), git.ErrCorrupt, `".."`},
		"dot git":    {hashObject(t, repo, "tree", treeObject("40000 .GIT", sub)), git.ErrCorrupt, `".GIT"`},
		"slash":      {hashObject(t, repo, "tree", treeObject("100644 a/b", blob)), git.ErrCorrupt, `"a/b"`},
		"twice":      {hashObject(t, repo, "tree", treeObject("100644 f", blob, "40000 f", sub)), git.ErrCorrupt, "twice"},
		"cut":        {hashObject(t, repo, "tree", treeObject("100644 f", blob)[:20]), git.ErrCorrupt, ""},
		"not a tree": {hashObject(t, repo, "tree", treeObject("40000 d", blob)), git.ErrCorrupt, "d"},
	} {
		t.Run(name, func(t *testing.T) {
			commitTree(t, repo, test.tree)
			dir := strings.ReplaceAll(name, " ", "-")
			for _, url := range []string{repo.Dir, server.URL + "/" + dir} {
				if url != repo.Dir {
					// Pushing looks at trees; copying does not.
					must(t, os.CopyFS(filepath.Join(server.Root, dir), os.DirFS(filepath.Join(repo.Dir, ".git"))))
				}
				_, err := pull(t, newRemote(t, git.Options{URL: url}), "evil")
				if errors.Is(test.is, git.ErrCorrupt) && url != repo.Dir && (errors.Is(err, git.ErrUnreachable) || errors.Is(err, git.ErrCommitRefused)) {
					continue // git itself stumbled over it, and sent nothing
				}
				wantError(t, err, test.is, test.word)
			}
		})
	}
	commitTree(t, repo, sub)
	if rev := mustPull(t, newRemote(t, git.Options{URL: repo.Dir}), "evil"); rev.Subject != "[31mred" {
		t.Errorf("got subject %q, want it fit for a terminal", rev.Subject)
	}
}
