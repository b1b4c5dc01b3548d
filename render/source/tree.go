package source

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Mode is the kind of a tree's entry, as git keeps it.
type Mode int

// The modes of entries.
const (
	File Mode = iota
	Executable
	Symlink
	Submodule
	Directory
)

// Entry is one file, link, submodule or directory of a Tree.
type Entry struct {
	// Path is relative to the root of the repository, cleaned, with slashes;
	// the root itself is ".".
	Path string
	Mode Mode
	// Hash is git's object name of the content: equal hashes, equal content.
	Hash string
}

// Name gives the last part of the path.
func (e Entry) Name() string { return path.Base(e.Path) }

// Tree holds the files of one revision. It is safe for concurrent use when the
// read function it was made with is.
type Tree struct {
	names *names
	read  func(Entry) ([]byte, error)
	// open makes known what is in a directory that is closed; nil when none is.
	open func(Entry) error
	// partial brings what is not there; nil when all is.
	partial *partial
}

// The cases in which a path of a tree cannot be used.
var (
	// ErrOutside: a path or a symbolic link leads out of the repository.
	ErrOutside = errors.New("leads out of the repository")
	// ErrLinkLoop: symbolic links lead in a circle.
	ErrLinkLoop = errors.New("too many symbolic links")
	// ErrSubmodule: the path lies in a submodule, which was not fetched.
	ErrSubmodule = errors.New("lies in a git submodule, and submodules are off")
	// ErrLFSPointer: the file holds a pointer of Git LFS, not its content.
	ErrLFSPointer = errors.New("is a Git LFS pointer, and Git LFS content is not fetched")
)

const maxLinks = 40

// NewTree makes a Tree of its entries, in any order. Directories may be left
// out; those that are given carry their hash. The read function gives the
// content of a file or the target of a link.
func NewTree(entries []Entry, read func(Entry) ([]byte, error)) *Tree {
	return &Tree{names: newNames(entries), read: read}
}

// Resolve follows the symbolic links in a path and gives the entry it ends at.
// A path that is not there is fs.ErrNotExist; see the Err variables for the
// other cases. The error names the path that was asked for.
func (t *Tree) Resolve(name string) (Entry, error) {
	e, err := t.names.follow(name, t.read, t.open)
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", name, err)
	}
	return e, nil
}

// follow walks a path; the functions give the targets of links, and open
// directories that are closed. What is in one that cannot be opened is not known,
// so its error is no word about what is there.
func (n *names) follow(name string, read func(Entry) ([]byte, error), open func(Entry) error) (Entry, error) {
	rest, at, links := clean(name), ".", 0
	for {
		if rest == ".." || strings.HasPrefix(rest, "../") {
			return Entry{}, ErrOutside
		}
		if rest == "." {
			e, _ := n.entry(at)
			return e, nil
		}
		if n.isClosed(at) {
			dir, _ := n.entry(at)
			if err := open(dir); err != nil {
				return Entry{}, err
			}
		}
		first, remaining, _ := strings.Cut(rest, "/")
		next := path.Join(at, first)
		e, ok := n.entry(next)
		if !ok {
			return Entry{}, fs.ErrNotExist
		}
		rest = clean(remaining)
		switch e.Mode {
		case Directory:
			at = next
		case Submodule:
			if rest != "." {
				return Entry{}, ErrSubmodule
			}
			return e, nil
		case Symlink:
			if links++; links > maxLinks {
				return Entry{}, ErrLinkLoop
			}
			target, err := read(e)
			if err != nil {
				return Entry{}, err
			}
			if path.IsAbs(string(target)) {
				return Entry{}, ErrOutside
			}
			rest, at = clean(path.Join(at, string(target), rest)), "."
		case File, Executable:
			if rest != "." {
				return Entry{}, fs.ErrNotExist
			}
			return e, nil
		}
	}
}

func clean(name string) string {
	return path.Clean(strings.TrimPrefix(name, "/"))
}

// ReadFile gives the content of a file; symbolic links are followed inside the
// repository. The bytes are the caller's own.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	e, err := t.Resolve(name)
	if err != nil {
		return nil, err
	}
	switch e.Mode {
	case Directory:
		return nil, fmt.Errorf("%s: is a directory", name)
	case Submodule:
		return nil, fmt.Errorf("%s: %w", name, ErrSubmodule)
	case File, Executable, Symlink:
	}
	data, err := t.read(e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
	if len(data) < 1024 && bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/")) {
		return nil, fmt.Errorf("%s: %w", name, ErrLFSPointer)
	}
	return bytes.Clone(data), nil
}

// ReadDir gives the entries of a directory, sorted by path; symbolic links in
// the name are followed, those in the directory are given as they are.
func (t *Tree) ReadDir(name string) ([]Entry, error) {
	e, err := t.Resolve(name)
	if err != nil {
		return nil, err
	}
	if e.Mode == Submodule {
		return nil, fmt.Errorf("%s: %w", name, ErrSubmodule)
	}
	if e.Mode != Directory {
		return nil, fmt.Errorf("%s: is not a directory", name)
	}
	if t.names.isClosed(e.Path) {
		if err := t.open(e); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return slices.Clone(t.names.in(e.Path)), nil
}
