package source_test

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

// shelf keeps the contents of a partial tree, and what was asked for.
type shelf struct {
	files sourcetest.Files

	mu      sync.Mutex
	here    map[string]bool
	batches []string
	// fails is what Bring ends with; wait is waited for first.
	fails error
	wait  chan struct{}
}

func newShelf(files sourcetest.Files) (*shelf, *source.Tree) {
	s := &shelf{files: files, here: map[string]bool{}}
	var entries []source.Entry
	var list func(string)
	whole := files.Tree()
	list = func(dir string) {
		below, _ := whole.ReadDir(dir)
		for _, e := range below {
			entries = append(entries, e)
			if e.Mode == source.Directory {
				list(e.Path)
			}
		}
	}
	list(".")
	return s, source.NewPartialTree(entries, s)
}

func (s *shelf) Has(e source.Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.here[e.Hash]
}

func (s *shelf) Bring(ctx context.Context, files []source.Entry, _ bool) error {
	if s.wait != nil {
		select {
		case <-s.wait:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, e := range files {
		names = append(names, e.Path)
		s.here[e.Hash] = s.fails == nil
	}
	slices.Sort(names)
	s.batches = append(s.batches, strings.Join(names, " "))
	return s.fails
}

func (s *shelf) Read(e source.Entry) ([]byte, error) {
	if !s.Has(e) {
		return nil, errors.New("was never brought")
	}
	if e.Mode == source.Symlink {
		return []byte(s.files[e.Path+"@"]), nil
	}
	return []byte(s.files[e.Path]), nil
}

func (s *shelf) List(_ context.Context, dir source.Entry) ([]source.Entry, error) {
	return nil, errors.New(dir.Path + " was there from the beginning")
}

func monorepo() sourcetest.Files {
	return sourcetest.Files{
		"README": "r", "app/a.yaml": "a", "app/b.yaml": "b", "app/deep/c.yaml": "c", "base/k.yaml": "k", "base/l.yaml": "l",
		"base/deep/m.yaml": "m", "other/n.yaml": "n", "link@": "base", "other/link@": "../app",
	}
}

func TestPartial(t *testing.T) {
	tests := []struct {
		name   string
		expect []string
		read   []string
		want   []string
	}{
		{"a file and those beside it", nil, []string{"app/a.yaml", "app/b.yaml"}, []string{"app/a.yaml app/b.yaml"}},
		{"a file below them", nil, []string{"app/a.yaml", "app/deep/c.yaml"}, []string{"app/a.yaml app/b.yaml", "app/deep/c.yaml"}},
		{"what is expected", []string{"app", "base/k.yaml", "absent"}, []string{"app/deep/c.yaml", "app/a.yaml", "base/k.yaml"}, []string{"app/a.yaml app/b.yaml app/deep/c.yaml base/k.yaml"}},
		{"what is expected comes with anything", []string{"app"}, []string{"README", "app/a.yaml"}, []string{"README app/a.yaml app/b.yaml app/deep/c.yaml link"}},
		{"links come together", nil, []string{"link/k.yaml", "other/link/a.yaml"}, []string{"link other/link", "base/k.yaml base/l.yaml", "app/a.yaml app/b.yaml"}},
		{"what is expected behind a link", []string{"link"}, []string{"link/deep/m.yaml"}, []string{"link other/link", "base/deep/m.yaml base/k.yaml base/l.yaml"}},
		{"nothing", []string{"app"}, []string{"absent", "app/absent"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, tree := newShelf(monorepo())
			tree.Expect(test.expect...)
			for _, name := range test.read {
				got, err := tree.ReadFile(name)
				if path.Base(name) == "absent" {
					continue
				}
				if e, _ := tree.Resolve(name); err != nil || string(got) != s.files[e.Path] {
					t.Errorf("%s: got %q, %v", name, got, err)
				}
			}
			if diff := cmp.Diff(test.want, s.batches); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPartialNamesAreThere(t *testing.T) {
	s, tree := newShelf(monorepo())
	reads := source.NewRecorder(tree)
	for _, dir := range []string{".", "app", "app/deep"} {
		if _, err := reads.ReadDir(dir); err != nil {
			t.Error(err)
		}
	}
	if !tree.Same(reads.Reads()) || s.batches != nil {
		t.Errorf("listing directories and comparing them brought %v", s.batches)
	}
}

func TestPartialFails(t *testing.T) {
	s, tree := newShelf(monorepo())
	s.fails = errors.New("the server is gone")
	tree.Expect("base")
	for _, name := range []string{"app/a.yaml", "app/b.yaml", "base/k.yaml", "app/a.yaml"} {
		if _, err := tree.ReadFile(name); !errors.Is(err, s.fails) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: got %v, want its name and %v", name, err, s.fails)
		}
	}
	if len(s.batches) != 1 {
		t.Errorf("asked for the same again: %v", s.batches)
	}
}

// One request is enough for many readers, and none of them waits longer than it
// may; what a reader gave up, another one gets.
func TestPartialReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tree := newShelf(monorepo())
		s.wait = make(chan struct{})
		gone := errors.New("no more time")
		read := func(ctx context.Context) chan error {
			done := make(chan error, 1)
			go func() {
				_, err := tree.Within(ctx).ReadFile("app/a.yaml")
				done <- err
			}()
			synctest.Wait()
			return done
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		asks, waits, stays := read(ctx), read(ctx), read(t.Context())
		cancel(gone)
		for _, done := range []chan error{asks, waits} {
			if err := <-done; !errors.Is(err, gone) || !strings.HasPrefix(err.Error(), "app/a.yaml: ") {
				t.Errorf("a reader without time got %v", err)
			}
		}
		close(s.wait)
		if err := <-stays; err != nil {
			t.Errorf("a reader with time got %v", err)
		}
		if _, err := tree.Within(ctx).ReadFile("app/b.yaml"); err != nil {
			t.Errorf("what is there needs no time: %v", err)
		}
		if diff := cmp.Diff([]string{"app/a.yaml app/b.yaml"}, s.batches); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}
