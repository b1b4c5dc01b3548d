package helm_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/render/helm"
)

// registry answers as much of the OCI distribution API as a pull takes, for
// faults that a real registry does not have. Real pulls from a real registry
// are in tests/registry.
type registry struct {
	url    string
	blobs  map[string][]byte // by digest
	tags   map[string]string // digest of a manifest by tag
	asked  []string
	handle func(http.ResponseWriter, *http.Request) bool
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{blobs: map[string][]byte{}, tags: map[string]string{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = strings.Replace(server.URL, "http://", "oci://", 1) + "/charts"
	return r
}

func (r *registry) put(data []byte) string {
	sum := sha256.Sum256(data)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	r.blobs[digest] = data
	return digest
}

// add pushes a version of the chart "app" and gives its digest.
func (r *registry) add(t *testing.T, version, mediaType string) string {
	t.Helper()
	packed := pack(t, map[string]string{
		"app/Chart.yaml": "apiVersion: v2\nname: app\nversion: " + version + "\n", "app/templates/a.yaml": configMap("app", "'{{ .Chart.Version }}'"),
	})
	config := fmt.Appendf(nil, `{"name":"app","version":%q,"apiVersion":"v2"}`, version)
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": r.put(config), "size": len(config)},
		"layers": []any{map[string]any{"mediaType": mediaType, "digest": r.put(packed), "size": len(packed)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	digest := r.put(manifest)
	r.tags[strings.ReplaceAll(version, "+", "_")] = digest
	return digest
}

func (r *registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.asked = append(r.asked, request.Method+" "+request.URL.Path)
	if r.handle != nil && r.handle(w, request) {
		return
	}
	rest, ok := strings.CutPrefix(request.URL.Path, "/v2/charts/app/")
	kind, reference, _ := strings.Cut(rest, "/")
	if kind == "tags" && ok {
		tags := []string{}
		for tag := range r.tags {
			tags = append(tags, tag)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "charts/app", "tags": tags})
		return
	}
	if digest, tagged := r.tags[reference]; tagged {
		reference = digest
	}
	data, found := r.blobs[reference]
	if !ok || !found {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if kind == "manifests" {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	}
	w.Header().Set("Docker-Content-Digest", reference)
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if request.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

const chartLayer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

func pull(t *testing.T, r *registry, version, digest string) helm.Request {
	t.Helper()
	request := request(nil)
	request.Options.Chart = &helm.ChartRef{Repo: r.url, Name: "app", Version: version, Digest: digest}
	request.Charts = charts(t, nil)
	return request
}

func TestRegistry(t *testing.T) {
	r := newRegistry(t)
	digests := map[string]string{}
	for _, version := range []string{"1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1", "1.9.1+build.7"} {
		digests[version] = r.add(t, version, chartLayer)
	}
	r.tags["latest"], r.tags["sha256-0000.sig"] = digests["1.0.0"], digests["1.0.0"]
	for name, test := range map[string]struct{ version, digest, want string }{
		"exact":             {"1.9.0", "", "1.9.0"},
		"newest":            {"", "", "1.10.0"},
		"range":             {"~1.9", "", "1.9.1+build.7"},
		"build metadata":    {"1.9.1+build.7", "", "1.9.1+build.7"},
		"digest":            {"", digests["1.9.0"], "1.9.0"},
		"digest of a range": {"1.x", digests["1.0.0"], "1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			request := pull(t, r, test.version, test.digest)
			result := render(t, request)
			if got := value(t, result, "app"); got != test.want {
				t.Errorf("got version %q, want %s", got, test.want)
			}
			want := helm.ChartVersion{Repo: r.url, Name: "app", Version: test.want, Digest: digests[test.want]}
			if result.Chart != want {
				t.Errorf("got chart %v, want %v", result.Chart, want)
			}
			resolved, err := request.Charts.Resolve(t.Context(), *request.Options.Chart)
			if err != nil || resolved.Digest != want.Digest {
				t.Errorf("resolved %v (%v), want digest %s", resolved, err, want.Digest)
			}
		})
	}

	t.Run("an exact version is found by one request", func(t *testing.T) {
		r.asked = nil
		request := pull(t, r, "1.9.0", "")
		if _, err := request.Charts.Resolve(t.Context(), *request.Options.Chart); err != nil {
			t.Fatal(err)
		}
		if want := []string{"HEAD /v2/charts/app/manifests/1.9.0"}; !slices.Equal(r.asked, want) {
			t.Errorf("got requests %q, want %q", r.asked, want)
		}
	})
}

func TestRefusedFromRegistry(t *testing.T) {
	const absent = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for name, test := range map[string]struct {
		version, digest string
		prepare         func(*registry)
		want            string
	}{
		"unknown version": {"3.0.0", "", nil, "the registry has no 3.0.0"},
		"unknown range":   {"^3", "", nil, "none of its 2 versions is ^3"},
		"unknown digest":  {"", absent, nil, "the registry has no " + absent},
		"no chart":        {"0.1.0", "", nil, "no layer has the media type " + chartLayer},
		"another blob": {"1.0.0", "", func(r *registry) {
			for digest, data := range r.blobs {
				if data[0] == 0x1f {
					r.blobs[digest] = append([]byte{0x1f}, make([]byte, len(data)-1)...)
				}
			}
		}, "mismatch"},
		"refused": {"1.0.0", "", func(r *registry) {
			r.handle = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"not yours"}]}`))
				return true
			}
		}, "403 Forbidden"},
		"tags refused": {"", "", func(r *registry) {
			r.handle = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"not yours"}]}`))
				return true
			}
		}, "not yours"},
		"too large": {"1.0.0", "", func(r *registry) {
			manifest := `{"schemaVersion":2,"config":{"mediaType":"x","digest":"` + r.put([]byte(`{"version":"1.0.0"}`)) + `","size":19},"layers":[{"mediaType":"` + chartLayer + `","digest":"` + absent + `","size":99999999}]}`
			r.tags["1.0.0"] = r.put([]byte(manifest))
		}, "it is larger than 32 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.add(t, "1.0.0", chartLayer)
			r.add(t, "0.1.0", "application/vnd.oci.image.layer.v1.tar+gzip")
			if test.prepare != nil {
				test.prepare(r)
			}
			wantError(t, renderError(t, pull(t, r, test.version, test.digest)), "chart app", r.url, test.want)
		})
	}

	t.Run("digest of another version", func(t *testing.T) {
		r := newRegistry(t)
		digest := r.add(t, "1.0.0", chartLayer)
		wantError(t, renderError(t, pull(t, r, "^2", digest)), "is version 1.0.0, not ^2")
	})
}

func TestRegistryAuthentication(t *testing.T) {
	r := newRegistry(t)
	r.add(t, "1.0.0", chartLayer)
	r.handle = func(w http.ResponseWriter, request *http.Request) bool {
		if username, password, _ := request.BasicAuth(); username == "reader" && password == "hunter2" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="charts"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	request := pull(t, r, "1.0.0", "")
	wantError(t, renderError(t, request), "chart app")
	request.Charts = charts(t, map[string]helm.Credentials{strings.TrimSuffix(r.url, "/charts"): {Username: "reader", Password: "hunter2"}})
	render(t, request)
	request.Charts = charts(t, map[string]helm.Credentials{r.url: {Username: "reader", Password: "hunter1"}})
	err := renderError(t, request)
	wantError(t, err, "401 Unauthorized")
	if strings.Contains(err.Error(), "hunter1") {
		t.Errorf("the error repeats the password: %v", err)
	}
}
