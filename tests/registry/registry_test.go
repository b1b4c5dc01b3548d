// Package registry_test proves that charts come out of a real OCI registry. It
// is a module of its own, so that the registry does not raise the versions of
// what Tidemark ships.
package registry_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"tidemark.dev/tidemark/render/helm"
)

func packed(t *testing.T, version string) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	for file, text := range map[string]string{
		"app/Chart.yaml":       "apiVersion: v2\nname: app\nversion: " + version + "\n",
		"app/templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {version: '{{ .Chart.Version }}'}\n",
	} {
		if err := archive.WriteHeader(&tar.Header{Name: file, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, closer := range []io.Closer{archive, zipped} {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// manifest is one that is pushed as it stands.
type manifest []byte

func (m manifest) RawManifest() ([]byte, error)      { return m, nil }
func (manifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// push puts a version of the chart "app" into a registry, in the form that
// "helm push" gives it, and gives the digest of its manifest.
func push(t *testing.T, host, version string, options ...remote.Option) string {
	t.Helper()
	tag, err := name.NewTag(host + "/charts/app:" + strings.ReplaceAll(version, "+", "_"))
	if err != nil {
		t.Fatal(err)
	}
	config := static.NewLayer([]byte(`{"name":"app","version":"`+version+`","apiVersion":"v2"}`), "application/vnd.cncf.helm.config.v1+json")
	layer := static.NewLayer(packed(t, version), "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
	described := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	for _, l := range []v1.Layer{config, layer} {
		if err := remote.WriteLayer(tag.Context(), l, options...); err != nil {
			t.Fatal(err)
		}
		descriptor, err := partial.Descriptor(l)
		if err != nil {
			t.Fatal(err)
		}
		described.Layers = append(described.Layers, *descriptor)
	}
	described.Config, described.Layers = described.Layers[0], described.Layers[1:]
	data, err := json.Marshal(described)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Put(tag, manifest(data), options...); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func serve(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func pull(t *testing.T, host string, credentials helm.Credentials, version, digest string) (helm.Result, error) {
	t.Helper()
	repo := "oci://" + host + "/charts"
	charts, err := helm.NewCharts(helm.ChartsOptions{Credentials: map[string]helm.Credentials{repo: credentials}})
	if err != nil {
		t.Fatal(err)
	}
	return helm.Render(t.Context(), helm.Request{
		Release: "shop", Namespace: "prod", Charts: charts,
		Options: helm.Options{KubeVersion: "1.33", Chart: &helm.ChartRef{Repo: repo, Name: "app", Version: version, Digest: digest}},
	})
}

func TestPull(t *testing.T) {
	host := serve(t, nil)
	digests := map[string]string{}
	for _, version := range []string{"1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "1.2.0+build.5"} {
		digests[version] = push(t, host, version)
	}
	for what, test := range map[string]struct{ version, digest, want string }{
		"exact":          {"1.2.0", "", "1.2.0"},
		"newest":         {"", "", "1.10.0"},
		"range":          {"<1.2", "", "1.0.0"},
		"build metadata": {"1.2.0+build.5", "", "1.2.0+build.5"},
		"digest":         {"", digests["1.0.0"], "1.0.0"},
	} {
		t.Run(what, func(t *testing.T) {
			result, err := pull(t, host, helm.Credentials{}, test.version, test.digest)
			if err != nil {
				t.Fatal(err)
			}
			if result.Chart.Version != test.want || result.Chart.Digest != digests[test.want] || len(result.Objects) != 1 {
				t.Errorf("got %+v, want version %s with digest %s and one object", result, test.want, digests[test.want])
			}
		})
	}
	if _, err := pull(t, host, helm.Credentials{}, "3.0.0", ""); err == nil || !strings.Contains(err.Error(), "the registry has no 3.0.0") {
		t.Errorf("got %v, want that the registry has no 3.0.0", err)
	}
}

func TestPullWithPassword(t *testing.T) {
	host := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if username, password, _ := request.BasicAuth(); username == "reader" && password == "hunter2" {
				next.ServeHTTP(w, request)
				return
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="charts"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
	})
	push(t, host, "1.0.0", remote.WithAuth(&authn.Basic{Username: "reader", Password: "hunter2"}))
	if _, err := pull(t, host, helm.Credentials{}, "1.0.0", ""); err == nil {
		t.Error("got the chart without a password")
	}
	if _, err := pull(t, host, helm.Credentials{Username: "reader", Password: "hunter2"}, "", ""); err != nil {
		t.Error(err)
	}
}
