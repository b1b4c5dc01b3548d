package kustomize

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	"tidemark.dev/tidemark/render/source"
)

// mount is where Kustomize sees the repository. It is not the root of its file
// system, so that a path that climbs out of the repository leads to nothing
// instead of back into it.
const mount = "/repository"

var errReadOnly = errors.New("the repository is read-only")

// files is the file system that Kustomize works on: a tree, read-only, with
// some files edited in memory.
type files struct {
	reads  *source.Recorder
	edited map[string][]byte
}

var _ filesys.FileSystem = (*files)(nil)

// inside gives the path in the tree of a path of Kustomize's.
func (f *files) inside(name string) (string, error) {
	switch name = path.Clean(name); {
	case name == mount:
		return ".", nil
	case strings.HasPrefix(name, mount+"/"):
		return strings.TrimPrefix(name, mount+"/"), nil
	default:
		return "", fmt.Errorf("%s: %w", name, source.ErrOutside)
	}
}

func outside(name string) string { return path.Join(mount, name) }

func (f *files) resolve(name string) (source.Entry, error) {
	within, err := f.inside(name)
	if err != nil {
		return source.Entry{}, err
	}
	return f.reads.Resolve(within)
}

// ReadFile gives the content of a file, edited if it was.
func (f *files) ReadFile(name string) ([]byte, error) {
	within, err := f.inside(name)
	if err != nil {
		return nil, err
	}
	if data, ok := f.edited[within]; ok {
		return data, nil
	}
	return f.reads.ReadFile(within)
}

// CleanedAbs resolves links and splits a path into its directory and its file,
// which is empty for a directory.
func (f *files) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	e, err := f.resolve(name)
	if err != nil {
		return "", "", err
	}
	if e.Mode == source.Directory {
		return filesys.ConfirmedDir(outside(e.Path)), "", nil
	}
	return filesys.ConfirmedDir(outside(path.Dir(e.Path))), path.Base(e.Path), nil
}

// IsDir says whether a path is a directory.
func (f *files) IsDir(name string) bool {
	e, err := f.resolve(name)
	return err == nil && e.Mode == source.Directory
}

// Exists says whether a path is there.
func (f *files) Exists(name string) bool {
	_, err := f.resolve(name)
	return err == nil
}

// ReadDir gives the names in a directory.
func (f *files) ReadDir(name string) ([]string, error) {
	within, err := f.inside(name)
	if err != nil {
		return nil, err
	}
	entries, err := f.reads.ReadDir(within)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// What Kustomize needs only for remote bases, Helm charts and its own editing
// commands is refused.
func refuse(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: errReadOnly} }

// Create is refused.
func (f *files) Create(name string) (filesys.File, error) { return nil, refuse("create", name) }

// Open is refused: Kustomize reads whole files.
func (f *files) Open(name string) (filesys.File, error) { return nil, refuse("open", name) }

// Mkdir is refused.
func (f *files) Mkdir(name string) error { return refuse("mkdir", name) }

// MkdirAll is refused.
func (f *files) MkdirAll(name string) error { return refuse("mkdir", name) }

// RemoveAll is refused.
func (f *files) RemoveAll(name string) error { return refuse("remove", name) }

// WriteFile is refused.
func (f *files) WriteFile(name string, _ []byte) error { return refuse("write", name) }

// Glob is refused.
func (f *files) Glob(pattern string) ([]string, error) { return nil, refuse("glob", pattern) }

// Walk is refused.
func (f *files) Walk(name string, _ filepath.WalkFunc) error { return refuse("walk", name) }
