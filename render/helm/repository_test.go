package helm_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/render/helm"
)

// repository is an HTTP chart repository over TLS, under the path /charts.
type repository struct {
	url string
	ca  []byte

	mu       sync.Mutex
	entries  map[string][]entry
	packed   map[string][]byte
	asked    []string
	handle   func(http.ResponseWriter, *http.Request) bool // first; true: done
	username string
	password string
}

type entry struct {
	Version string   `json:"version"`
	Digest  string   `json:"digest,omitempty"`
	URLs    []string `json:"urls"`
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{entries: map[string][]entry{}, packed: map[string][]byte{}}
	server := httptest.NewTLSServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL + "/charts"
	r.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return r
}

// add adds a version of a chart.
func (r *repository) add(t *testing.T, name, version string, files map[string]string) {
	t.Helper()
	all := map[string]string{name + "/Chart.yaml": "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n"}
	for at, text := range files {
		all[name+"/"+at] = text
	}
	data := pack(t, all)
	sum := sha256.Sum256(data)
	file := name + "-" + version + ".tgz"
	r.mu.Lock()
	defer r.mu.Unlock()
	r.packed["/charts/packed/"+file] = data
	r.entries[name] = append(r.entries[name], entry{Version: version, Digest: hex.EncodeToString(sum[:]), URLs: []string{"packed/" + file}})
}

func (r *repository) edit(name, version string, edit func(*entry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.entries[name], func(e entry) bool { return e.Version == version })
	edit(&r.entries[name][i])
}

func (r *repository) digest(name, version string) string {
	digest := ""
	r.edit(name, version, func(e *entry) { digest = "sha256:" + e.Digest })
	return digest
}

func (r *repository) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func (r *repository) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, request.URL.Path)
	if r.handle != nil && r.handle(w, request) {
		return
	}
	if username, password, _ := request.BasicAuth(); username != r.username || password != r.password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if request.URL.Path == "/charts/index.yaml" {
		data, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "entries": r.entries})
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(data)
		return
	}
	data, ok := r.packed[request.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write(data)
}

func charts(t *testing.T, credentials map[string]helm.Credentials) *helm.Charts {
	t.Helper()
	c, err := helm.NewCharts(helm.ChartsOptions{Credentials: credentials})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// remote asks for the chart "app" of a repository.
func remote(t *testing.T, repo *repository, version string) helm.Request {
	t.Helper()
	r := request(nil)
	r.Options.Chart = &helm.ChartRef{Repo: repo.url, Name: "app", Version: version}
	r.Charts = charts(t, map[string]helm.Credentials{repo.url: {CA: repo.ca, Username: repo.username, Password: repo.password}})
	return r
}

var shows = map[string]string{"templates/a.yaml": configMap("app", `'{{ .Chart.Version }} {{ .Values.v }}'`), "values.yaml": "v: default\n"}

func TestHTTPRepository(t *testing.T) {
	repo := newRepository(t)
	for _, version := range []string{"1.0.0", "2.0.0-rc.1", "1.10.0", "1.9.0", "1.10.0+build.2", "not a version"} {
		repo.add(t, "app", version, shows)
	}
	for want, version := range map[string]string{
		"1.10.0":         "",
		"1.9.0":          "~1.9",
		"1.0.0":          "1.0.0",
		"2.0.0-rc.1":     ">=2.0.0-0",
		"1.10.0+build.2": "1.10.0+build.2",
	} {
		r := remote(t, repo, version)
		resolved, err := r.Charts.Resolve(t.Context(), *r.Options.Chart)
		if err != nil {
			t.Errorf("resolve %q: %v", version, err)
			continue
		}
		result := render(t, r)
		if got := value(t, result, "app"); got != want+" default" {
			t.Errorf("version %q: got %q, want %s", version, got, want)
		}
		if expected := (helm.ChartVersion{Repo: repo.url, Name: "app", Version: want, Digest: repo.digest("app", want)}); result.Chart != expected || resolved != expected {
			t.Errorf("version %q: got chart %v, resolved %v, want %v", version, result.Chart, resolved, expected)
		}
	}
}

func TestValueFilesForRemoteChart(t *testing.T) {
	repo := newRepository(t)
	repo.add(t, "app", "1.0.0", shows)
	r := remote(t, repo, "1.0.0")
	r.Tree, r.Path = tree(map[string]string{"apps/shop/values.yaml": "v: of-the-app\n"}), "apps/shop"
	r.Options.ValueFiles = []string{"values.yaml"}
	if got := value(t, render(t, r), "app"); got != "1.0.0 of-the-app" {
		t.Errorf("got %q, want 1.0.0 of-the-app", got)
	}
}

func TestFetchedOnce(t *testing.T) {
	repo := newRepository(t)
	repo.add(t, "app", "1.0.0", shows)
	r := remote(t, repo, "")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := helm.Render(context.WithoutCancel(t.Context()), r); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got, want := repo.requests(), []string{"/charts/index.yaml", "/charts/packed/app-1.0.0.tgz"}; !slices.Equal(got, want) {
		t.Errorf("got requests %q, want %q", got, want)
	}
}

func TestRefusedFromRepository(t *testing.T) {
	const wrong = "0000000000000000000000000000000000000000000000000000000000000000"
	for name, test := range map[string]struct {
		edit func(*repository, *helm.Request)
		want []string
	}{
		"unknown chart":   {func(_ *repository, r *helm.Request) { r.Options.Chart.Name = "other" }, []string{"chart other in", "no chart of that name"}},
		"unknown version": {func(_ *repository, r *helm.Request) { r.Options.Chart.Version = "^7" }, []string{"none of its 1 versions is ^7"}},
		"no version":      {func(_ *repository, r *helm.Request) { r.Options.Chart.Version = "newest" }, []string{`version "newest"`}},
		"no name":         {func(_ *repository, r *helm.Request) { r.Options.Chart.Name = "../app" }, []string{"is not the name of a chart"}},
		"digest of the index": {
			func(repo *repository, _ *helm.Request) {
				repo.edit("app", "1.0.0", func(e *entry) { e.Digest = wrong })
			},
			[]string{"chart app 1.0.0", "gives digest sha256:", "sha256:" + wrong + " is expected"},
		},
		"digest of the app": {func(_ *repository, r *helm.Request) { r.Options.Chart.Digest = "sha256:" + wrong }, []string{"in the index, not sha256:" + wrong}},
		"digest of the app, none in the index": {
			func(repo *repository, r *helm.Request) {
				repo.edit("app", "1.0.0", func(e *entry) { e.Digest = "" })
				r.Options.Chart.Digest = "sha256:" + wrong
			}, []string{"sha256:" + wrong + " is expected"},
		},
		"no digest": {func(_ *repository, r *helm.Request) { r.Options.Chart.Digest = "1234" }, []string{`digest "1234"`}},
		"URL over HTTP": {
			func(repo *repository, _ *helm.Request) {
				repo.edit("app", "1.0.0", func(e *entry) { e.URLs = []string{"http://example.com/app.tgz"} })
			}, []string{"the index names a URL by http"},
		},
		"URL of a file": {
			func(repo *repository, _ *helm.Request) {
				repo.edit("app", "1.0.0", func(e *entry) { e.URLs = []string{"file:///etc/passwd"} })
			}, []string{"the index names a URL by file"},
		},
		"another chart": {
			func(repo *repository, _ *helm.Request) {
				repo.edit("app", "1.0.0", func(e *entry) { e.Version = "1.0.1" })
			}, []string{"gives app 1.0.0 where app 1.0.1 is asked for"},
		},
		"no index": {
			func(_ *repository, r *helm.Request) { r.Options.Chart.Repo += "/packed" }, []string{"/charts/packed/index.yaml: 404 Not Found"},
		},
		"not an index": {
			func(repo *repository, _ *helm.Request) {
				repo.handle = func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte("<html>")); return true }
			}, []string{"is not the index of a chart repository"},
		},
		"wrong password": {
			func(repo *repository, _ *helm.Request) { repo.username, repo.password = "reader", "other" }, []string{"401 Unauthorized", "credentials"},
		},
		"unknown certificate": {func(_ *repository, r *helm.Request) { r.Charts = nil }, []string{"charts may not be fetched here"}},
		"too large": {
			func(repo *repository, _ *helm.Request) {
				repo.handle = func(w http.ResponseWriter, request *http.Request) bool {
					if !strings.HasSuffix(request.URL.Path, ".tgz") {
						return false
					}
					for range 33 {
						_, _ = w.Write(make([]byte, 1<<20))
					}
					return true
				}
			}, []string{"the answer is larger than 32 MiB"},
		},
		"credentials in the URL": {
			func(_ *repository, r *helm.Request) { r.Options.Chart.Repo = "https://user:hunter2@example.com/charts" }, []string{"holds credentials"},
		},
		"another scheme": {func(_ *repository, r *helm.Request) { r.Options.Chart.Repo = "s3://bucket/charts" }, []string{"only https://, http:// and oci://"}},
	} {
		t.Run(name, func(t *testing.T) {
			repo := newRepository(t)
			repo.add(t, "app", "1.0.0", shows)
			r := remote(t, repo, "")
			test.edit(repo, &r)
			err := renderError(t, r)
			wantError(t, err, test.want...)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats a password: %v", err)
			}
			if errors.Is(err, helm.ErrUnreachable) {
				t.Errorf("got ErrUnreachable of a repository that answers: %v", err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	repo := newRepository(t)
	repo.handle = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
	if err := renderError(t, remote(t, repo, "")); !errors.Is(err, helm.ErrUnreachable) {
		t.Errorf("502: got %v, want ErrUnreachable", err)
	}
	for _, at := range []string{"http://127.0.0.1:1/charts", "oci://127.0.0.1:1/charts"} {
		r := remote(t, repo, "")
		r.Options.Chart.Repo = at
		if err := renderError(t, r); !errors.Is(err, helm.ErrUnreachable) {
			t.Errorf("%s: got %v, want ErrUnreachable", at, err)
		}
	}
	r := remote(t, repo, "")
	r.Charts = charts(t, nil)
	err := renderError(t, r)
	wantError(t, err, "certificate", "configure the ca")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := renderErrorIn(ctx, t, r); !errors.Is(err, context.Canceled) || errors.Is(err, helm.ErrUnreachable) {
		t.Errorf("got %v, want context.Canceled alone", err)
	}
}

// TestCredentialsStayHome: the repository's password goes to the repository,
// never to a host that it redirects to or that its index names.
func TestCredentialsStayHome(t *testing.T) {
	elsewhere := newRepository(t)
	elsewhere.add(t, "app", "1.0.0", shows)
	var leaked []string
	elsewhere.handle = func(_ http.ResponseWriter, request *http.Request) bool {
		if header := request.Header.Get("Authorization"); header != "" {
			leaked = append(leaked, request.URL.Path)
		}
		return false
	}
	for name, prepare := range map[string]func(*repository){
		"the index names another host": func(repo *repository) {
			repo.edit("app", "1.0.0", func(e *entry) { e.URLs = []string{elsewhere.url + "/packed/app-1.0.0.tgz"} })
		},
		"the repository redirects": func(repo *repository) {
			repo.handle = func(w http.ResponseWriter, request *http.Request) bool {
				if !strings.HasSuffix(request.URL.Path, ".tgz") {
					return false
				}
				http.Redirect(w, request, elsewhere.url+"/packed/app-1.0.0.tgz?signature=hunter2", http.StatusFound)
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			repo := newRepository(t)
			repo.username, repo.password = "reader", "hunter1"
			repo.add(t, "app", "1.0.0", shows)
			prepare(repo)
			r := remote(t, repo, "")
			r.Charts = charts(t, map[string]helm.Credentials{repo.url: {CA: append(slices.Clone(repo.ca), elsewhere.ca...), Username: "reader", Password: "hunter1"}})
			render(t, r)
			if len(leaked) > 0 {
				t.Errorf("credentials went elsewhere, with %q", leaked)
			}
		})
	}

	t.Run("a redirect that fails does not show its signature", func(t *testing.T) {
		repo := newRepository(t)
		repo.add(t, "app", "1.0.0", shows)
		for status, target := range map[int]string{
			http.StatusFound: elsewhere.url + "/absent?signature=hunter2", http.StatusSeeOther: "https://127.0.0.1:1/x?signature=hunter2", http.StatusTemporaryRedirect: "http://127.0.0.1:1/x?signature=hunter2",
		} {
			repo.handle = func(w http.ResponseWriter, request *http.Request) bool {
				http.Redirect(w, request, target, status)
				return true
			}
			err := renderError(t, remote(t, repo, ""))
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the signature: %v", err)
			}
		}
	})
}

func TestPlainHTTPAndTokens(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		got = request.Header.Get("Authorization")
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	r := request(nil)
	r.Options.Chart = &helm.ChartRef{Repo: server.URL, Name: "app"}
	r.Charts = charts(t, map[string]helm.Credentials{server.URL: {BearerToken: "hunter2"}})
	wantError(t, renderError(t, r), "404")
	if got != "Bearer hunter2" {
		t.Errorf("got authorization %q, want the token", got)
	}
	r.Options.Chart.Repo = "http://charts.example.com"
	r.Charts = charts(t, map[string]helm.Credentials{"http://charts.example.com": {Password: "hunter2"}})
	wantError(t, renderError(t, r), "over plain HTTP")
}

func TestWrongCredentials(t *testing.T) {
	for _, credentials := range []map[string]helm.Credentials{
		{"charts.example.com": {}}, {"https://charts.example.com": {CA: []byte("not a certificate")}},
	} {
		if _, err := helm.NewCharts(helm.ChartsOptions{Credentials: credentials}); err == nil {
			t.Errorf("got no error for %s", fmt.Sprint(credentials))
		}
	}
}
