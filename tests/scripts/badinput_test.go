package scripts_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/jsonpath"
	"tidemark.dev/tidemark/tests/servers"
)

// badInput is the user that the bad input is synced as.
const badInput = "bad-input"

// corpus holds inputs that others wrote; its README says what they are.
const corpus = "../../../shared/corpus"

// cases say what is right for each folder of the corpus's bad input.
var cases = []badCase{
	// What Argo CD is tested with.
	{path: "argo-cd-testdata/Kustomization", exit: 12, words: []string{"argo-cd-testdata/Kustomization/Kustomization: is empty"}},
	{path: "argo-cd-testdata/app-include-exclude", objects: []string{"Deployment/nginx-deployment", "Deployment/nginx-deployment-sub"}},
	{path: "argo-cd-testdata/app-parameters", exit: 12, words: []string{"single-global-helm/Chart.yaml: not a Kubernetes object: apiVersion is missing", "single-global-helm/values.yaml: not a Kubernetes object: apiVersion is missing"}},
	{path: "argo-cd-testdata/app-parameters/multi", objects: []string{"Deployment/guestbook-ui"}},
	{path: "argo-cd-testdata/app-parameters/single-global-helm", objects: []string{"Deployment/guestbook-ui"}},
	{path: "argo-cd-testdata/broken-schema-verification", exit: 12, words: []string{"broken-schema-verification/values.schema.json: ", "http://doesnotexist.example.com/", "which is not fetched"}},
	{path: "argo-cd-testdata/circular-link", exit: 12, words: []string{"argo-cd-testdata/circular-link: renders to no objects"}},
	{path: "argo-cd-testdata/concatenated", objects: []string{"ServiceAccount/sa1", "ServiceAccount/sa2", "ServiceAccount/sa3"}},
	{path: "argo-cd-testdata/empty-list", objects: []string{"ServiceAccount/prometheus-operator-operator"}},
	{path: "argo-cd-testdata/git-files-dirs", exit: 12, words: []string{"argo-cd-testdata/git-files-dirs/config.yaml: not a Kubernetes object: apiVersion is missing", "argo-cd-testdata/git-files-dirs/app/foo/bar/config.yaml: "}},
	{path: "argo-cd-testdata/helm-with-dependencies", exit: 12, words: []string{"argo-cd-testdata/helm-with-dependencies/Chart.yaml: dependency helm", "@custom-repo"}},
	{path: "argo-cd-testdata/helm-with-dependencies-alias", exit: 12, words: []string{"argo-cd-testdata/helm-with-dependencies-alias/Chart.yaml: dependency helm", "alias:custom-repo-alias"}},
	{path: "argo-cd-testdata/helm-with-local-dependency", objects: []string{"ConfigMap/my-map"}},
	{path: "argo-cd-testdata/helm-with-local-dependency", exit: 12, words: []string{"../simple-chart", "leads out of the repository"}, alone: true},
	{path: "argo-cd-testdata/in-bounds-link", exit: 12, words: []string{"argo-cd-testdata/in-bounds-link/cm.yaml: ServiceAccount: metadata is missing", "argo-cd-testdata/in-bounds-link/app/cm.link.yaml: ServiceAccount: metadata is missing"}},
	{path: "argo-cd-testdata/in-bounds-values-file-link", exit: 12, words: []string{"argo-cd-testdata/in-bounds-values-file-link: renders to no objects"}},
	{path: "argo-cd-testdata/invalid-helm", exit: 12, words: []string{"argo-cd-testdata/invalid-helm: ", "chart.metadata.name is required"}},
	{path: "argo-cd-testdata/invalid-json", exit: 12, words: []string{"argo-cd-testdata/invalid-json/invalid.json: line 1: unexpected EOF"}},
	{path: "argo-cd-testdata/invalid-kustomize", exit: 12, words: []string{"argo-cd-testdata/invalid-kustomize/Kustomization: is empty"}},
	{path: "argo-cd-testdata/invalid-manifests", exit: 12, words: []string{"argo-cd-testdata/invalid-manifests/bad.yaml: line ", "did not find expected key"}},
	{path: "argo-cd-testdata/invalid-manifests-skipped", exit: 12, words: []string{"argo-cd-testdata/invalid-manifests-skipped/bad.yaml: line ", "did not find expected key"}},
	{path: "argo-cd-testdata/invalid-metadata", exit: 12, words: []string{`argo-cd-testdata/invalid-metadata/bad.yaml (document 1): ConfigMap my-map-annotation: metadata.annotations["invalid"] is a bool`, `(document 2): ConfigMap my-map-label: metadata.labels["invalid"] is a bool`}},
	{path: "argo-cd-testdata/irrelevant-yaml", exit: 12, words: []string{"argo-cd-testdata/irrelevant-yaml/irrelevant.yaml: not a Kubernetes object: apiVersion is missing", "argo-cd-testdata/irrelevant-yaml/relevant.yaml: ConfigMap: metadata is missing"}},
	{path: "argo-cd-testdata/json-list", exit: 12, words: []string{"argo-cd-testdata/json-list/list.json (document 1): ConfigMap: metadata is missing"}},
	{path: "argo-cd-testdata/jsonnet", exit: 12, words: []string{"argo-cd-testdata/jsonnet: renders to no objects"}},
	{path: "argo-cd-testdata/jsonnet-1", exit: 12, words: []string{"argo-cd-testdata/jsonnet-1: renders to no objects"}},
	{path: "argo-cd-testdata/jsonnet-and-json", exit: 12, words: []string{"argo-cd-testdata/jsonnet-and-json/test.json: Pod: metadata is missing"}},
	{path: "argo-cd-testdata/kustomization_yaml", exit: 12, words: []string{"argo-cd-testdata/kustomization_yaml/kustomization.yaml: is empty"}},
	{path: "argo-cd-testdata/kustomization_yml", exit: 12, words: []string{"argo-cd-testdata/kustomization_yml/kustomization.yml: is empty"}},
	{path: "argo-cd-testdata/link-to-nowhere", exit: 12, words: []string{"symbolic link argo-cd-testdata/link-to-nowhere/nowhere.json: file does not exist"}},
	{path: "argo-cd-testdata/my-chart", objects: []string{"ConfigMap/my-map"}},
	{path: "argo-cd-testdata/my-chart-2", objects: []string{"ConfigMap/my-map"}},
	{path: "argo-cd-testdata/nil-metadata-accessors", exit: 12, words: []string{"the server refuses: argo-cd-testdata/nil-metadata-accessors/nil-metadata-accessors.yaml: ConfigMap", ".stringData: field not declared in schema"}},
	{path: "argo-cd-testdata/non-manifest-file", exit: 12, words: []string{"argo-cd-testdata/non-manifest-file: renders to no objects"}},
	{path: "argo-cd-testdata/null-list", exit: 12, words: []string{"argo-cd-testdata/null-list/null-list.yaml (document 1): ConfigMapList: items is null"}},
	{path: "argo-cd-testdata/oci-dependencies", exit: 12, words: []string{"argo-cd-testdata/oci-dependencies/Chart.yaml: dependency my-dependency", "no Chart.lock pins it"}},
	{path: "argo-cd-testdata/out-of-bounds-link", exit: 12, words: []string{"argo-cd-testdata/out-of-bounds-link: renders to no objects"}},
	{path: "argo-cd-testdata/out-of-bounds-link", exit: 12, words: []string{"symbolic link out-of-bounds.json: leads out of the repository"}, alone: true},
	{path: "argo-cd-testdata/out-of-bounds-values-file-link", exit: 12, words: []string{"argo-cd-testdata/out-of-bounds-values-file-link: renders to no objects"}},
	{path: "argo-cd-testdata/out-of-bounds-values-file-link", exit: 12, words: []string{"values.yaml: leads out of the repository"}, alone: true},
	{path: "argo-cd-testdata/partially-valid-yaml", exit: 12, words: []string{"argo-cd-testdata/partially-valid-yaml/partially-valid.yaml (document 1): ConfigMap: metadata is missing", "(document 2): not a Kubernetes object: apiVersion is missing"}},
	{path: "argo-cd-testdata/recurse", exit: 12, words: []string{"argo-cd-testdata/recurse/baz.yaml (document 1): ConfigMapList: items is null", "argo-cd-testdata/recurse/foo/bar.yaml (document 1): "}},
	{path: "argo-cd-testdata/several-files", exit: 12, words: []string{"argo-cd-testdata/several-files/0.json: ConfigMap: metadata is missing", "argo-cd-testdata/several-files/4.yaml: ConfigMap: metadata is missing"}},
	{path: "argo-cd-testdata/simple-chart", objects: []string{"ConfigMap/my-map"}},
	{path: "argo-cd-testdata/utf-16", exit: 12, words: []string{"argo-cd-testdata/utf-16/utf-16.yaml: is UTF-16: save it as UTF-8"}},
	{path: "argo-cd-testdata/valid-json", exit: 12, words: []string{"argo-cd-testdata/valid-json/valid.json: ConfigMap: metadata is missing"}},
	{path: "argo-cd-testdata/values-files", exit: 12, words: []string{"argo-cd-testdata/values-files: renders to no objects"}},
	{path: "argo-cd-testdata/weird-list", exit: 12, words: []string{"argo-cd-testdata/weird-list/weird-list.yaml (document 1): NotAList: items is null"}},
	{path: "argo-cd-testdata/yaml-with-empty-document", exit: 12, words: []string{"argo-cd-testdata/yaml-with-empty-document/has-empty.yaml (document 1): ConfigMap: metadata is missing"}},

	// What Flux is tested with.
	{path: "flux-testdata", exit: 12, words: []string{"flux-testdata/kustomization.yaml: invalid Kustomization", `unknown field "spec"`}},
	{path: "flux-testdata/buildMetadata", objects: []string{"ConfigMap/test-configmap-6b85g79g7g"}},
	{path: "flux-testdata/components", exit: 12, words: []string{"flux-testdata/components/kustomization.yaml: resources: flux-testdata/components/configmap.yaml: file does not exist", "components: flux-testdata/components/componentA: file does not exist"}},
	{path: "flux-testdata/crds", objects: []string{"CustomResourceDefinition/namespaces.servicebus.azure.com", "Namespace/sptribs", "Namespace/sptribs-servicebus-preview"}},
	{path: "flux-testdata/empty", exit: 11, words: []string{"Kustomization", "unknown-kind"}},
	{path: "flux-testdata/file-transformer", exit: 12, words: []string{"flux-testdata/file-transformer/configmap-generator.yaml: ConfigMap transformer-files/", `the namespace "transformer-files" does not exist: add it to the repository or set createNamespace: true`}},
	{path: "flux-testdata/ignore-tests", exit: 12, words: []string{"Deployment.apps default/test-app is given twice", "flux-testdata/ignore-tests/basic/deployment.yaml", "flux-testdata/ignore-tests/with-gitlab-ci/deployment.yaml"}},
	{path: "flux-testdata/ignore-tests/with-gitlab-ci", objects: []string{"Deployment/test-app"}},
	{path: "flux-testdata/invalid", exit: 12, words: []string{"flux-testdata/invalid/plain/deployment.yaml (document 2): not a Kubernetes object: apiVersion is missing"}},
	{path: "flux-testdata/invalid/overlay", exit: 12, words: []string{"flux-testdata/invalid/overlay/deployment.yaml: not a Kubernetes object: apiVersion is missing"}},
	{path: "flux-testdata/name", objects: []string{"ConfigMap/test-configmap-6b85g79g7g"}},
	{path: "flux-testdata/noResources", exit: 12, words: []string{"flux-testdata/noResources: renders to no objects"}},
	{path: "flux-testdata/nokustomization", exit: 12, words: []string{"flux-testdata/nokustomization/panic/alert.yaml: line 19: found unknown escape character"}},
	{path: "flux-testdata/nokustomization/resources", exit: 12, words: []string{`Secret foo/secret: the namespace "foo" does not exist: add it to the repository or set createNamespace: true`}},
	{path: "flux-testdata/openapiPollution", exit: 12, words: []string{"flux-testdata/openapiPollution/pollutor/openapi.json: not a Kubernetes object: apiVersion is missing"}},
	{path: "flux-testdata/openapiPollution/pollutor", exit: 12, words: []string{"flux-testdata/openapiPollution/pollutor/deployment.yaml: Deployment.apps", "`selector` does not match template `labels`"}},
	{path: "flux-testdata/openapiPollution/victim", exit: 12, words: []string{"flux-testdata/openapiPollution/victim/statefulset.yaml: StatefulSet.apps", "`selector` does not match template `labels`"}},
	{path: "flux-testdata/panic", exit: 12, words: []string{"flux-testdata/panic/kustomization.yaml: kustomize broke down"}},
	{path: "flux-testdata/patch", objects: []string{"Deployment/podinfo"}},
	{path: "flux-testdata/relbase", exit: 12, words: []string{"flux-testdata/relbase/clusters/base/kustomization.yaml: is a kustomization below a path that is rendered as plain files"}},
	{path: "flux-testdata/relbase/clusters/staging/flux-system", exit: 12, words: []string{`flux-testdata/relbase/clusters/base/configmap.yaml: ConfigMap foo/cm: the namespace "foo" does not exist: add it to the repository or set createNamespace: true`}},
	{path: "flux-testdata/remote", exit: 12, words: []string{"flux-testdata/remote/kustomization.yaml: resources: https://", "lies outside the repository"}},
	{path: "flux-testdata/resources", exit: 12, words: []string{`flux-testdata/resources/config.yaml: ConfigMap apps/app-vars: the namespace "apps" does not exist: add it to the repository or set createNamespace: true`, "flux-testdata/resources/deployment.yaml: Deployment.apps apps/app: "}},
	{path: "flux-testdata/restmapper", objects: []string{"CustomResourceDefinition/clustercleanuppolicies.kyverno.io", "ClusterCleanupPolicy/test-cluster-cleanup-policy"}},
	{path: "flux-testdata/transformers", exit: 12, words: []string{"flux-testdata/transformers/quota.yaml: ResourceQuota transformers-inline/", `the namespace "transformers-inline" does not exist: add it to the repository or set createNamespace: true`}},
	{path: "flux-testdata/varsubalways", exit: 12, words: []string{`flux-testdata/varsubalways/config.yaml: ConfigMap apps/app-vars-always: the namespace "apps" does not exist: add it to the repository or set createNamespace: true`}},
	{path: "flux-testdata/varsubstrict", exit: 12, words: []string{`flux-testdata/varsubstrict/config.yaml: ConfigMap apps/app-vars-strict: the namespace "apps" does not exist: add it to the repository or set createNamespace: true`}},
	{path: "flux-testdata/varsubstrictempty", exit: 12, words: []string{`flux-testdata/varsubstrictempty/config.yaml: ConfigMap apps/app-vars-strict-empty: the namespace "apps" does not exist: add it to the repository or set createNamespace: true`}},
}

// badCase is one folder: what it makes, or why it makes nothing.
type badCase struct {
	path string
	// exit is the exit code; words are in what is said of the app.
	exit  int
	words []string
	// objects are what is in the cluster afterwards, as KIND/NAME.
	objects []string
	// alone: the folder is a repository of its own, so that what is beside it is out of bounds.
	alone bool
}

// TestBadInput syncs an app whose input is bad beside one whose input is good: the first writes nothing to the cluster
// and says why, the second goes on, and the exit code is right.
func TestBadInput(t *testing.T) {
	t.Parallel()
	folder, err := filepath.Abs(filepath.Join(corpus, "bad"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("the corpus of bad input is not here (%s): see testdata/script/bad.txtar for the same in small", folder)
	}
	cp, err := shared.cluster()
	if err != nil {
		t.Fatal(err)
	}
	tree := linked(t, folder)
	all := commitCorpus(t, tree)
	tested := map[string]bool{}
	for i, c := range cases {
		tested[c.path] = true
		repository := all
		if c.alone {
			repository = commitCorpus(t, filepath.Join(tree, c.path))
		}
		t.Run(strings.ReplaceAll(c.path, "/", "-"), func(t *testing.T) { c.run(t, cp, repository, i) })
	}
	for _, dir := range folders(t, tree) {
		if !tested[dir] {
			t.Errorf("the corpus has %s, and the table says nothing of it", dir)
		}
	}
}

// run brings both apps to the cluster.
func (c badCase) run(t *testing.T, cp *servers.ControlPlane, repository string, number int) {
	bad, good := fmt.Sprintf("bad-input-%d", number), fmt.Sprintf("good-input-%d", number)
	for _, namespace := range []string{bad, good} {
		if err := makeNamespace(cp.Client, namespace); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := cp.Kubeconfig(kubeconfig, badInput); err != nil {
		t.Fatal(err)
	}
	path := c.path
	if c.alone {
		path = ""
	}
	config, err := json.Marshal(map[string]any{
		"apiVersion": "tidemark.dev/v1alpha1", "state": filepath.Join(dir, "state"), "cluster": map[string]any{"kubeconfig": kubeconfig},
		"apps": []any{
			map[string]any{"name": "bad", "namespace": bad, "source": map[string]any{"repo": repository, "path": path}},
			map[string]any{"name": "good", "namespace": good, "source": map[string]any{"repo": goodRepository(t)}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tidemark.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	_, mark, err := cp.Audit(0)
	if err != nil {
		t.Fatal(err)
	}
	result, err := binary.Run(t.Context(), nil, "sync", "--config", file, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonpath.Document(result.Stdout)
	if err != nil {
		t.Fatalf("stdout is no record: %v\n%s\n%s", err, result.Stdout, result.Stderr)
	}
	c.judge(t, result, document)
	wrote, err := writes(cp, mark, badInput)
	if err != nil {
		t.Fatal(err)
	}
	c.judgeWrites(t, wrote, good)
}

// judge holds exit code, verdicts and words against what is right.
func (c badCase) judge(t *testing.T, result binary.Result, document any) {
	t.Helper()
	if result.Exit != c.exit {
		t.Errorf("exit %d, want %d\n%s", result.Exit, c.exit, result.Stdout)
	}
	if verdict, _ := jsonpath.At(document, "apps[good].verdict"); verdict != "changed" {
		t.Errorf("the good app is %v, not changed", verdict)
	}
	app, _ := jsonpath.At(document, "apps[bad]")
	said, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range c.words {
		escaped, err := json.Marshal(word)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(said), strings.Trim(string(escaped), `"`)) {
			t.Errorf("nothing is said of %q:\n%s", word, said)
		}
	}
	if strings.Contains(result.Stderr, "goroutine ") {
		t.Errorf("tidemark panicked:\n%s", result.Stderr)
	}
	var made []string
	changes, _ := jsonpath.At(document, "apps[bad].changes")
	list, _ := changes.([]any)
	for _, change := range list {
		kind, _ := jsonpath.At(change, "id.kind")
		name, _ := jsonpath.At(change, "id.name")
		if outcome, _ := jsonpath.At(change, "outcome"); outcome == "created" {
			made = append(made, fmt.Sprint(kind, "/", name))
		}
	}
	slices.Sort(made)
	if want := slices.Sorted(slices.Values(c.objects)); !slices.Equal(made, want) {
		t.Errorf("made %q, want %q\n%s", made, want, said)
	}
}

// judgeWrites allows one write for each object that is right.
func (c badCase) judgeWrites(t *testing.T, wrote []string, good string) {
	t.Helper()
	others := slices.DeleteFunc(slices.Clone(wrote), func(w string) bool { return strings.Contains(w, "/namespaces/"+good+"/") })
	if len(others) != len(c.objects) || len(wrote) != len(others)+1 {
		t.Errorf("the cluster was written to, and it should be %d times for the bad app and once for the good one:\n%s",
			len(c.objects), strings.Join(wrote, "\n"))
	}
}

// linked copies the corpus, and makes the links that it lists.
func linked(t *testing.T, folder string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "bad")
	if err := os.CopyFS(tree, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	writable(t, tree)
	list, err := os.Open(filepath.Join(folder, "SYMLINKS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = list.Close() }()
	for lines := bufio.NewScanner(list); lines.Scan(); {
		name, target, isLink := strings.Cut(lines.Text(), "\t")
		if strings.HasPrefix(name, "#") || !isLink {
			continue
		}
		link := filepath.Join(filepath.Dir(tree), name)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// writable lets folders be written to that came from a place which cannot be.
func writable(t *testing.T, tree string) {
	t.Helper()
	err := filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func commitCorpus(t *testing.T, tree string) string {
	t.Helper()
	repository, err := servers.NewRepo(t.Context(), filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repository.CommitTree(t.Context(), tree, "bad input"); err != nil {
		t.Fatal(err)
	}
	return repository.Dir
}

func goodRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	good := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n"
	if err := os.WriteFile(filepath.Join(dir, "good.yaml"), []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	return commitCorpus(t, dir)
}

// folders lists the folders of the corpus that a case is made of: those two levels down.
func folders(t *testing.T, tree string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(tree, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			dir, err := filepath.Rel(tree, path)
			if err != nil {
				t.Fatal(err)
			}
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
