package kustomize_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tidemark.dev/tidemark/render/kustomize"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

// Nothing that a kustomization can name makes a request, and a URL that is only
// data is left alone.
func TestNoNetwork(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, cm("remote"))
	}))
	defer server.Close()

	const plugin = "apiVersion: builtin\nmetadata: {name: a}\n"
	for name, text := range map[string]string{
		"resource":      "resources: [URL/a.yaml]",
		"base":          "bases: ['URL/org/repo//dir?ref=main']",
		"component":     "components: ['URL/org/repo.git']",
		"patch":         "patches: [{path: URL/a}]",
		"merge patch":   "patchesStrategicMerge: [URL/a]",
		"JSON patch":    "patchesJson6902: [{path: URL/a, target: {kind: X, name: x, version: v1}}]",
		"replacement":   "replacements: [{path: URL/a}]",
		"file":          "configMapGenerator: [{name: a, files: [URL/a]}]",
		"named file":    "secretGenerator: [{name: a, files: [k=URL/a]}]",
		"variables":     "configMapGenerator: [{name: a, envs: [URL/a]}]",
		"schema":        "openapi: {path: URL/a}",
		"crds":          "crds: [URL/a]",
		"configuration": "configurations: [URL/a]",
		"generator":     "generators: [URL/a]",
		"transformer":   "transformers: [URL/a]",
		"validator":     "validators: [URL/a]",
		"plugin path":   "transformers: ['{apiVersion: builtin, kind: PatchTransformer, metadata: {name: a}, path: URL/a}']",
		"plugin paths":  "transformers: [t.yaml]#" + plugin + "kind: PatchStrategicMergeTransformer\npaths: [URL/a]",
		"plugin files":  "generators: [t.yaml]#" + plugin + "kind: ConfigMapGenerator\nfiles: [k=URL/a]",
		"plugin envs":   "generators: [t.yaml]#" + plugin + "kind: SecretGenerator\nenvs: [URL/a]",
		"plugin nested": "transformers: [t.yaml]#" + plugin + "kind: ReplacementTransformer\nreplacements: [{path: URL/a}]",
		"plugin target": "transformers: [t.yaml]#" + plugin + "kind: ValueAddTransformer\nvalue: x\ntargetFilePath: URL/a",
	} {
		t.Run(name, func(t *testing.T) {
			kustomization, file, _ := strings.Cut(strings.ReplaceAll(text, "URL", server.URL), "#")
			files := sourcetest.Files{"app/kustomization.yaml": kustomization + "\n", "app/t.yaml": file}
			if _, _, err := kustomize.Render(files.Tree(), "app", kustomize.Options{}); !errors.Is(err, kustomize.ErrRemote) {
				t.Errorf("error is %v, want ErrRemote", err)
			}
		})
	}
	files := sourcetest.Files{"app/kustomization.yaml": strings.ReplaceAll("configMapGenerator: [{name: a, literals: [k=URL/a]}]\ncommonAnnotations: {home: URL}\n", "URL", server.URL)}
	if _, _, err := kustomize.Render(files.Tree(), "app", kustomize.Options{}); err != nil {
		t.Errorf("a URL that is only data: %v", err)
	}
	if n := requests.Load(); n > 0 {
		t.Errorf("%d requests were made", n)
	}
}

// The disk is not the tree: a file that is there in fact cannot be read.
func TestNoDisk(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{secret, "../.." + secret, "../../../../../../../../../.." + secret} {
		for _, text := range []string{"configMapGenerator: [{name: a, files: [k=PATH]}]\n", "resources: [PATH]\n", "transformers: ['{apiVersion: builtin, kind: PatchTransformer, metadata: {name: a}, path: PATH}']\nconfigMapGenerator: [{name: a}]\n"} {
			files := sourcetest.Files{"app/kustomization.yaml": strings.ReplaceAll(text, "PATH", name)}
			objects, _, err := kustomize.Render(files.Tree(), "app", kustomize.Options{})
			if err == nil || len(objects) > 0 || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s with %s: %d objects, error %v", text, name, len(objects), err)
			}
			if strings.HasPrefix(name, "..") && !strings.HasPrefix(text, "transformers") && !errors.Is(err, source.ErrOutside) {
				t.Errorf("%s with %s: error %v is not ErrOutside", text, name, err)
			}
		}
	}
}

// Kustomize's warnings about old fields are not for the process's stderr.
func TestQuiet(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = write
	files := sourcetest.Files{"app/kustomization.yaml": "bases: [../base]\ncommonLabels: {a: b}\n", "base/kustomization.yaml": "resources: [cm.yaml]\n", "base/cm.yaml": cm("a")}
	_, _, err = kustomize.Render(files.Tree(), "app", kustomize.Options{})
	same := os.Stderr == write
	os.Stderr = before
	if err != nil {
		t.Fatal(err)
	}
	if !same {
		t.Error("os.Stderr was not put back")
	}
	_ = write.Close()
	if text, _ := io.ReadAll(read); len(text) > 0 {
		t.Errorf("written to stderr: %s", text)
	}
}
