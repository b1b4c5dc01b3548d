package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// Recorder reads a Tree and remembers what it read, so that a later tree can
// be asked whether the same reads would give the same answers. It is safe for
// concurrent use.
type Recorder struct {
	tree *Tree

	mu    sync.Mutex
	reads map[string]Entry
}

// NewRecorder makes a Recorder that has read nothing yet.
func NewRecorder(t *Tree) *Recorder { return &Recorder{tree: t, reads: map[string]Entry{}} }

// Resolve is Tree.Resolve. Only a path that is not there is remembered.
func (r *Recorder) Resolve(name string) (Entry, error) {
	e, err := r.tree.Resolve(name)
	if errors.Is(err, fs.ErrNotExist) {
		r.remember(Entry{Path: path.Clean(name)})
	}
	return e, err
}

// ReadFile is Tree.ReadFile.
func (r *Recorder) ReadFile(name string) ([]byte, error) {
	e, err := r.Resolve(name)
	if err != nil {
		return nil, err
	}
	data, err := r.tree.ReadFile(name)
	if err == nil {
		e.Path = path.Clean(name)
		r.remember(e)
	}
	return data, err
}

// ReadDir is Tree.ReadDir.
func (r *Recorder) ReadDir(name string) ([]Entry, error) {
	if _, err := r.Resolve(name); err != nil {
		return nil, err
	}
	entries, err := r.tree.ReadDir(name)
	if err == nil {
		r.remember(Entry{Path: path.Clean(name), Mode: Directory, Hash: listing(entries)})
	}
	return entries, err
}

func (r *Recorder) remember(e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads[e.Path] = e
}

// Reads gives what was read, sorted by path. The path of an entry is the one
// that was asked for, links in it not resolved, and its hash is
//   - that of the content, for a file;
//   - "list:" and a SHA-256 over the names, modes and links in it, for a
//     directory;
//   - empty for what was looked for and is not there.
func (r *Recorder) Reads() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.reads), func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
}

// ListingPrefix begins the hash of a directory that was read.
const ListingPrefix = "list:"

func listing(entries []Entry) string {
	hash := sha256.New()
	for _, e := range entries {
		fmt.Fprintf(hash, "%d %s\x00", e.Mode, e.Name())
		if e.Mode == Symlink {
			fmt.Fprintf(hash, "%s\x00", e.Hash)
		}
	}
	return ListingPrefix + hex.EncodeToString(hash.Sum(nil))
}

// Same says whether reading in this tree what was read of another would give
// the same answers. On any doubt, an error for one, it says no.
func (t *Tree) Same(reads []Entry) bool {
	for _, read := range reads {
		e, err := t.Resolve(read.Path)
		switch {
		case read.Hash == "":
			if !errors.Is(err, fs.ErrNotExist) {
				return false
			}
		case err != nil:
			return false
		case strings.HasPrefix(read.Hash, ListingPrefix):
			entries, err := t.ReadDir(read.Path)
			if err != nil || listing(entries) != read.Hash {
				return false
			}
		case e.Hash != read.Hash:
			return false
		}
	}
	return true
}
