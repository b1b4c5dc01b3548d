package helm_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/helm"
)

// corpus gives the files under a folder of real inputs, with the symbolic links
// that their list names.
func corpus(t *testing.T, folder string) map[string]string {
	t.Helper()
	const root = "/work/shared/corpus"
	if _, err := os.Stat(filepath.Join(root, folder)); err != nil {
		t.Skipf("the corpus of real inputs is not on this machine: %v", err)
	}
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, folder), func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(filepath.Join(root, folder), at)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	links, err := os.ReadFile(filepath.Join(root, "bad/SYMLINKS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(links)) {
		at, target, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if name, found := strings.CutPrefix(at, folder+"/"); ok && found {
			files[name] = link + target
		}
	}
	return files
}

func TestPodinfo(t *testing.T) {
	files := corpus(t, "podinfo/6.14.1")
	r := request(files)
	r.Path = "charts/podinfo"
	result := render(t, r)
	if got, want := ids(result.Objects), []string{"Deployment.apps prod/shop-podinfo", "Service prod/shop-podinfo"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(result.Varying) > 0 {
		t.Errorf("got varying %v, want nothing", result.Varying)
	}
	compareWithHelm(t, files, r)

	r.Options.ValueFiles = []string{"values-prod.yaml"}
	if got := ids(render(t, r).Objects); len(got) != 6 {
		t.Errorf("with values-prod.yaml: got %q, want 6 objects", got)
	}

	r.Options.Values = map[string]any{"hooks": map[string]any{"preInstall": map[string]any{"job": map[string]any{"enabled": true}}}}
	if got := ids(render(t, r).Objects); !slices.Contains(got, "Job.batch prod/shop-podinfo-pre-install") {
		t.Errorf("got %q, want the hook among them", got)
	}
	r.Options.Hooks = helm.HooksRefuse
	wantError(t, renderError(t, r), "podinfo/templates/hooks/job.yaml")
}

func TestMicroservicesDemo(t *testing.T) {
	files := corpus(t, "microservices-demo/v0.10.6")
	r := request(files)
	r.Path = "helm-chart"
	if got := len(render(t, r).Objects); got < 30 {
		t.Errorf("got %d objects, want the whole demo", got)
	}
	compareWithHelm(t, files, r)
}

func TestBadCharts(t *testing.T) {
	files := corpus(t, "bad/argo-cd-testdata")
	for folder, test := range map[string]struct {
		options helm.Options
		want    []string
	}{
		"invalid-helm":                    {helm.Options{}, []string{"invalid-helm: "}},
		"broken-schema-verification":      {helm.Options{}, []string{"broken-schema-verification/values.schema.json"}},
		"helm-with-dependencies":          {helm.Options{}, []string{"dependency helm v1.0.0", "@custom-repo is a name that only the author's machine knows"}},
		"helm-with-dependencies-alias":    {helm.Options{}, []string{"alias:custom-repo-alias is a name"}},
		"oci-dependencies":                {helm.Options{}, []string{"dependency my-dependency *", "no Chart.lock pins it"}},
		"values-files":                    {helm.Options{ValueFiles: []string{"absent.yaml"}}, []string{"values-files/absent.yaml"}},
		"out-of-bounds-values-file-link":  {helm.Options{ValueFiles: []string{"../../out-of-bounds.yaml"}}, []string{"leads out of the repository"}},
		"helm-with-local-dependency/none": {helm.Options{}, []string{"there is no Chart.yaml"}},
	} {
		t.Run(folder, func(t *testing.T) {
			r := request(files)
			r.Path, r.Options = folder, test.options
			r.Options.KubeVersion = "1.33"
			wantError(t, renderError(t, r), test.want...)
		})
	}
	for _, folder := range []string{"helm-with-local-dependency", "my-chart", "in-bounds-values-file-link", "simple-chart"} {
		t.Run(folder, func(t *testing.T) {
			r := request(files)
			r.Path = folder
			render(t, r)
		})
	}
}

func TestOutOfBoundsLink(t *testing.T) {
	r := request(corpus(t, "bad/argo-cd-testdata/out-of-bounds-values-file-link"))
	r.Path = "."
	wantError(t, renderError(t, r), "values.yaml: leads out of the repository")
}
