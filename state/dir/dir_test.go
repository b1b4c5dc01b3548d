package dir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/dir"
	"tidemark.dev/tidemark/state/storetest"
)

func open(t *testing.T, path string) *dir.Store {
	t.Helper()
	store, err := dir.Open(t.Context(), dir.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) state.Store { return open(t, filepath.Join(t.TempDir(), "not", "made", "yet")) })
}

func TestReadingMakesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	if _, err := open(t, path).Get(t.Context(), "head.json"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made %s", path)
	}
}

func TestFilesAreTheOwners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	store := open(t, path)
	stamp, err := store.Create(t.Context(), "runs/a/plan", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Swap(t.Context(), "runs/a/plan", []byte("two"), stamp.Version); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(path, ".tmp")); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

// A run that is killed leaves a temporary file: no object, and not for ever.
func TestLeftoversOfKilledRuns(t *testing.T) {
	path := t.TempDir()
	store := open(t, path)
	if _, err := store.Create(t.Context(), "head.json", []byte("one")); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, age := range map[string]time.Duration{"OLD": 25 * time.Hour, "YOUNG": time.Minute} {
		file := filepath.Join(path, ".tmp", name)
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := open(t, path).List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name != "head.json" {
		t.Errorf("List: got %v, want head.json alone", entries)
	}
	left, err := os.ReadDir(filepath.Join(path, ".tmp"))
	if err != nil || len(left) != 1 || left[0].Name() != "YOUNG" {
		t.Errorf("got %v, %v left, want YOUNG alone", left, err)
	}
}

func TestRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if _, err := dir.Open(t.Context(), dir.Options{Path: path}); !errors.Is(err, state.ErrRefused) {
			t.Errorf("Open %s: got %v, want ErrRefused", path, err)
		}
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"file:///var/lib/tidemark":          "/var/lib/tidemark",
		"file://localhost/var/lib/tidemark": "/var/lib/tidemark",
		"file:///with%20space":              "/with space",
		"file://relative/path":              "",
		"file:relative":                     "",
		"file:///p?x=y":                     "",
		"s3://bucket":                       "",
	} {
		got, err := dir.ParseURL(text)
		if (err != nil) != (want == "") {
			t.Errorf("ParseURL(%q): got error %v", text, err)
		}
		if diff := cmp.Diff(want, got.Path); diff != "" {
			t.Errorf("ParseURL(%q): want - got +\n%s", text, diff)
		}
	}
}

func TestAFolderThatCannotBeMadeIsRefused(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a /proc in which nothing can be made")
	}
	store, err := dir.Open(t.Context(), dir.Options{Path: "/proc/tidemark"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Create(t.Context(), "head.json", []byte("x")); !errors.Is(err, state.ErrRefused) {
		t.Errorf("Create: got %v, want ErrRefused: asking again is useless", err)
	}
}

func TestRaces(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	storetest.Races(t, "dir on "+runtime.GOOS, func(t *testing.T, place string) state.Store {
		return open(t, filepath.Join(root, place))
	})
}
