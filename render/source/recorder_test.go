package source_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

func TestRecorder(t *testing.T) {
	files := sourcetest.Files{"app/a.yaml": "a", "app/b.yaml": "b", "app/link@": "../other/c", "other/c": "c", "other/d": "d", "current@": "v1", "v1/e": "e", "v2/e": "e"}
	reads := source.NewRecorder(files.Tree())
	for _, name := range []string{"app/a.yaml", "app/link", "app/absent"} {
		_, _ = reads.ReadFile(name)
	}
	if _, err := reads.ReadDir("app"); err != nil {
		t.Fatal(err)
	}
	if _, err := reads.Resolve("current"); err != nil {
		t.Fatal(err)
	}
	if _, err := reads.ReadFile("v1/e"); err != nil { // where the link leads
		t.Fatal(err)
	}
	var got []string
	for _, e := range reads.Reads() {
		got = append(got, e.Path)
	}
	if diff := cmp.Diff([]string{"app", "app/a.yaml", "app/absent", "app/link", "current", "v1/e"}, got); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}

	tests := []struct {
		name string
		edit func(sourcetest.Files)
		want bool
	}{
		{"nothing", func(sourcetest.Files) {}, true},
		{"a file that was not read", func(f sourcetest.Files) { f["app/b.yaml"] = "x"; f["other/d"] = "x"; f["new"] = "x" }, true},
		{"a file that was read", func(f sourcetest.Files) { f["app/a.yaml"] = "x" }, false},
		{"what a link leads to", func(f sourcetest.Files) { f["other/c"] = "x" }, false},
		{"where a link leads", func(f sourcetest.Files) { f["app/link@"] = "../other/d" }, false},
		{"where a link in a listed directory leads", func(f sourcetest.Files) { f["other/d"] = "c"; f["app/link@"] = "../other/d" }, false},
		{"a name in a directory that was listed", func(f sourcetest.Files) { f["app/new"] = "" }, false},
		{"a file that was absent", func(f sourcetest.Files) { f["app/absent"] = "" }, false},
		{"a file that is gone", func(f sourcetest.Files) { delete(f, "app/a.yaml") }, false},
		{"where a link to a directory leads", func(f sourcetest.Files) { f["current@"] = "v2" }, false},
		{"a link that is a directory now", func(f sourcetest.Files) { delete(f, "current@"); f["current/e"] = "e" }, false},
		{"everything gone", func(f sourcetest.Files) { clear(f) }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			edited := maps.Clone(files)
			test.edit(edited)
			if got := edited.Tree().Same(reads.Reads()); got != test.want {
				t.Errorf("Same after changing %s = %t, want %t", test.name, got, test.want)
			}
		})
	}
}

// folder makes a tree as git gives it: with the hashes of its directories.
func folder(t *testing.T, files map[string]string, links map[string]string) *source.Tree {
	t.Helper()
	content := map[string]string{}
	var entries []source.Entry
	below := map[string][]string{}
	add := func(name, hash string, mode source.Mode) {
		entries = append(entries, source.Entry{Path: name, Mode: mode, Hash: hash})
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			below[dir] = append(below[dir], fmt.Sprint(name, " ", hash))
		}
	}
	for name, text := range files {
		content["file "+text] = text
		add(name, "file "+text, source.File)
	}
	for name, to := range links {
		content["link "+to] = to
		add(name, "link "+to, source.Symlink)
	}
	for dir, names := range below {
		slices.Sort(names)
		entries = append(entries, source.Entry{Path: dir, Mode: source.Directory, Hash: strings.Join(names, ",")})
	}
	return source.NewTree(entries, func(e source.Entry) ([]byte, error) { return []byte(content[e.Hash]), nil })
}

func TestOutline(t *testing.T) {
	read := func(tree *source.Tree, names ...string) []source.Entry {
		r := source.NewRecorder(tree)
		for _, name := range names {
			_, _ = r.ReadFile(name)
		}
		return r.Reads()
	}
	files := map[string]string{"app/a.yaml": "a", "app/sub/b.yaml": "b", "base/c.yaml": "c", "apple/d.yaml": "d"}
	names := []string{".ignore", "app/a.yaml", "app/absent", "app/sub/b.yaml", "apple/d.yaml", "base/c.yaml"}
	tests := []struct {
		name  string
		edit  func(files map[string]string)
		links map[string]string
		dirs  []string
		want  string // the questions
		same  bool   // the outline's answers are those of before
	}{
		{"nothing changed", func(map[string]string) {}, nil, []string{"app"}, "t app|a .ignore|f apple/d.yaml|f base/c.yaml|", true},
		{"a file that nobody read", func(f map[string]string) { f["other/x"] = "x" }, nil, []string{"app"}, "t app|a .ignore|f apple/d.yaml|f base/c.yaml|", true},
		{"a file below", func(f map[string]string) { f["app/sub/b.yaml"] = "x" }, nil, []string{"app"}, "t app|a .ignore|f apple/d.yaml|f base/c.yaml|", false},
		{"a file that was absent below", func(f map[string]string) { f["app/absent"] = "x" }, nil, []string{"app"}, "t app|a .ignore|f apple/d.yaml|f base/c.yaml|", false},
		{"a file that was absent outside", func(f map[string]string) { f[".ignore"] = "x" }, nil, []string{"app"}, "t app|a .ignore|f apple/d.yaml|f base/c.yaml|", false},
		{"a file outside", func(f map[string]string) { f["base/c.yaml"] = "x" }, nil, []string{"app"}, "t app|a .ignore|f apple/d.yaml|f base/c.yaml|", false},
		{"the directory gone", func(f map[string]string) { delete(f, "app/a.yaml"); delete(f, "app/sub/b.yaml") }, nil, []string{"app"}, "t app|a .ignore|f apple/d.yaml|f base/c.yaml|", false},
		{"a link below", func(map[string]string) {}, map[string]string{"app/sub/link": "../../base"}, []string{"app"}, "a .ignore|f app/a.yaml|a app/absent|f app/sub/b.yaml|f apple/d.yaml|f base/c.yaml|", true},
		{"the root", func(map[string]string) {}, nil, []string{"."}, "a .ignore|f app/a.yaml|a app/absent|f app/sub/b.yaml|f apple/d.yaml|f base/c.yaml|", true},
		{"two directories", func(map[string]string) {}, nil, []string{"app/", "base"}, "t app|t base|a .ignore|f apple/d.yaml|", true},
		{"one that is not there", func(map[string]string) {}, nil, []string{"gone"}, "a .ignore|f app/a.yaml|a app/absent|f app/sub/b.yaml|f apple/d.yaml|f base/c.yaml|", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree := folder(t, files, test.links)
			outline := tree.Outline(read(tree, names...), test.dirs...)
			questions, ok := source.Questions(outline)
			if got := strings.ReplaceAll(questions, "\n", "|"); !ok || got != test.want {
				t.Errorf("the outline asks %q (%t), want %q", got, ok, test.want)
			}
			edited := maps.Clone(files)
			test.edit(edited)
			if got := folder(t, edited, test.links).Answer(questions) == source.Answers(outline); got != test.same {
				t.Errorf("the same answers: %t, want %t", got, test.same)
			}
		})
	}
}

// What has a line break in its name cannot be asked for by lines.
func TestQuestionsOfALineBreak(t *testing.T) {
	tree := folder(t, map[string]string{"app/a\nf b": "x"}, nil)
	r := source.NewRecorder(tree)
	if _, err := r.ReadFile("app/a\nf b"); err != nil {
		t.Fatal(err)
	}
	if questions, ok := source.Questions(r.Reads()); ok {
		t.Errorf("questions %q, want none", questions)
	}
	if tree.Same(r.Reads()) {
		t.Error("what cannot be asked for counts as unchanged")
	}
}
