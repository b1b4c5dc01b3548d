package render_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render"
	"tidemark.dev/tidemark/render/kustomize"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/plain"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

// corpus gives the folder of real repositories, which lies beside the
// repository and is not part of it.
func corpus(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../shared/corpus")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the corpus of real repositories is not here: %v", err)
	}
	return dir
}

// table gives the rows of a file of tab-separated values with a comment line.
func table(t *testing.T, file string) [][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows [][]string
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		if line := scanner.Text(); line != "" && !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// digest is that of INDEX.tsv: over the IDs as they are written, sorted by
// group, kind, namespace and name.
func digest(objects []object.Object) string {
	fields := func(o object.Object) []string {
		return []string{o.ID.Group, o.ID.Kind, o.ID.Namespace, o.ID.Name}
	}
	sorted := slices.SortedFunc(slices.Values(objects), func(a, b object.Object) int { return slices.Compare(fields(a), fields(b)) })
	var lines []string
	for _, o := range sorted {
		lines = append(lines, strings.Join(fields(o), "|"))
	}
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(lines), "\n")))
	return hex.EncodeToString(sum[:])[:12]
}

func TestCorpus(t *testing.T) {
	dir := corpus(t)
	for _, row := range table(t, filepath.Join(dir, "INDEX.tsv")) {
		name, revision, at, engine, count, want := row[0], row[1], row[2], row[3], row[4], row[5]
		t.Run(path.Join(name, revision, at, engine), func(t *testing.T) {
			tree := sourcetest.Read(t, filepath.Join(dir, name, revision)).Tree()
			spec := render.Spec{}
			if engine == "plain-forced" {
				spec.Engine, engine = "plain", "plain"
			}

			var written []object.Object
			var err error
			if engine == "plain" {
				written, _, err = plain.Render(tree, at, plain.Options{})
			} else {
				written, _, err = kustomize.Render(tree, at, kustomize.Options{})
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strconv.Itoa(len(written)); got != count {
				t.Errorf("%s objects, want %s", got, count)
			}
			if got := digest(written); got != want {
				t.Errorf("digest of the IDs is %s, want %s", got, want)
			}

			renders := 2
			if len(written) > 100 {
				renders = 1 // seconds each
			}
			var first string
			for range renders {
				result, err := render.Render(t.Context(), render.Request{App: name, Tree: tree, Path: at, Namespace: "ns", Spec: spec})
				if err != nil {
					t.Fatal(err)
				}
				if result.Engine != engine || strconv.Itoa(result.Set.Len()) != count {
					t.Errorf("engine %s gives %d objects, want %s by %s", result.Engine, result.Set.Len(), count, engine)
				}
				if !tree.Same(result.Inputs) {
					t.Error("the inputs do not stand for the tree they were read from")
				}
				data := bytesOf(t, result.Set)
				if first != "" && data != first {
					t.Error("a second render gives other bytes")
				}
				first = data
			}
		})
	}
}

// install.yaml of Argo CD is what its authors get from cluster-install.
func TestCorpusOracle(t *testing.T) {
	dir := corpus(t)
	tree := sourcetest.Read(t, filepath.Join(dir, "argo-cd/v3.0.0")).Tree()
	var sets [2]string
	for i, at := range []string{"manifests/install.yaml", "manifests/cluster-install"} {
		result, err := render.Render(t.Context(), render.Request{App: "argo-cd", Tree: tree, Path: at, Namespace: "argocd"})
		if err != nil {
			t.Fatal(err)
		}
		sets[i] = bytesOf(t, result.Set)
	}
	if sets[0] != sets[1] {
		t.Errorf("the manifests differ from those of the authors:\n%s", cmp.Diff(strings.Split(sets[0], "\n"), strings.Split(sets[1], "\n")))
	}
}

// badCase is a directory of bad input: what it renders to, or what the error
// says. It is a repository of its own where bounds are what it is about.
type badCase struct {
	at    string
	alone bool
	ids   []string
	err   string
}

func TestCorpusBad(t *testing.T) {
	dir := corpus(t)
	covered := map[string]bool{}
	for _, test := range badCases() {
		covered[test.at] = true
		t.Run(test.at, func(t *testing.T) {
			root, at, _ := strings.Cut(test.at, "/")
			files := sourcetest.Read(t, filepath.Join(dir, "bad", root))
			for _, row := range table(t, filepath.Join(dir, "bad/SYMLINKS.tsv")) {
				if link, ok := strings.CutPrefix(row[0], "bad/"+root+"/"); ok {
					files[link+"@"] = row[1]
				}
			}
			if test.alone {
				alone := sourcetest.Files{}
				for name, content := range files {
					if below, ok := strings.CutPrefix(name, at+"/"); ok {
						alone[below] = content
					}
				}
				files, at = alone, "."
			}
			result, err := render.Render(t.Context(), request(files, at, render.Spec{}))
			if diff := cmp.Diff(test.ids, ids(result.Set)); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v does not say %q", err, test.err)
			}
		})
	}
	for _, name := range []string{"argo-cd-testdata", "flux-testdata"} {
		entries, err := os.ReadDir(filepath.Join(dir, "bad", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			under := func(at string) bool { return at == name+"/"+e.Name() || strings.HasPrefix(at, name+"/"+e.Name()+"/") }
			if e.IsDir() && !slices.ContainsFunc(slices.Collect(maps.Keys(covered)), under) {
				t.Errorf("no case for %s/%s", name, e.Name())
			}
		}
	}
}

func badCases() []badCase {
	const argo, flux = "argo-cd-testdata/", "flux-testdata/"
	return []badCase{
		{at: argo + "Kustomization", err: "Kustomization/Kustomization: is empty"},
		{at: argo + "app-include-exclude", ids: []string{"Deployment.apps ns/nginx-deployment", "Deployment.apps ns/nginx-deployment-sub"}},
		{at: argo + "app-parameters/multi", ids: []string{"Deployment.apps ns/guestbook-ui"}},
		{at: argo + "app-parameters/single-global-helm", ids: []string{"Deployment.apps ns/guestbook-ui"}},
		{at: argo + "broken-schema-verification", err: "broken-schema-verification/values.schema.json: "},
		{at: argo + "circular-link", err: "circular-link: renders to no objects"},
		{at: argo + "concatenated", ids: []string{"ServiceAccount ns/sa1", "ServiceAccount ns/sa2", "ServiceAccount ns/sa3"}},
		{at: argo + "empty-list", ids: []string{"ServiceAccount ns/prometheus-operator-operator"}},
		{at: argo + "git-files-dirs", err: "git-files-dirs/app/foo/config.yaml: not a Kubernetes object"},
		{at: argo + "helm-with-dependencies", err: "helm-with-dependencies"},
		{at: argo + "helm-with-dependencies-alias", err: "helm-with-dependencies-alias"},
		{at: argo + "helm-with-local-dependency", ids: []string{"ConfigMap ns/my-map"}},
		{at: argo + "in-bounds-link", err: "in-bounds-link/cm.yaml: ServiceAccount: metadata is missing"},
		{at: argo + "in-bounds-link/app", err: "in-bounds-link/app/cm.link.yaml: ServiceAccount: metadata is missing"},
		{at: argo + "in-bounds-values-file-link", err: "in-bounds-values-file-link: renders to no objects"},
		{at: argo + "invalid-helm", err: "invalid-helm"},
		{at: argo + "invalid-json", err: "invalid-json/invalid.json: line 1: "},
		{at: argo + "invalid-kustomize", err: "invalid-kustomize/Kustomization: is empty"},
		{at: argo + "invalid-manifests", err: "invalid-manifests/bad.yaml: line 3: "},
		{at: argo + "invalid-manifests-skipped", err: "invalid-manifests-skipped/bad.yaml: line 4: "},
		{at: argo + "invalid-metadata", err: `invalid-metadata/bad.yaml (document 2): ConfigMap my-map-label: metadata.labels["invalid"]`},
		{at: argo + "irrelevant-yaml", err: "irrelevant-yaml/irrelevant.yaml: not a Kubernetes object"},
		{at: argo + "json-list", err: "json-list/list.json (document 2): ConfigMap: metadata is missing"},
		{at: argo + "jsonnet", err: "jsonnet: renders to no objects"},
		{at: argo + "jsonnet-1", err: "jsonnet-1: renders to no objects"},
		{at: argo + "jsonnet-and-json", err: "jsonnet-and-json/test.json: Pod: metadata is missing"},
		{at: argo + "kustomization_yaml", err: "kustomization_yaml/kustomization.yaml: is empty"},
		{at: argo + "kustomization_yml", err: "kustomization_yml/kustomization.yml: is empty"},
		{at: argo + "link-to-nowhere", err: "link-to-nowhere/nowhere.json: file does not exist"},
		{at: argo + "my-chart", ids: []string{"ConfigMap ns/my-map"}},
		{at: argo + "my-chart-2", ids: []string{"ConfigMap ns/my-map"}},
		{at: argo + "nil-metadata-accessors", ids: []string{"ConfigMap ns/my-map"}},
		{at: argo + "non-manifest-file", err: "non-manifest-file: renders to no objects"},
		{at: argo + "null-list", err: "null-list/null-list.yaml (document 1): ConfigMapList: items is null"},
		{at: argo + "oci-dependencies", err: "my-dependency"},
		{at: argo + "out-of-bounds-link", alone: true, err: "symbolic link out-of-bounds.json: leads out of the repository"},
		{at: argo + "out-of-bounds-values-file-link", alone: true, err: "leads out of the repository"},
		{at: argo + "partially-valid-yaml", err: "partially-valid-yaml/partially-valid.yaml (document 2): not a Kubernetes object"},
		{at: argo + "recurse", err: "recurse/foo/bar.yaml (document 1): ConfigMapList: items is null"},
		{at: argo + "several-files", err: "several-files/4.yaml: ConfigMap: metadata is missing"},
		{at: argo + "simple-chart", ids: []string{"ConfigMap ns/my-map"}},
		{at: argo + "utf-16", err: "utf-16/utf-16.yaml: is UTF-16"},
		{at: argo + "valid-json", err: "valid-json/valid.json: ConfigMap: metadata is missing"},
		{at: argo + "values-files", err: "values-files: renders to no objects"},
		{at: argo + "weird-list", err: "weird-list/weird-list.yaml (document 1): NotAList: items is null"},
		{at: argo + "yaml-with-empty-document", err: "yaml-with-empty-document/has-empty.yaml (document 1): ConfigMap: metadata is missing"},

		{at: flux + "buildMetadata", ids: []string{"ConfigMap ns/test-configmap-6b85g79g7g"}},
		{at: flux + "components", err: "components/kustomization.yaml: resources: components/configmap.yaml: file does not exist"},
		{at: flux + "crds", ids: []string{"Namespace sptribs", "CustomResourceDefinition.apiextensions.k8s.io namespaces.servicebus.azure.com", "Namespace.servicebus.azure.com sptribs/sptribs-servicebus-preview"}},
		{at: flux + "empty", ids: []string{"Kustomization.kustomize.toolkit.fluxcd.io apps/app"}},
		{at: flux + "file-transformer", ids: []string{"ConfigMap transformer-files/test-metas-transform-c5768k9h86", "ResourceQuota transformer-files/test-common-transform", "Secret transformer-files/test-secret-transform-fd8288cb7g", "Deployment.apps transformer-files/test-podinfo-transform"}},
		{at: flux + "ignore-tests", err: "Deployment.apps default/test-app is given twice"},
		{at: flux + "ignore-tests/with-gitlab-ci", ids: []string{"Deployment.apps default/test-app"}},
		{at: flux + "ignore-tests/with-sops", ids: []string{"Deployment.apps default/test-app"}},
		{at: flux + "invalid/overlay", err: "invalid/overlay/deployment.yaml"},
		{at: flux + "invalid/plain", err: "invalid/plain/deployment.yaml (document 2): not a Kubernetes object"},
		{at: flux + "name", ids: []string{"ConfigMap ns/test-configmap-6b85g79g7g"}},
		{at: flux + "noResources", err: "noResources: renders to no objects"},
		{at: flux + "nokustomization/panic", err: "nokustomization/panic/alert.yaml: line 19: "},
		{at: flux + "nokustomization/resources", ids: []string{"ConfigMap foo/cm", "Secret foo/secret"}},
		{at: flux + "openapiPollution/pollutor", ids: []string{"Deployment.apps ns/test-deployment"}},
		{at: flux + "openapiPollution/victim", ids: []string{"StatefulSet.apps ns/test-statefulset"}},
		{at: flux + "panic", err: "panic/kustomization.yaml: kustomize broke down"},
		{at: flux + "patch", ids: []string{"Deployment.apps ns/podinfo"}},
		{at: flux + "relbase", err: "relbase/clusters/base/kustomization.yaml: is a kustomization below"},
		{at: flux + "relbase/clusters/staging/flux-system", ids: []string{"ConfigMap foo/cm", "Secret foo/secret"}},
		{at: flux + "remote", err: "remote/kustomization.yaml: resources: https://raw.githubusercontent.com/fluxcd/flux2/main/manifests/rbac/controller.yaml: lies outside"},
		{at: flux + "resources", ids: []string{"ConfigMap apps/app-vars", "Deployment.apps apps/app"}},
		{at: flux + "restmapper", ids: []string{"CustomResourceDefinition.apiextensions.k8s.io clustercleanuppolicies.kyverno.io", "ClusterCleanupPolicy.kyverno.io test-cluster-cleanup-policy"}},
		{at: flux + "transformers", ids: []string{"ConfigMap transformers-inline/test-metas-transform-c5768k9h86", "ResourceQuota transformers-inline/test-common-transform", "Secret transformers-inline/test-secret-transform-fd8288cb7g", "Deployment.apps transformers-inline/test-podinfo-transform"}},
		{at: flux + "varsubalways", ids: []string{"ConfigMap apps/app-vars-always"}},
		{at: flux + "varsubstrict", ids: []string{"ConfigMap apps/app-vars-strict"}},
		{at: flux + "varsubstrictempty", ids: []string{"ConfigMap apps/app-vars-strict-empty"}},
	}
}
