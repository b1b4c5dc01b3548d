// Package sourcetest makes trees for tests, from text in the test or from a
// directory on disk. Hashes are those of git.
package sourcetest

import (
	"crypto/sha1" //nolint:gosec // git's object names
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/source"
)

// Files maps paths to contents. A path that ends in "@" is a symbolic link,
// and its content the target.
type Files map[string]string

// Tree makes a tree of files.
func (f Files) Tree() *source.Tree {
	var entries []source.Entry
	for name, content := range f {
		e := source.Entry{Path: strings.TrimSuffix(name, "@"), Hash: hash(content)}
		if strings.HasSuffix(name, "@") {
			e.Mode = source.Symlink
		}
		entries = append(entries, e)
	}
	return source.NewTree(entries, func(e source.Entry) ([]byte, error) {
		if e.Mode == source.Symlink {
			return []byte(f[e.Path+"@"]), nil
		}
		return []byte(f[e.Path]), nil
	})
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
