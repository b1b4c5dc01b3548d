package helm_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/render/helm"
)

// locked gives the Chart.yaml of "web" with dependencies, and the Chart.lock
// that "helm dependency update" would write for them.
func locked(t *testing.T, dependencies []*v2.Dependency, versions ...string) map[string]string {
	t.Helper()
	lock := v2.Lock{}
	for i, d := range dependencies {
		lock.Dependencies = append(lock.Dependencies, &v2.Dependency{Name: d.Name, Repository: d.Repository, Version: versions[i]})
	}
	data, err := json.Marshal([2][]*v2.Dependency{dependencies, lock.Dependencies})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	lock.Digest = "sha256:" + hex.EncodeToString(sum[:])
	metadata, err := yaml.Marshal(v2.Metadata{APIVersion: "v2", Name: "web", Version: "1.0.0", Dependencies: dependencies})
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(lock)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"web/Chart.yaml": string(metadata), "web/Chart.lock": string(text)}
}

// declared gives a Chart.yaml of "web" with dependencies in YAML.
func declared(dependencies string) map[string]string {
	return map[string]string{"web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: " + dependencies + "\n"}
}

func TestLocalDependencies(t *testing.T) {
	files := join(
		declared(`[{name: sub, version: 1.x, repository: "file://../libs/sub", alias: renamed}]`),
		chart("libs/sub", map[string]string{"templates/a.yaml": configMap("{{ .Chart.Name }}", "{{ .Values.v }}"), "values.yaml": "v: default\n"}),
		map[string]string{"libs/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.5.0\ndependencies: [{name: deeper, version: '*', repository: 'file://../deeper'}]\n"},
		chart("libs/deeper", map[string]string{"templates/a.yaml": configMap("deeper", "x")}),
	)
	r := request(files)
	r.Options.Values = map[string]any{"renamed": map[string]any{"v": "set"}}
	result := render(t, r)
	if got := value(t, result, "renamed"); got != "set" {
		t.Errorf("got %q, want set", got)
	}
	value(t, result, "deeper")
	files["libs/deeper/Chart.yaml"] += "# edited\n"
	if tree(files).Same(result.Inputs) {
		t.Error("a change of libs/deeper/Chart.yaml changes no input")
	}
}

func TestMissingDependencies(t *testing.T) {
	remote := []*v2.Dependency{{Name: "sub", Version: "^1.0.0", Repository: "https://charts.example.com"}}
	outOfSync := locked(t, remote, "1.0.0")
	outOfSync["web/Chart.yaml"] = strings.ReplaceAll(outOfSync["web/Chart.yaml"], "^1.0.0", "^1.0.1")
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no lock":                 {declared(`[{name: sub, version: 1.0.0, repository: "https://charts.example.com"}]`), "no Chart.lock pins it: run `helm dependency update`"},
		"lock out of sync":        {outOfSync, "Chart.lock is out of sync with Chart.yaml: run `helm dependency update`"},
		"nothing may be fetched":  {locked(t, remote, "1.0.0"), "run `helm dependency build`"},
		"no repository":           {declared(`[{name: sub, version: 1.0.0}]`), "it has no repository"},
		"name of a repository":    {declared(`[{name: sub, version: 1.0.0, repository: "@stable"}]`), "a name that only the author's machine knows"},
		"local, of the machine":   {declared(`[{name: sub, version: 1.0.0, repository: "file:///srv/sub"}]`), "is a path of a machine"},
		"local, out of bounds":    {declared(`[{name: sub, version: 1.0.0, repository: "file://../../sub"}]`), "leads out of the repository"},
		"local, absent":           {declared(`[{name: sub, version: 1.0.0, repository: "file://../sub"}]`), "sub: there is no Chart.yaml"},
		"local, another version":  {join(declared(`[{name: sub, version: 2.x, repository: "file://../sub"}]`), chart("sub", nil)), "sub holds sub 1.2.3"},
		"local, another name":     {join(declared(`[{name: other, version: 1.x, repository: "file://../sub"}]`), chart("sub", nil)), "sub holds sub 1.2.3"},
		"local, itself":           {declared(`[{name: web, version: 1.x, repository: "file://."}]`), "do they lead in a circle?"},
		"several, all are listed": {declared(`[{name: one, version: 1.0.0}, {name: two, version: 1.0.0}]`), "dependency two 1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, renderError(t, request(test.files)), "web/Chart.yaml: dependency ", test.want)
		})
	}
}

func TestVendoredDependencies(t *testing.T) {
	remote := []*v2.Dependency{{Name: "sub", Version: "^1.0.0", Repository: "https://charts.example.com"}}
	files := join(locked(t, remote, "1.2.3"), chart("web/charts/sub", map[string]string{"templates/a.yaml": configMap("sub", "x")}))
	if got := render(t, request(files)).Warnings; len(got) > 0 {
		t.Errorf("got warnings %q, want none", got)
	}
	files["web/Chart.yaml"] = strings.ReplaceAll(files["web/Chart.yaml"], "^1.0.0", "^2.0.0")
	got := render(t, request(files)).Warnings
	if len(got) != 2 || !strings.Contains(got[0], "Chart.lock is out of sync") || !strings.Contains(got[1], "declared as ^2.0.0, but charts/ holds 1.2.3") {
		t.Errorf("got warnings %q, want that the lock is out of sync and charts/ outdated", got)
	}
}

func TestLockOfHelm2(t *testing.T) {
	dependencies := []*v2.Dependency{{Name: "sub", Version: "^1.0.0", Repository: "https://charts.example.com"}}
	data, err := json.Marshal(map[string]any{"dependencies": dependencies})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	r := request(map[string]string{
		"web/Chart.yaml":        "apiVersion: v1\nname: web\nversion: 1.0.0\n",
		"web/requirements.yaml": "dependencies: [{name: sub, version: ^1.0.0, repository: 'https://charts.example.com'}]\n",
		"web/requirements.lock": "digest: sha256:" + hex.EncodeToString(sum[:]) + "\ndependencies: [{name: sub, version: 1.1.0, repository: 'https://charts.example.com'}]\n",
	})
	wantError(t, renderError(t, r), "charts may not be fetched here")
}

func TestLockedDependenciesAreFetched(t *testing.T) {
	repo := newRepository(t)
	repo.add(t, "sub", "1.1.0", map[string]string{"templates/a.yaml": configMap("sub", "{{ .Chart.Version }}")})
	repo.add(t, "sub", "1.9.0", map[string]string{"templates/a.yaml": configMap("sub", "{{ .Chart.Version }}")})
	files := locked(t, []*v2.Dependency{{Name: "sub", Version: "^1.0.0", Repository: repo.url}}, "1.1.0")
	r := request(files)
	r.Charts = charts(t, map[string]helm.Credentials{repo.url: {CA: repo.ca}})
	result := render(t, r)
	if got := value(t, result, "sub"); got != "1.1.0" {
		t.Errorf("got version %q, want the locked 1.1.0", got)
	}
	want := helm.ChartVersion{Repo: repo.url, Name: "sub", Version: "1.1.0", Digest: repo.digest("sub", "1.1.0")}
	if got := result.Dependencies; len(got) != 1 || got[0] != want {
		t.Errorf("got dependencies %v, want %v", got, want)
	}
}

// TestDependenciesDoNotReachPrivateAddresses: whoever may commit a Chart.yaml
// must not be able to make the runner call what only the runner can reach.
func TestDependenciesDoNotReachPrivateAddresses(t *testing.T) {
	repo := newRepository(t)
	repo.add(t, "sub", "1.0.0", nil)
	r := request(locked(t, []*v2.Dependency{{Name: "sub", Version: "1.0.0", Repository: repo.url}}, "1.0.0"))
	r.Charts = charts(t, nil)
	wantError(t, renderError(t, r), "127.0.0.1 is a private address")
	plain := strings.Replace(repo.url, "https://", "http://", 1)
	r.Tree = tree(locked(t, []*v2.Dependency{{Name: "sub", Version: "1.0.0", Repository: plain}}, "1.0.0"))
	wantError(t, renderError(t, r), "plain HTTP")
	registry := strings.Replace(repo.url, "https://", "oci://", 1)
	r.Tree = tree(locked(t, []*v2.Dependency{{Name: "sub", Version: "1.0.0", Repository: registry}}, "1.0.0"))
	wantError(t, renderError(t, r), "127.0.0.1 is a private address")
	if got := repo.requests(); len(got) > 0 {
		t.Errorf("got requests %q, want none", got)
	}
}
