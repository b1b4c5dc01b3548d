package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "tidemark.dev/tidemark/"

// arrows is who may import whom of us (DESIGN, "The house"). A name stands for the folder itself; with /... for what is
// below it too. The first entry that names a folder decides.
var arrows = []arrow{
	{"cmd/...", []string{"cmd/internal/...", "reconcile/...", "state/...", "render/..."}, "cmd wires everything, and nothing imports a command"},

	{"reconcile", []string{"reconcile/plan", "reconcile/apply", "reconcile/health", "reconcile/ignore", "reconcile/window", "state", "render/object", "render/source"}, "a run takes rendering, the cluster and the store through interfaces of its own, so that it can be read and tested without them"},
	{"reconcile/plan", []string{"state", "render/object"}, "deciding is pure: values in, a plan out"},
	{"reconcile/window", nil, "whether it is time is told by a clock's value, a schedule and nothing else"},
	{"reconcile/apply", []string{"reconcile/plan", "state", "render/object"}, "acting carries out a plan and decides nothing"},
	{"reconcile/history", []string{"reconcile/plan", "reconcile/apply", "state", "render/object"}, "history is told from the ledger alone"},
	{"reconcile/cluster/eks", nil, "a cloud is asked where a cluster is, and who we are there"},
	{"reconcile/cluster/gke", nil, "a cloud is asked where a cluster is, and who we are there"},
	{"reconcile/cluster", []string{"reconcile/apply", "reconcile/health", "reconcile/plan", "render/object"}, "it is apply's Cluster over client-go, and knows no ledger"},
	{"reconcile/ignore", []string{"render/object"}, "what is left to others is told by two objects and the rules"},
	{"reconcile/health", []string{"render/object"}, "judging is pure: a live object in, a status out"},

	{"state", []string{"render/object"}, "what we put there is told in objects' names and nothing else"},
	{"state/storetest", []string{"state"}, "the suite knows Stores only by their interface"},
	{"state/...", []string{"state"}, "a Store is three methods over one service"},

	{"render", []string{"render/..."}, "it picks among the engines"},
	{"render/source", nil, "everybody speaks of revisions, so it imports nothing of ours"},
	{"render/object", nil, "everybody speaks of objects, so it imports nothing of ours"},
	{"render/source/...", []string{"render/source"}, "it makes revisions for tests"},
	{"render/git", []string{"render/source"}, "fetching knows nothing of rendering"},
	{"render/...", []string{"render/source", "render/object"}, "an engine turns files into manifests and knows no other engine"},

	{"tests/...", []string{"tests/..."}, "the servers and the demo judge the product, so they share nothing with it"},
}

// doors is who alone may import a package of somebody else's directly, most often one folder. The longest prefix
// decides.
var doors = []struct {
	prefix, folder, reason string
}{
	{"k8s.io/client-go", "reconcile/cluster", "one place speaks with API servers"},
	{"github.com/go-git/", "render/git", "one place reads git"},
	{"helm.sh/helm", "render/helm", "one place renders charts"},
	{"github.com/itchyny/gojq", "reconcile/ignore", "one place asks expressions of strangers, with a bound on time"},
	{"oras.land/oras-go", "render/helm", "only charts come from registries"},
	{"sigs.k8s.io/kustomize", "render/kustomize", "Kustomize is not safe for concurrent use, and its one caller knows"},
	{"github.com/aws/", "state/s3 reconcile/cluster/eks", "each cloud service has one door"},
	{"github.com/aws/aws-sdk-go-v2/service/s3", "state/s3", "each cloud service has one door"},
	{"github.com/aws/aws-sdk-go-v2/service/sts", "reconcile/cluster/eks", "each cloud service has one door"},
	{"github.com/aws/aws-lambda-go", "cmd/tidemark-lambda", "only the Lambda handler is one"},
	{"cloud.google.com/go", "state/gcs", "each cloud service has one door"},
	{"cloud.google.com/go/auth", "reconcile/cluster/gke", "of Google's credentials, the stores' packages know by themselves"},
	{"google.golang.org/api", "state/gcs", "each cloud service has one door"},
	{"github.com/spf13/cobra", "cmd/tidemark", "flags are the command line's"},
}

// impure is what reconcile/plan must not import: equal inputs, equal plan.
var impure = []string{"os", "net", "context", "time", "math/rand", "crypto/rand", "sync", "runtime", "io/fs", "path/filepath", "log"}

// vague are package names that say what a package is, not what it gives.
var vague = []string{"util", "utils", "common", "types", "manager", "helper", "helpers", "misc", "base", "lib"}

// top is what may lie at the root, besides dot-files.
var top = []string{
	"cmd", "reconcile", "state", "render", "deploy", "terraform", "tests", "examples",
	"go.mod", "go.sum", "README.md", "LICENSE", "Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
}

const longest = 500

type arrow struct {
	folder  string
	imports []string
	reason  string
}

type goPackage struct {
	ImportPath string
	Dir        string
	Name       string
	Imports    []string
	GoFiles    []string
}

func (p goPackage) folder() string { return strings.TrimPrefix(p.ImportPath, module) }

func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		i := slices.IndexFunc(arrows, func(a arrow) bool { return covers(a.folder, p.folder()) })
		if i < 0 {
			t.Errorf("%s: no arrow in this file starts there; say where it stands in the house", p.folder())
			continue
		}
		allowed := arrows[i]
		for _, imported := range p.Imports {
			ours, found := strings.CutPrefix(imported, module)
			if !found || slices.ContainsFunc(allowed.imports, func(pattern string) bool { return covers(pattern, ours) }) {
				continue
			}
			t.Errorf("%s imports %s, and may import %s: %s", p.folder(), ours, list(allowed.imports), allowed.reason)
		}
	}
}

func TestDoors(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			door := -1
			for i, d := range doors {
				if strings.HasPrefix(imported, d.prefix) && (door < 0 || len(d.prefix) > len(doors[door].prefix)) {
					door = i
				}
			}
			if door >= 0 && !slices.Contains(strings.Fields(doors[door].folder), p.folder()) {
				t.Errorf("%s imports %s, whose only door is %s: %s", p.folder(), imported, doors[door].folder, doors[door].reason)
			}
		}
	}
}

func TestPlanIsPure(t *testing.T) {
	for _, p := range packages(t) {
		if p.folder() != "reconcile/plan" {
			continue
		}
		for _, imported := range p.Imports {
			for _, bad := range impure {
				if imported == bad || strings.HasPrefix(imported, bad+"/") {
					t.Errorf("reconcile/plan imports %s; deciding takes everything as a value, so that equal inputs give an equal plan", imported)
				}
			}
		}
	}
}

func TestPackageNames(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range []string{p.Name, filepath.Base(p.Dir)} {
			if slices.Contains(vague, name) {
				t.Errorf("%s: %q says what a package is; name it for what it gives", p.folder(), name)
			}
		}
	}
}

func TestRootHoldsOnlyWhatIsOnTheCard(t *testing.T) {
	for _, file := range tracked(t) {
		entry, _, _ := strings.Cut(file, "/")
		if !strings.HasPrefix(entry, ".") && !slices.Contains(top, entry) {
			t.Errorf("%s: %s is not on the card of the project (DESIGN, \"The house\")", file, entry)
		}
	}
}

func TestFilesHoldOneIdea(t *testing.T) {
	for _, file := range tracked(t) {
		if filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(filepath.Join("..", file))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(content, []byte("\n")); lines > longest && !bytes.Contains(content, []byte("\n// Code generated ")) {
			t.Errorf("%s has %d lines, more than %d: look for the second idea", file, lines, longest)
		}
	}
}

// covers says whether the pattern names the folder.
func covers(pattern, folder string) bool {
	base, below := strings.CutSuffix(pattern, "/...")
	return folder == base || below && strings.HasPrefix(folder, base+"/")
}

func list(patterns []string) string {
	if len(patterns) == 0 {
		return "nothing of ours"
	}
	return strings.Join(patterns, ", ")
}

// packages are those of the root module whose files git knows, with what their files other than tests import.
func packages(t *testing.T) []goPackage {
	t.Helper()
	known := map[string]bool{}
	for _, file := range tracked(t) {
		known[filepath.Dir(file)] = true
	}
	var all []goPackage
	decoder := json.NewDecoder(bytes.NewReader(output(t, "go", "list", "-json=ImportPath,Dir,Name,Imports,GoFiles", "./...")))
	for {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("decode go list: %v", err)
		}
		if known[p.folder()] && len(p.GoFiles) > 0 {
			all = append(all, p)
		}
	}
	if len(all) < 10 {
		t.Fatalf("go list names %d packages, too few to be true", len(all))
	}
	return all
}

// tracked are the files that git knows.
func tracked(t *testing.T) []string {
	t.Helper()
	return strings.Split(strings.TrimSuffix(string(output(t, "git", "ls-files", "-z")), "\x00"), "\x00")
}

// output runs the command at the root of the repository.
func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}
