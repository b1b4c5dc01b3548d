package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tree is the files of a commit by their paths.
type tree map[string]string

// with gives the tree with other files in it; an empty text takes a file away.
func (t tree) with(files tree) tree {
	next := maps.Clone(t)
	for path, text := range files {
		next[path] = text
		if text == "" {
			delete(next, path)
		}
	}
	return next
}

// history is a bare repository with one commit for each tree. Hundreds of worlds want one, so it is made by two
// processes of git whatever its length.
type history struct {
	dir     string
	commits []string
}

func newHistory(ctx context.Context, dir string, trees []tree) (*history, error) {
	var stream bytes.Buffer
	for i, files := range trees {
		fmt.Fprintf(&stream, "commit refs/heads/all\nmark :%d\ncommitter Ada Tide <ada@example.test> %d +0000\n", i+1, 1767268800+60*i)
		message := fmt.Sprintf("commit %d", i)
		fmt.Fprintf(&stream, "data %d\n%s\ndeleteall\n", len(message), message)
		for _, path := range slices.Sorted(maps.Keys(files)) {
			fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(files[path]), files[path])
		}
	}
	git := func(input io.Reader, args ...string) error {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}
		cmd.Stdin = input
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := git(nil, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", dir); err != nil {
		return nil, err
	}
	if err := git(&stream, "--git-dir="+dir, "fast-import", "--quiet", "--export-marks="+filepath.Join(dir, "marks")); err != nil {
		return nil, err
	}
	marks, err := os.ReadFile(filepath.Join(dir, "marks"))
	if err != nil {
		return nil, err
	}
	h := &history{dir: dir, commits: make([]string, len(trees))}
	for line := range strings.Lines(string(marks)) {
		var mark int
		var hash string
		if _, err := fmt.Sscanf(line, ":%d %s", &mark, &hash); err != nil {
			return nil, fmt.Errorf("read marks: %w", err)
		}
		h.commits[mark-1] = hash
	}
	return h, nil
}

// stand moves the branch main to a commit.
func (h *history) stand(commit int) error {
	ref := filepath.Join(h.dir, "refs", "heads", "main")
	if err := os.WriteFile(ref+".next", []byte(h.commits[commit]+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(ref+".next", ref)
}
