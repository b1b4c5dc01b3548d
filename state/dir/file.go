package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tidemark.dev/tidemark/state"
)

// makeFolder makes a folder and those above it, each synced into the one above,
// so that a file in it lasts.
func makeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	err := os.Mkdir(path, 0o700)
	switch {
	case err == nil, errors.Is(err, fs.ErrExist):
	case errors.Is(err, fs.ErrNotExist):
		// The folder above is there: this file system makes no folders at all.
		return fmt.Errorf("%w: %w", state.ErrRefused, err)
	default:
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// writeFile makes a new file that is on the disk when it returns.
func writeFile(path string, data []byte) (info fs.FileInfo, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // Our own random name.
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(data); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	return file.Stat()
}

// syncFolder makes the names in a folder last.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // Of a checked name.
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// removeTemps removes what killed runs left behind. It does what it can:
// leftovers are no objects and harm nobody.
func (s *Store) removeTemps() {
	folder := filepath.Join(s.root, tempName)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && s.now().Sub(info.ModTime()) > tempAge {
			_ = os.Remove(filepath.Join(folder, entry.Name()))
		}
	}
}
