package helm

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/source"
)

// reader reads a tree and notes what it read. It is used by one goroutine. With
// a nil tree nothing is there.
type reader struct {
	tree *source.Tree
	seen map[string]source.Entry
}

func newReader(tree *source.Tree) *reader {
	return &reader{tree: tree, seen: map[string]source.Entry{}}
}

// resolve gives the entry at the end of a path; an absent one is noted too, for
// a render would be another one if it were there.
func (r *reader) resolve(name string) (source.Entry, error) {
	if r.tree == nil {
		return source.Entry{}, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	e, err := r.tree.Resolve(name)
	switch {
	case err == nil:
		r.seen[e.Path] = e
	case errors.Is(err, fs.ErrNotExist):
		r.seen[name] = source.Entry{Path: name}
	}
	return e, err
}

func (r *reader) file(name string) ([]byte, error) {
	if _, err := r.resolve(name); err != nil {
		return nil, err
	}
	return r.tree.ReadFile(name)
}

func (r *reader) list(name string) ([]source.Entry, error) {
	if _, err := r.resolve(name); err != nil {
		return nil, err
	}
	return r.tree.ReadDir(name)
}

// entries gives what was read, sorted by path.
func (r *reader) entries() []source.Entry {
	return slices.SortedFunc(maps.Values(r.seen), func(a, b source.Entry) int { return strings.Compare(a.Path, b.Path) })
}
