package deploy_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/tests/servers"
)

var update = flag.Bool("update", false, "write the rights that the overlays ship")

const kubernetes = "../../deploy/kubernetes"

// overlays are those that are shipped, each with the chart's values that give the same.
var overlays = map[string]string{
	"s3": `serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::123456789012:role/tidemark"}}`,
	"gcs": `
serviceAccount: {annotations: {iam.gke.io/gcp-service-account: tidemark@my-project.iam.gserviceaccount.com}}
networkPolicy:
  egress:
  - to: [{ipBlock: {cidr: 169.254.169.252/32}}, {ipBlock: {cidr: 169.254.169.254/32}}]
    ports: [{protocol: TCP, port: 80}, {protocol: TCP, port: 988}]`,
	"s3-compatible": `
serviceAccount: {annotations: {azure.workload.identity/client-id: 00000000-0000-0000-0000-000000000000}}
podLabels: {azure.workload.identity/use: "true"}
networkPolicy: {egress: [{ports: [{protocol: TCP, port: 9000}]}]}`,
	"many-ledgers": `
shards: 3
resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {memory: 1Gi}}`,
}

// acme is the repository that the shipped configurations speak of.
const acme = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: web}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"

// TestShippedRights holds the rights that the overlays ship to what tidemark rbac prints for their configurations.
func TestShippedRights(t *testing.T) {
	repo := repository(t)
	if _, err := repo.Commit(t.Context(), map[string]string{"web/web.yaml": acme, "shop/shop.yaml": strings.ReplaceAll(acme, "web", "shop")}, "acme"); err != nil {
		t.Fatal(err)
	}
	env := []string{"KUBECONFIG=" + kubeconfig(t, servers.Admin), "AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none", "AWS_REGION=us-east-1"}
	for overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			at := filepath.Join(kubernetes, "overlays", overlay)
			text := strings.ReplaceAll(read(t, filepath.Join(at, "tidemark.yaml")), "https://github.com/acme/platform", repo.Dir)
			// The bucket is not there: the witness is named for the state, whatever that holds.
			printed := tidemark(t, env, "rbac", "--config", write(t, "tidemark.yaml", text), "--state", "file://"+filepath.Join(t.TempDir(), "state"))
			if printed.Exit != 0 {
				t.Fatal(printed.Stderr)
			}
			got := documents(t, printed.Stdout)
			unname(got)
			if *update {
				var out strings.Builder
				out.WriteString("# What tidemark rbac printed for an app of Deployments, Services and ConfigMaps in the namespace web. Print yours.\n")
				for _, object := range got {
					encoded, err := yaml.Marshal(object)
					if err != nil {
						t.Fatal(err)
					}
					out.WriteString("---\n" + string(encoded))
				}
				if err := os.WriteFile(filepath.Join(at, "rights.yaml"), []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := documents(t, read(t, filepath.Join(at, "rights.yaml"))); !reflect.DeepEqual(got, want) {
				t.Errorf("rights.yaml is not what tidemark rbac prints (go test ./tests/deploy -update): got\n%s", printed.Stdout)
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestManifests renders each overlay and the chart with its values, compares them, and has the API server validate each
// object strictly, and a Pod of the CronJob under Pod Security restricted.
func TestManifests(t *testing.T) {
	repo := repository(t)
	if _, err := repo.CommitTree(t.Context(), kubernetes, "deploy"); err != nil {
		t.Fatal(err)
	}
	for overlay, values := range overlays {
		t.Run(overlay, func(t *testing.T) {
			kustomized := rendered(t, repo, "overlays/"+overlay, nil)
			given := map[string]any{}
			if err := yaml.Unmarshal([]byte(values), &given); err != nil {
				t.Fatal(err)
			}
			at := filepath.Join(kubernetes, "overlays", overlay)
			files := map[string]string{"tidemark.yaml": read(t, filepath.Join(at, "tidemark.yaml"))}
			if overlay == "many-ledgers" {
				files["fleet.yaml"] = read(t, filepath.Join(at, "fleet.yaml"))
			}
			given["files"], given["rights"] = files, read(t, filepath.Join(at, "rights.yaml"))
			charted := rendered(t, repo, "chart", given)
			if !slices.Equal(slices.Sorted(maps.Keys(kustomized)), slices.Sorted(maps.Keys(charted))) {
				t.Errorf("Kustomize gives %q, and Helm %q", slices.Sorted(maps.Keys(kustomized)), slices.Sorted(maps.Keys(charted)))
			}
			for id, object := range kustomized {
				if other := charted[id]; other != nil && !reflect.DeepEqual(object, other) {
					t.Errorf("%s: Kustomize gives\n%s\nand Helm\n%s", id, shown(object), shown(other))
				}
			}
			for id, object := range kustomized {
				validate(t, id, object)
			}
			restricted(t, kustomized["Namespace//tidemark"], kustomized["CronJob/tidemark/tidemark"])
		})
	}
	t.Run("creator", func(t *testing.T) {
		for _, object := range documents(t, read(t, filepath.Join(kubernetes, "components", "creator", "creator.yaml"))) {
			validate(t, object["kind"].(string), object)
		}
	})
}

func shown(object map[string]any) string {
	text, _ := yaml.Marshal(object)
	return string(text)
}

// rendered gives the objects of a folder, as Tidemark itself renders it.
func rendered(t *testing.T, repo *servers.Repo, path string, values map[string]any) map[string]map[string]any {
	t.Helper()
	app := map[string]any{"name": "tidemark", "namespace": "tidemark", "source": map[string]any{"repo": repo.Dir, "path": path}}
	if values != nil {
		app["render"] = map[string]any{"helm": map[string]any{"values": values, "kubeVersion": "v1.37.2"}}
	}
	text, err := yaml.Marshal(map[string]any{"apiVersion": "tidemark.dev/v1alpha1", "apps": []any{app}})
	if err != nil {
		t.Fatal(err)
	}
	result := tidemark(t, []string{"KUBECONFIG=" + kubeconfig(t, servers.Admin)}, "render", "--config", write(t, "tidemark.yaml", string(text)))
	if result.Exit != 0 {
		t.Fatalf("%s: exit %d\n%s", path, result.Exit, result.Stderr)
	}
	objects := map[string]map[string]any{}
	for _, object := range documents(t, result.Stdout) {
		metadata := object["metadata"].(map[string]any)
		namespace, _ := metadata["namespace"].(string)
		objects[fmt.Sprintf("%s/%s/%s", object["kind"], namespace, metadata["name"])] = object
	}
	return objects
}

// validate has the API server look at an object, strictly, and not keep it.
func validate(t *testing.T, id string, object map[string]any) {
	t.Helper()
	collection, name := place(t, object)
	body, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	status, answer, err := cluster.Do(t.Context(), http.MethodPatch, collection+"/"+name+"?dryRun=All&fieldValidation=Strict&fieldManager=test&force=true", "application/apply-patch+yaml", body)
	if err != nil || status/100 != 2 {
		t.Errorf("%s: the API server answers %d %v: %s", id, status, err, answer)
	}
}

// restricted makes, and does not keep, a Pod of the CronJob in a namespace with the labels of ours.
func restricted(t *testing.T, namespace, cronJob map[string]any) {
	t.Helper()
	if namespace == nil || cronJob == nil {
		t.Fatal("there is no namespace, or no CronJob")
	}
	const name = "restricted"
	labels := namespace["metadata"].(map[string]any)["labels"]
	applyAs(t, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels}})
	pod := cronJob
	for _, field := range []string{"spec", "jobTemplate", "spec", "template"} {
		pod = pod[field].(map[string]any)
	}
	try := func(edit func(spec map[string]any)) int {
		var made map[string]any
		encoded, err := json.Marshal(pod)
		if err == nil {
			err = json.Unmarshal(encoded, &made)
		}
		if err != nil {
			t.Fatal(err)
		}
		made["metadata"].(map[string]any)["name"] = "tried"
		edit(made["spec"].(map[string]any))
		if encoded, err = json.Marshal(made); err != nil {
			t.Fatal(err)
		}
		status, answer, err := cluster.Do(t.Context(), http.MethodPost, "/api/v1/namespaces/"+name+"/pods?dryRun=All&fieldValidation=Strict", "", encoded)
		if err != nil {
			t.Fatal(err)
		}
		if status/100 != 2 && status != http.StatusForbidden {
			t.Errorf("a Pod of the CronJob: %d %s", status, answer)
		}
		return status
	}
	if status := try(func(map[string]any) {}); status != http.StatusCreated {
		t.Errorf("Pod Security restricted does not let a Pod of the CronJob in: %d", status)
	}
	if status := try(func(spec map[string]any) { delete(spec["securityContext"].(map[string]any), "runAsNonRoot") }); status != http.StatusForbidden {
		t.Errorf("Pod Security restricted is not in force: %d", status)
	}
}
