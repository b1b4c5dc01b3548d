package plain_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/plain"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

func cm(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

func TestRender(t *testing.T) {
	files := sourcetest.Files{
		"app/b.yaml":                     cm("b") + "---\n" + cm("b2"),
		"app/a.yml":                      cm("a"),
		"app/c.json":                     `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`,
		"app/README.md":                  "no manifest",
		"app/.hidden.yaml":               "no: manifest",
		"app/.github/x.yaml":             "no: manifest",
		"app/sub/d.yaml":                 cm("d"),
		"app/sub/deep/e.yaml":            cm("e"),
		"app/comment.yaml":               "# nothing\n",
		"app/kustomization.yaml":         "resources: [b.yaml]\n",
		"app/sub/typed.yaml":             "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
		"app/flux.yaml":                  "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: f}\n",
		"links/to-file.yaml@":            "../app/a.yml",
		"links/to-dir@":                  "../app/sub/deep",
		"links/nowhere.txt@":             "absent",
		"ignored/.sourceignore":          "# comment\n*.skip.yaml\n/top.yaml\nsub/\n!keep.skip.yaml\n",
		"ignored/a.skip.yaml":            "no: manifest",
		"ignored/top.yaml":               "no: manifest",
		"ignored/keep.skip.yaml":         cm("keep"),
		"ignored/x/top.yaml":             cm("top"),
		"ignored/x/sub/a.yaml":           "no: manifest",
		"ignored/x/.tidemarkignore":      "!b.skip.yaml\n/secret.yaml\n",
		"ignored/x/b.skip.yaml":          cm("again"),
		"ignored/x/secret.yaml":          "no: manifest",
		"only/.sourceignore":             "/*\n!/deploy\n",
		"only/deploy/a.yaml":             cm("a"),
		"only/other/a.yaml":              cm("other"),
		"root.yaml":                      cm("root"),
		"strange/name with [x].yaml":     cm("strange"),
		"strange/.sourceignore":          "*.txt\\ \n[!a-z]*.yaml\n",
		"strange/9.yaml":                 "no: manifest",
		"app2/a.yaml":                    cm("a"),
		"app2/charts/x/templates/t.yaml": "{{ no }}",
	}
	tests := []struct {
		name    string
		path    string
		options plain.Options
		want    []string
	}{
		{"directory", "app", plain.Options{}, []string{"a app/a.yml", "b app/b.yaml (document 1)", "b2 app/b.yaml (document 2)", "c app/c.json", "f app/flux.yaml", "d app/sub/d.yaml", "e app/sub/deep/e.yaml"}},
		{"one file", "app/b.yaml", plain.Options{}, []string{"b app/b.yaml (document 1)", "b2 app/b.yaml (document 2)"}},
		{"one file of any name", "root.yaml", plain.Options{}, []string{"root root.yaml"}},
		{"unclean path", "./app/../app/sub/", plain.Options{}, []string{"d app/sub/d.yaml", "e app/sub/deep/e.yaml"}},
		{"include by name at any depth", "app", plain.Options{Include: []string{"[de].yaml"}}, []string{"d app/sub/d.yaml", "e app/sub/deep/e.yaml"}},
		{"include anchored", "app", plain.Options{Include: []string{"sub/*.yaml"}}, []string{"d app/sub/d.yaml"}},
		{"include across directories", "app", plain.Options{Include: []string{"sub/**/*.yaml"}}, []string{"d app/sub/d.yaml", "e app/sub/deep/e.yaml"}},
		{"include a directory", "app", plain.Options{Include: []string{"sub/deep"}}, []string{"e app/sub/deep/e.yaml"}},
		{"exclude wins", "app", plain.Options{Include: []string{"sub/**"}, Exclude: []string{"deep/"}}, []string{"d app/sub/d.yaml"}},
		{"exclude what is no manifest", "app2", plain.Options{Exclude: []string{"/charts"}}, []string{"a app2/a.yaml"}},
		{"question mark", "app", plain.Options{Include: []string{"?.json"}}, []string{"c app/c.json"}},
		{"links", "links", plain.Options{}, []string{"e links/to-dir/e.yaml", "a links/to-file.yaml"}},
		{"ignore files", "ignored", plain.Options{}, []string{"keep ignored/keep.skip.yaml", "again ignored/x/b.skip.yaml", "top ignored/x/top.yaml"}},
		{"ignore files above the path", "ignored/x", plain.Options{}, []string{"again ignored/x/b.skip.yaml", "top ignored/x/top.yaml"}},
		{"everything ignored but one", "only", plain.Options{}, []string{"a only/deploy/a.yaml"}},
		{"inside the one", "only/deploy", plain.Options{}, []string{"a only/deploy/a.yaml"}},
		{"a file that is ignored, named itself", "only/other/a.yaml", plain.Options{}, []string{"other only/other/a.yaml"}},
		{"classes and escapes", "strange", plain.Options{}, []string{"strange strange/name with [x].yaml"}},
		{"brackets in a pattern", "strange", plain.Options{Include: []string{`name*\[x].yaml`}}, []string{"strange strange/name with [x].yaml"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			objects, _, err := plain.Render(files.Tree(), test.path, test.options)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range objects {
				got = append(got, fmt.Sprintf("%s %s", o.ID.Name, o.Origin))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Render(%q, %+v) (-want +got):\n%s", test.path, test.options, diff)
			}
		})
	}
}

func TestReport(t *testing.T) {
	files := sourcetest.Files{
		"app/a.yaml": cm("a"), "app/kustomization.yaml": "resources: []\n", "app/skip.txt": "", "other/b.yaml": cm("b"),
	}
	_, report, err := plain.Render(files.Tree(), "app", plain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"app/kustomization.yaml"}, report.Kustomizations); diff != "" {
		t.Errorf("kustomizations (-want +got):\n%s", diff)
	}
	questions, _ := source.Questions(report.Inputs)
	got := strings.Split(strings.TrimSuffix(questions, "\n"), "\n")
	want := []string{
		"a .sourceignore", "a .tidemarkignore", "p app", "d app", "a app/.sourceignore", "a app/.tidemarkignore",
		"f app/a.yaml", "f app/kustomization.yaml",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	files["other/b.yaml"] = "changed"
	if !files.Tree().Same(report.Inputs) {
		t.Error("a file elsewhere counts as a change")
	}
	files[".sourceignore"] = "a.yaml\n"
	if files.Tree().Same(report.Inputs) {
		t.Error("a new ignore file above the path does not count as a change")
	}
}

func TestRenderRefuses(t *testing.T) {
	tests := []struct {
		name    string
		files   sourcetest.Files
		path    string
		options plain.Options
		want    []string
		is      error
	}{
		{"missing path", sourcetest.Files{"a": ""}, "app", plain.Options{}, []string{"app: "}, fs.ErrNotExist},
		{"no manifests", sourcetest.Files{"app/x.yaml": "a: 1\n", "app/y.yaml": "- b\n", "app/z.yaml": cm("z")}, "app", plain.Options{}, []string{"app/x.yaml: not a", "app/y.yaml: not a"}, object.ErrNotObject},
		{"second document", sourcetest.Files{"app/x.yaml": cm("a") + "---\nfoo: bar\n"}, "app", plain.Options{}, []string{"app/x.yaml (document 2): "}, object.ErrNotObject},
		{"path outside", sourcetest.Files{"app/x.yaml": ""}, "../app", plain.Options{}, []string{"../app: "}, source.ErrOutside},
		{"link outside", sourcetest.Files{"app/x.yaml@": "../../etc/passwd"}, "app", plain.Options{}, []string{"symbolic link app/x.yaml: "}, source.ErrOutside},
		{"absolute link", sourcetest.Files{"app/x@": "/etc"}, "app", plain.Options{}, []string{"symbolic link app/x: "}, source.ErrOutside},
		{"link to nowhere", sourcetest.Files{"app/x.yaml@": "y"}, "app", plain.Options{}, []string{"symbolic link app/x.yaml: "}, fs.ErrNotExist},
		{"link to itself", sourcetest.Files{"app/x.yaml@": "x.yaml"}, "app", plain.Options{}, []string{"symbolic link app/x.yaml: "}, source.ErrLinkLoop},
		{"directories in a circle", sourcetest.Files{"app/a.yaml": cm("a"), "app/sub/up@": "../../app"}, "app", plain.Options{}, []string{"symbolic link app/sub/up: leads back to app"}, nil},
		{"pattern", sourcetest.Files{"app/a.yaml": cm("a")}, "app", plain.Options{Include: []string{"a", "[x"}}, []string{`include[1]: pattern "[x"`}, nil},
		{"negated pattern", sourcetest.Files{"app/a.yaml": cm("a")}, "app", plain.Options{Exclude: []string{"!a"}}, []string{`exclude[0]: "!a"`}, nil},
		{"pattern in an ignore file", sourcetest.Files{"app/a.yaml": cm("a"), ".sourceignore": "x\n[z-a]\n"}, "app", plain.Options{}, []string{".sourceignore: line 2: "}, nil},
		{"ignored path", sourcetest.Files{"app/a.yaml": cm("a"), ".sourceignore": "/app\n"}, "app", plain.Options{}, []string{"app: is left out by .sourceignore"}, plain.ErrIgnored},
		{"LFS pointer", sourcetest.Files{"app/a.yaml": "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"}, "app", plain.Options{}, []string{"app/a.yaml: "}, source.ErrLFSPointer},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			objects, _, err := plain.Render(test.files.Tree(), test.path, test.options)
			if err == nil || len(objects) > 0 {
				t.Fatalf("got %d objects and error %v, want only an error", len(objects), err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %q is not %q", err, test.is)
			}
		})
	}
}

// A few links must not make a render endless.
func TestRenderBoundsLinks(t *testing.T) {
	files := sourcetest.Files{"app/0/a.yaml": "# nothing\n"}
	for i := range 30 {
		for k := range 2 {
			files[fmt.Sprintf("d%d/l%d@", i, k)] = fmt.Sprintf("../d%d", i+1)
		}
	}
	files["d30/x"] = ""
	_, _, err := plain.Render(files.Tree(), "d0", plain.Options{})
	if err == nil || !strings.Contains(err.Error(), "holds more than") {
		t.Errorf("got %v, want a bound", err)
	}
}

func TestSubmodule(t *testing.T) {
	tree := source.NewTree([]source.Entry{{Path: "app/vendor", Mode: source.Submodule, Hash: "1"}}, nil)
	_, _, err := plain.Render(tree, "app", plain.Options{})
	if !errors.Is(err, source.ErrSubmodule) || !strings.HasPrefix(err.Error(), "app/vendor: ") {
		t.Errorf("got %v, want ErrSubmodule for app/vendor", err)
	}
	if _, _, err := plain.Render(tree, "app", plain.Options{Exclude: []string{"vendor/"}}); err != nil {
		t.Errorf("an excluded submodule: %v", err)
	}
}
