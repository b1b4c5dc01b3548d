package helm_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/render/source/sourcetest"
)

const link = "-> " // in a tree of tests: a symbolic link

// tree makes a Tree of files by path; a content that begins with "-> " is a
// symbolic link.
func tree(files map[string]string) *source.Tree {
	all := sourcetest.Files{}
	for name, text := range files {
		if target, ok := strings.CutPrefix(text, link); ok {
			all[name+"@"] = target
		} else {
			all[name] = text
		}
	}
	return all.Tree()
}

// chart gives the files of a chart under a directory: a Chart.yaml of that
// name, and those given.
func chart(dir string, files map[string]string) map[string]string {
	name := path.Base(dir)
	all := map[string]string{path.Join(dir, "Chart.yaml"): "apiVersion: v2\nname: " + name + "\nversion: 1.2.3\n"}
	for at, text := range files {
		all[path.Join(dir, at)] = text
	}
	return all
}

func join(all ...map[string]string) map[string]string {
	joined := map[string]string{}
	for _, files := range all {
		maps.Copy(joined, files)
	}
	return joined
}

// configMap gives a template of a ConfigMap with one key, "v".
func configMap(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\ndata:\n  v: %s\n", name, value)
}

// request asks for the chart at "web".
func request(files map[string]string) helm.Request {
	return helm.Request{
		Tree: tree(files), Path: "web", Release: "shop", Namespace: "prod",
		Options: helm.Options{KubeVersion: "1.33.1"},
	}
}

func render(t *testing.T, r helm.Request) helm.Result {
	t.Helper()
	result, err := helm.Render(t.Context(), r)
	if err != nil {
		t.Fatalf("render: %v", err)
	}
	return result
}

// value gives the key "v" of the ConfigMap of that name.
func value(t *testing.T, result helm.Result, name string) string {
	t.Helper()
	for _, o := range result.Objects {
		if o.ID.Kind == "ConfigMap" && o.ID.Name == name {
			data, _ := o.Content()["data"].(map[string]any)
			text, ok := data["v"].(string)
			if !ok {
				t.Fatalf("ConfigMap %s holds %v", name, data)
			}
			return text
		}
	}
	t.Fatalf("there is no ConfigMap %s in %v", name, ids(result.Objects))
	return ""
}

func ids(objects []object.Object) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.ID.String())
	}
	return all
}

// wantError fails unless an error holds each of the texts.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got error\n\t%v\nwant it to hold\n\t%s", err, text)
		}
	}
}

// renderError renders what must fail.
func renderError(t *testing.T, r helm.Request) error {
	t.Helper()
	return renderErrorIn(t.Context(), t, r)
}

func renderErrorIn(ctx context.Context, t *testing.T, r helm.Request) error {
	t.Helper()
	result, err := helm.Render(ctx, r)
	if err == nil {
		t.Fatalf("render gave %v and no error", ids(result.Objects))
	}
	return err
}

// pack gives a chart's files as a packaged chart.
func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name]))}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
