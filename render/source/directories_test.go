package source_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

// grove keeps a tree of which only the first level is there at first. The hash of
// a directory is its path, unless it is a copy of another.
type grove struct {
	files   sourcetest.Files
	here    map[string]bool
	asked   []string
	fails   error
	forgets string
}

func newGrove(files sourcetest.Files) (*grove, *source.Tree) {
	g := &grove{files: files, here: map[string]bool{}}
	return g, source.NewPartialTree(g.level("."), g)
}

// level gives the entries of one directory.
func (g *grove) level(dir string) []source.Entry {
	entries, _ := g.files.Tree().ReadDir(dir)
	for i, e := range entries {
		if e.Mode == source.Directory {
			entries[i].Hash = strings.ReplaceAll(e.Path, "-copy", "")
		}
	}
	return entries
}

func (g *grove) Has(e source.Entry) bool { return g.here[e.Hash] }

// Bring notes what was asked for: a directory that comes without files as "bare:".
func (g *grove) Bring(_ context.Context, wanted []source.Entry, bare bool) error {
	var names []string
	for _, e := range wanted {
		name := e.Path
		if e.Mode == source.Directory && bare {
			name = "bare:" + name
		}
		names = append(names, name)
		if g.fails == nil && e.Path != g.forgets {
			g.come(e, bare)
		}
	}
	slices.Sort(names)
	g.asked = append(g.asked, strings.Join(names, " "))
	return g.fails
}

func (g *grove) come(e source.Entry, bare bool) {
	g.here[e.Hash] = true
	if e.Mode == source.Directory {
		for _, child := range g.level(e.Path) {
			if child.Mode == source.Directory || !bare {
				g.come(child, bare)
			}
		}
	}
}

func (g *grove) Read(e source.Entry) ([]byte, error) {
	if e.Mode == source.Symlink {
		return []byte(g.files[e.Path+"@"]), nil
	}
	return []byte(g.files[e.Path]), nil
}

func (g *grove) List(ctx context.Context, dir source.Entry) ([]source.Entry, error) {
	var all []source.Entry
	for _, e := range g.level(dir.Path) {
		all = append(all, e)
		if e.Mode == source.Directory && g.here[e.Hash] {
			below, _ := g.List(ctx, e)
			all = append(all, below...)
		}
	}
	return all, nil
}

func forest() sourcetest.Files {
	return sourcetest.Files{
		"README": "r", "a/x.yaml": "ax", "a/y.yaml": "ay", "a/deep/z.yaml": "az", "b/x.yaml": "bx", "b/deep/er/z.yaml": "bz",
		"c/x.yaml": "cx", "link@": "b/deep", "b-copy/x.yaml": "bx", "b-copy/deep/er/z.yaml": "bz",
	}
}

func TestDirectoriesComeTogether(t *testing.T) {
	for name, test := range map[string]struct {
		files, directories []string
		questions          string
		read               []string
		want               []string
	}{
		"what nobody expected":                {nil, nil, "", []string{"a/x.yaml", "a/deep/z.yaml"}, []string{"bare:a", "a/x.yaml a/y.yaml", "a/deep/z.yaml"}},
		"what is expected":                    {[]string{"a", "b", "absent"}, nil, "", []string{"a/x.yaml", "b/deep/er/z.yaml"}, []string{"a b"}},
		"directories":                         {nil, []string{"a", "b/deep"}, "", []string{"a/x.yaml", "b/deep/er/z.yaml"}, []string{"a", "bare:b", "b/deep/er/z.yaml"}},
		"files in a directory with its files": {[]string{"a/x.yaml", "a/deep/z.yaml"}, []string{"a"}, "", []string{"a/x.yaml", "a/deep/z.yaml"}, []string{"a"}},
		"files elsewhere come with them":      {[]string{"a/x.yaml", "README"}, []string{"a"}, "f a/x.yaml\nf README\n", []string{"a/?", "README"}, []string{"README a"}},
		"a file brings directories too":       {nil, []string{"a", "c"}, "", []string{"README", "a/x.yaml", "c/x.yaml"}, []string{"README a c link"}},
		"questions":                           {nil, nil, "f a/x.yaml\na b/absent\nd c\nt a/deep\np README\n", []string{"a/?", "b/?", "c/?"}, []string{"bare:a bare:b bare:c"}},
		"questions that need nothing":         {nil, nil, "t a\np b\na absent\n", nil, nil},
		"questions behind a link":             {nil, nil, "f link/er/z.yaml\n", []string{"link/er/?"}, []string{"link", "bare:b"}},
		"questions and what is to be read":    {nil, []string{"a"}, "f a/x.yaml\nf b/x.yaml\n", []string{"a/x.yaml", "b/?"}, []string{"a", "bare:b"}},
		"the same directory elsewhere":        {[]string{"b"}, nil, "", []string{"b/x.yaml", "b-copy/deep/er/z.yaml", "b-copy/?"}, []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			g, tree := newGrove(forest())
			tree.Expect(test.files...)
			tree.ExpectDirectories(test.directories...)
			tree.ExpectQuestions(test.questions)
			for _, name := range test.read {
				if dir, ok := strings.CutSuffix(name, "/?"); ok {
					if _, err := tree.Resolve(dir + "/absent"); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s: got %v, want that nothing is there", name, err)
					}
					continue
				}
				got, err := tree.ReadFile(name)
				if err != nil || string(got) != g.files[name] {
					t.Errorf("%s: got %q, %v", name, got, err)
				}
			}
			if diff := cmp.Diff(test.want, g.asked); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// A directory is told apart by its hash alone, while what is in it is not known.
func TestDirectoriesAreComparedFromOutside(t *testing.T) {
	g, tree := newGrove(forest())
	for questions, want := range map[string][]source.Entry{
		"t a\nt c\n": {{Path: "a", Hash: "tree:a"}, {Path: "c", Hash: "tree:c"}},
		"a absent\n": {{Path: "absent"}},
	} {
		if got := tree.Answer(questions); got != source.Answers(want) {
			t.Errorf("%q: not answered as %+v", questions, want)
		}
	}
	if g.asked != nil {
		t.Errorf("that brought %v", g.asked)
	}
	reads := []source.Entry{{Path: "a/x.yaml", Hash: "1"}}
	if got := tree.Outline(reads, "a"); !slices.Equal(got, reads) {
		t.Errorf("a directory in which there may be links has the outline %+v", got)
	}
	tree.ExpectDirectories("a")
	if _, err := tree.ReadDir("a"); err != nil {
		t.Fatal(err)
	}
	if got := tree.Outline(reads, "a"); !slices.Equal(got, []source.Entry{{Path: "a", Hash: "tree:a"}}) {
		t.Errorf("a directory that is known has the outline %+v", got)
	}
}

// What could not be had is an error of each read, and is not asked for again.
func TestDirectoriesFail(t *testing.T) {
	gone := errors.New("the server is gone")
	for name, prepare := range map[string]func(*grove) error{
		"the server is gone":  func(g *grove) error { g.fails = gone; return gone },
		"it sends other ones": func(g *grove) error { g.forgets = "a"; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			g, tree := newGrove(forest())
			want := prepare(g)
			tree.Expect("a")
			reads := source.NewRecorder(tree)
			_, read := reads.ReadFile("a/x.yaml")
			_, listed := reads.ReadDir("a")
			_, found := reads.Resolve("a/absent")
			for _, err := range []error{read, listed, found} {
				if err == nil || errors.Is(err, fs.ErrNotExist) || want != nil && !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
			if len(g.asked) != 1 || len(reads.Reads()) > 0 {
				t.Errorf("asked for %v and remembers %+v, want one request and nothing", g.asked, reads.Reads())
			}
			if tree.Same([]source.Entry{{Path: "a/absent"}}) {
				t.Error("what is not known answers as what is absent")
			}
		})
	}
}
