package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Repo is a git repository with a work tree, kept by the real git. The same calls make the same commits, whoever calls
// and whenever: author, dates and configuration are fixed. It is not safe for concurrent use.
type Repo struct {
	// Dir is the work tree.
	Dir string

	commits int
}

// NewRepo makes an empty repository in dir, which need not exist, on the branch main.
func NewRepo(ctx context.Context, dir string) (*Repo, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	r := &Repo{Dir: dir}
	_, err := r.Git(ctx, "init", "--quiet", "--initial-branch=main")
	return r, err
}

// Git runs git in the work tree and answers with what it printed, less the last line's end.
func (r *Repo) Git(ctx context.Context, args ...string) (string, error) {
	return r.GitWith(ctx, nil, args...)
}

// GitWith is Git with something to read on its standard input.
func (r *Repo) GitWith(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.Dir
	cmd.Stdin = stdin
	// One commit a minute, so that histories sort by date too.
	date := time.Date(2026, 1, 1, 12, r.commits, 0, 0, time.UTC).Format(time.RFC3339)
	cmd.Env = append(gitEnv(r.Dir),
		"GIT_AUTHOR_NAME=Ada Tide", "GIT_AUTHOR_EMAIL=ada@example.test", "GIT_AUTHOR_DATE="+date,
		"GIT_COMMITTER_NAME=Ada Tide", "GIT_COMMITTER_EMAIL=ada@example.test", "GIT_COMMITTER_DATE="+date)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// gitEnv is an environment in which git sees neither the user's nor the machine's configuration, and asks nothing.
func gitEnv(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
	}
}

// Commit writes the files, named by their path in the repository, commits the whole work tree with the message, and
// answers with the commit's hash. What was changed in Dir by hand goes in too. A commit that changes nothing is made all
// the same.
func (r *Repo) Commit(ctx context.Context, files map[string]string, message string) (hash string, err error) {
	for name, content := range files {
		path := filepath.Join(r.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	// Forced, so that a .gitignore among the files keeps nothing out.
	if _, err := r.Git(ctx, "add", "--all", "--force", "."); err != nil {
		return "", err
	}
	if _, err := r.Git(ctx, "commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message", message); err != nil {
		return "", err
	}
	r.commits++
	return r.Hash(ctx, "HEAD")
}

// CommitTree makes the work tree a copy of the folder, with its symbolic links and file modes, and commits that; files
// that the folder lacks are gone.
func (r *Repo) CommitTree(ctx context.Context, dir, message string) (hash string, err error) {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if entry.Name() == ".git" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(r.Dir, entry.Name())); err != nil {
			return "", err
		}
	}
	if err := copyTree(dir, r.Dir); err != nil {
		return "", fmt.Errorf("copy %s: %w", dir, err)
	}
	return r.Commit(ctx, nil, message)
}

// copyTree leaves out a .git at the top, and makes what it copies writable, since the original may not be.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if name == ".git" && entry.IsDir() {
			return fs.SkipDir
		}
		target := filepath.Join(to, name)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case entry.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is neither file, folder nor link", name)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, info.Mode().Perm()|0o600)
	})
}

// Remove takes files or folders out of the work tree; the next Commit has them gone.
func (r *Repo) Remove(names ...string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, os.RemoveAll(filepath.Join(r.Dir, filepath.FromSlash(name))))
	}
	return errors.Join(errs...)
}

// Symlink puts a symbolic link in the work tree; the next Commit has it.
func (r *Repo) Symlink(name, target string) error {
	path := filepath.Join(r.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.Symlink(target, path)
}

// Hash is the commit that the revision names.
func (r *Repo) Hash(ctx context.Context, revision string) (string, error) {
	return r.Git(ctx, "rev-parse", "--verify", revision+"^{commit}")
}

// Branch goes to the branch, which begins at the current commit when it is new.
func (r *Repo) Branch(ctx context.Context, name string) error {
	if _, err := r.Git(ctx, "rev-parse", "--verify", "--quiet", "refs/heads/"+name); err != nil {
		_, err := r.Git(ctx, "checkout", "--quiet", "-b", name)
		return err
	}
	_, err := r.Git(ctx, "checkout", "--quiet", name)
	return err
}

// Tag names the current commit, or moves the tag to it; with a message, the tag is an object of its own.
func (r *Repo) Tag(ctx context.Context, name, message string) error {
	args := []string{"tag", "--force", name}
	if message != "" {
		args = []string{"tag", "--force", "--annotate", "--message", message, name}
	}
	_, err := r.Git(ctx, args...)
	return err
}

// Serving says what a published repository allows its readers. The zero value is what git allows by default.
type Serving struct {
	// AnySHA1 lets them fetch any commit by its hash, as the large hosts do.
	AnySHA1 bool
	// Filter lets them leave objects out (partial clone).
	Filter bool
	// Config is what else git's configuration says, "uploadpackfilter.tree.maxDepth=1".
	Config []string
}

// Publish makes dir a bare copy of the repository, branches and tags included, or brings it up to date. The folder is
// a repository's whole address for file://, GitHTTP and GitSSH.
func (r *Repo) Publish(ctx context.Context, dir string, serving Serving) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	steps := [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", dir},
		{"--git-dir=" + dir, "config", "uploadpack.allowAnySHA1InWant", fmt.Sprint(serving.AnySHA1)},
		{"--git-dir=" + dir, "config", "uploadpack.allowFilter", fmt.Sprint(serving.Filter)},
		{"push", "--quiet", "--mirror", dir},
	}
	for _, setting := range serving.Config {
		name, value, _ := strings.Cut(setting, "=")
		steps = append(steps, []string{"--git-dir=" + dir, "config", name, value})
	}
	for _, args := range steps {
		if _, err := r.Git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}
