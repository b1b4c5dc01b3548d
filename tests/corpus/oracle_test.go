package corpus_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// dir is where the corpus lies, seen from this package.
const dir = "../../../shared/corpus"

// needCorpus skips a test where the corpus is missing, as in a user's clone.
func needCorpus(t *testing.T) string {
	t.Helper()
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(abs, "INDEX.tsv")); err != nil {
		t.Skipf("the corpus of real repositories is not here (%s): these inputs are not tested", abs)
	}
	return abs
}

// row is one line of INDEX.tsv.
type row struct {
	name, revision, path, engine string
	objects                      int
	ids                          string
}

func rows(t *testing.T, corpus string) []row {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var all []row
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 6 {
			t.Fatalf("INDEX.tsv: %q has %d fields, want 6", line, len(f))
		}
		objects, err := strconv.Atoi(f[4])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, row{name: f[0], revision: f[1], path: f[2], engine: f[3], objects: objects, ids: f[5]})
	}
	return all
}

// manifest is one object as it is written.
type manifest map[string]any

func (m manifest) str(path ...string) string {
	var node any = map[string]any(m)
	for _, key := range path {
		fields, _ := node.(map[string]any)
		node = fields[key]
	}
	text, _ := node.(string)
	return text
}

func (m manifest) group() string {
	group, _, found := strings.Cut(m.str("apiVersion"), "/")
	if !found {
		return ""
	}
	return group
}

func (m manifest) version() string {
	_, version, found := strings.Cut(m.str("apiVersion"), "/")
	if !found {
		return m.str("apiVersion")
	}
	return version
}

// id is "group|kind|namespace|name", as written.
func (m manifest) id() string {
	return strings.Join([]string{m.group(), m.str("kind"), m.str("metadata", "namespace"), m.str("metadata", "name")}, "|")
}

// read gives the manifests of a row: what kubectl kustomize prints, or what
// stands in the files. It knows nothing of Tidemark; number and names must be
// those of the index.
func (r row) read(t *testing.T, corpus, kubectl string) []manifest {
	t.Helper()
	at := filepath.Join(corpus, r.name, r.revision, r.path)
	var texts [][]byte
	if r.engine == "kustomize" {
		command := exec.Command(kubectl, "kustomize", at)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("kubectl kustomize %s: %v\n%s", at, err, stderr.Bytes())
		}
		texts = append(texts, out)
	} else {
		texts = files(t, at)
	}
	var all []manifest
	for _, text := range texts {
		for _, document := range separator.Split(string(text), -1) {
			var m manifest
			if err := yaml.Unmarshal([]byte(document), &m); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			all = append(all, flatten(m)...)
		}
	}
	if got := digest(all); len(all) != r.objects || got != r.ids {
		t.Fatalf("%s %s %s: the test's own reading gives %d objects (%s), the index says %d (%s)", r.name, r.revision, r.path, len(all), got, r.objects, r.ids)
	}
	return all
}

// separator stands between documents. That it stands in no block scalar of the
// corpus is what the digests of the index prove.
var separator = regexp.MustCompile(`(?m)^---([ \t].*)?$`)

func files(t *testing.T, at string) [][]byte {
	t.Helper()
	var texts [][]byte
	err := filepath.WalkDir(at, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) ||
			strings.HasPrefix(filepath.Base(path), "kustomization.") {
			return err
		}
		text, err := os.ReadFile(path)
		texts = append(texts, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func flatten(m manifest) []manifest {
	items, list := m["items"].([]any)
	if len(m) == 0 {
		return nil
	}
	if !list || !strings.HasSuffix(m.str("kind"), "List") {
		return []manifest{m}
	}
	var all []manifest
	for _, item := range items {
		all = append(all, manifest(item.(map[string]any)))
	}
	return all
}

// digest is that of the index: over the IDs, sorted field by field.
func digest(all []manifest) string {
	var ids [][]string
	for _, m := range all {
		ids = append(ids, strings.Split(m.id(), "|"))
	}
	slices.SortFunc(ids, slices.Compare)
	var lines []string
	for _, id := range ids {
		lines = append(lines, strings.Join(id, "|"))
	}
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(lines), "\n")))
	return hex.EncodeToString(sum[:])[:12]
}
