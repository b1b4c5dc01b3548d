// Package dir keeps a ledger in a directory, for one machine or for a file
// system that all runners share and that honours link(2) and flock(2).
//
// An object is a file; it comes into being whole, by link(2), and is replaced
// whole, by rename(2) under a lock. Its version is the hash of its bytes: a ledger
// never writes the same bytes twice to a name. Both files and folders are synced
// before a write is answered. Files are for their owner only, since a ledger names
// what runs in a cluster.
package dir

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tidemark.dev/tidemark/state"
)

// No object has a name that begins with a dot, so these are nobody's.
const (
	lockName = ".lock"
	tempName = ".tmp"
)

// tempAge is when a temporary file is certainly nobody's any more.
const tempAge = 24 * time.Hour

// Options say where the store is.
type Options struct {
	// Path is the directory. It is made by the first write.
	Path string
	// Now is the store's clock; nil is the machine's, which must be the one that
	// the file system stamps files with.
	Now func() time.Time
}

// Store is a state.Store and state.Sweeper in a directory.
type Store struct {
	root string
	now  func() time.Time
}

var (
	_ state.Store   = (*Store)(nil)
	_ state.Sweeper = (*Store)(nil)
)

// ParseURL reads file:///directory.
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Options{}, fmt.Errorf("read state URL: %w", err)
	}
	if u.Scheme != "file" || u.Host != "" && u.Host != "localhost" || u.RawQuery != "" || !strings.HasPrefix(u.Path, "/") {
		return Options{}, fmt.Errorf("read state URL %q: it is not file:///directory", u.Redacted())
	}
	return Options{Path: filepath.FromSlash(u.Path)}, nil
}

// Open gives the store. What a killed run left behind in the directory a day
// ago is removed.
func Open(_ context.Context, options Options) (*Store, error) {
	if options.Path == "" {
		return nil, errors.New("open directory: no path")
	}
	root, err := filepath.Abs(options.Path)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	s := &Store{root: root, now: options.Now}
	if s.now == nil {
		s.now = state.SystemClock().Wall
	}
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open directory: %w", certain(err))
	case !info.IsDir():
		return nil, fmt.Errorf("open directory: %w: %s is a file", state.ErrRefused, root)
	}
	s.removeTemps()
	return s, nil
}

// Get is state.Store's.
func (s *Store) Get(ctx context.Context, name string) (state.Blob, error) {
	path, err := s.path(ctx, name)
	if err != nil {
		return state.Blob{}, err
	}
	file, err := os.Open(path) //nolint:gosec // The name was checked.
	if err != nil {
		return state.Blob{}, certain(err)
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	return s.read(file)
}

func (s *Store) read(file *os.File) (state.Blob, error) {
	info, err := file.Stat()
	if err != nil {
		return state.Blob{}, certain(err)
	}
	if !info.Mode().IsRegular() {
		return state.Blob{}, fmt.Errorf("%s: %w: it is not a file", file.Name(), state.ErrRefused)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return state.Blob{}, certain(err)
	}
	return state.Blob{Data: data, Stamp: s.stamp(data, info)}, nil
}

func (s *Store) stamp(data []byte, info fs.FileInfo) state.Stamp {
	sum := sha256.Sum256(data)
	return state.Stamp{Version: hex.EncodeToString(sum[:]), Modified: info.ModTime(), Now: s.now()}
}

// Create is state.Store's.
func (s *Store) Create(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	path, err := s.path(ctx, name)
	if err != nil {
		return state.Stamp{}, err
	}
	if _, err := os.Lstat(path); err == nil {
		return state.Stamp{}, fmt.Errorf("%s: %w", name, state.ErrExists)
	}
	return s.write(path, data, os.Link)
}

// Swap is state.Store's.
func (s *Store) Swap(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
	path, err := s.path(ctx, name)
	if err != nil {
		return state.Stamp{}, err
	}
	if _, err := os.Lstat(path); err != nil {
		return state.Stamp{}, certain(err)
	}
	unlock, err := lock(ctx, filepath.Join(s.root, lockName))
	if err != nil {
		return state.Stamp{}, err
	}
	defer unlock()
	now, err := s.Get(ctx, name)
	if err != nil {
		return state.Stamp{}, err
	}
	if now.Version != version {
		return state.Stamp{}, fmt.Errorf("%s: %w", name, state.ErrChanged)
	}
	return s.write(path, data, os.Rename)
}

// write makes a synced file of data and gives it its name by publish.
func (s *Store) write(path string, data []byte, publish func(from, to string) error) (state.Stamp, error) {
	temp := filepath.Join(s.root, tempName, rand.Text())
	for _, folder := range []string{filepath.Dir(temp), filepath.Dir(path)} {
		if err := makeFolder(folder); err != nil {
			return state.Stamp{}, written(err)
		}
	}
	defer os.Remove(temp) //nolint:errcheck // It is gone after a rename; Open removes what stays.
	info, err := writeFile(temp, data)
	if err != nil {
		return state.Stamp{}, written(err)
	}
	if err := publish(temp, path); err != nil {
		return state.Stamp{}, written(err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return state.Stamp{}, fmt.Errorf("%s may not last: %w", path, err)
	}
	return s.stamp(data, info), nil
}

// List is state.Sweeper's.
func (s *Store) List(ctx context.Context, prefix string) ([]state.Entry, error) {
	var entries []state.Entry
	err := filepath.WalkDir(s.root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist): // It went while we looked.
			return nil
		case err != nil:
			return err
		case path == s.root:
			return nil
		case strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case !entry.Type().IsRegular():
			return nil
		}
		relative, err := filepath.Rel(s.root, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		if !strings.HasPrefix(name, prefix) {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		entries = append(entries, state.Entry{Name: name, Size: info.Size(), Modified: info.ModTime()})
		return nil
	})
	if err != nil {
		return nil, certain(err)
	}
	slices.SortFunc(entries, func(a, b state.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// Delete is state.Sweeper's. A folder that becomes empty goes too.
func (s *Store) Delete(ctx context.Context, name string) error {
	path, err := s.path(ctx, name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return certain(err)
	}
	// Fails while the folder holds something; makeFolder and link bring it back
	// when somebody writes there at this moment, or that write fails and is
	// repeated.
	if folder := filepath.Dir(path); folder != s.root {
		_ = os.Remove(folder)
	}
	return nil
}

// path gives the file of an object.
func (s *Store) path(ctx context.Context, name string) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err := state.CheckName(name); err != nil {
		return "", err
	}
	return filepath.Join(s.root, filepath.FromSlash(name)), nil
}

// certain names what a system call's error says for certain.
func certain(err error) error {
	for cause, meaning := range map[error]error{
		fs.ErrNotExist:   state.ErrNotFound,
		fs.ErrExist:      state.ErrExists,
		fs.ErrPermission: state.ErrRefused,
		syscall.EROFS:    state.ErrRefused,
		syscall.ENOTDIR:  state.ErrRefused,
	} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", meaning, err)
		}
	}
	return err
}

// written is certain for a write. There a missing file is a folder that went
// at this moment and says nothing about the object.
func written(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return certain(err)
}
