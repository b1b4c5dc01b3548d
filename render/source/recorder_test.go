package source_test

import (
	"maps"
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
