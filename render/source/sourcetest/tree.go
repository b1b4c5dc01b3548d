// Package sourcetest makes trees for tests, from text in the test or from a
// directory on disk. Hashes are those of git.
package sourcetest

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's object names
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tidemark.dev/tidemark/render/source"
)

// Files maps paths to contents. A path that ends in "@" is a symbolic link,
// and its content the target.
type Files map[string]string

// Tree makes a tree of files.
func (f Files) Tree() *source.Tree {
	return source.NewTree(f.entries(), f.content)
}

// Partial makes a tree of files that come one by one when they are read, unless
// the function has an error for one.
func (f Files) Partial(bring func(source.Entry) error) *source.Tree {
	return source.NewPartialTree(f.entries(), &partial{files: f, bring: bring, here: map[string]bool{}})
}

func (f Files) entries() []source.Entry {
	var entries []source.Entry
	for name, content := range f {
		e := source.Entry{Path: strings.TrimSuffix(name, "@"), Hash: hash(content)}
		if strings.HasSuffix(name, "@") {
			e.Mode = source.Symlink
		}
		entries = append(entries, e)
	}
	return entries
}

func (f Files) content(e source.Entry) ([]byte, error) {
	if e.Mode == source.Symlink {
		return []byte(f[e.Path+"@"]), nil
	}
	return []byte(f[e.Path]), nil
}

// partial is the source.Contents of files.
type partial struct {
	files Files
	bring func(source.Entry) error

	mu   sync.Mutex
	here map[string]bool // by hash
}

// Has says whether a file came.
func (p *partial) Has(e source.Entry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.here[e.Hash]
}

// Bring brings one after the other.
func (p *partial) Bring(_ context.Context, files []source.Entry, _ bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, e := range files {
		err := p.bring(e)
		p.here[e.Hash] = err == nil
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Read gives what came.
func (p *partial) Read(e source.Entry) ([]byte, error) { return p.files.content(e) }

// List is not asked for: all directories are there.
func (p *partial) List(_ context.Context, dir source.Entry) ([]source.Entry, error) {
	return nil, fmt.Errorf("%s is no directory that comes later", dir.Path)
}

func hash(content string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// Read reads all files and links below a directory.
func Read(t testing.TB, dir string) Files {
	t.Helper()
	files := Files{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(name)
			files[filepath.ToSlash(relative)+"@"] = target
			return err
		}
		data, err := os.ReadFile(name) //nolint:gosec // The test's own folder.
		files[filepath.ToSlash(relative)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
