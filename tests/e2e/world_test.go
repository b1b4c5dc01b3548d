package e2e_test

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidemark.dev/tidemark/tests/servers"
)

// world is a cluster with one node, a git server, an S3 server, and a webhook that is slow on demand.
type world struct {
	t       *testing.T
	cluster *servers.ControlPlane
	node    *servers.RealNode
	git     *servers.GitHTTP
	repo    *servers.Repo
	s3      *servers.S3
	hook    *webhook
	dir     string // a copy of deploy/kubernetes, with an overlay of ours
	program string
	tag     string
	state   string
	env     []string
}

func newWorld(t *testing.T, image string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), program: filepath.Join(image, "tidemark-"+runtime.GOARCH), state: "s3://tidemark/e2e"}
	archive := filepath.Join(image, "tidemark-"+runtime.GOARCH+".tar")
	w.tag = tagOf(t, archive)
	w.cluster = servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{ControllerManager: true})
	w.s3 = servers.For(t, servers.StartS3, servers.S3Options{})
	w.git = servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{Username: "tidemark", Password: "e2e"})
	w.node = servers.For(t, servers.StartRealNode, servers.RealNodeOptions{Cluster: w.cluster, Images: []string{archive}})
	var err error
	if w.repo, err = servers.NewRepo(t.Context(), filepath.Join(t.TempDir(), "repo")); err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(w.dir, "kubeconfig")
	if err := w.cluster.Kubeconfig(kubeconfig, servers.Admin); err != nil {
		t.Fatal(err)
	}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "KUBECONFIG=" + kubeconfig, "GIT_PASSWORD=e2e",
		"AWS_ACCESS_KEY_ID=" + w.s3.AccessKey, "AWS_SECRET_ACCESS_KEY=" + w.s3.SecretKey, "AWS_REGION=" + w.s3.Region,
		"AWS_ENDPOINT_URL_S3=" + w.s3.URL,
	}
	w.hook = newWebhook(t)
	t.Cleanup(w.tell)
	return w
}

// tagOf reads by which name a docker archive is loaded.
func tagOf(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if err != nil {
			t.Fatalf("%s has no manifest.json: %v", path, err)
		}
		if header.Name != "manifest.json" {
			continue
		}
		var manifest []struct{ RepoTags []string }
		if err := json.NewDecoder(archive).Decode(&manifest); err != nil {
			t.Fatal(err)
		}
		_, tag, _ := strings.Cut(manifest[0].RepoTags[0], ":")
		return tag
	}
}

const config = `apiVersion: tidemark.dev/v1alpha1
state: %s
stateOptions: {s3: {endpoint: %q, region: %s, pathStyle: true}}
leaseTTL: 45s # a request may take two thirds of it, and one is held for 25 seconds
repositories:
- {name: shop, url: %q, auth: {username: {value: tidemark}, password: {env: GIT_PASSWORD}}}
apps:
- {name: web, namespace: web, source: {path: web}}
`

// overlay is the shipped one for stores with the S3 protocol, on a node whose Pods live in the machine's network, which
// Pod Security does not allow.
const overlay = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../s3-compatible]
components: [../../components/creator]
images:
- {name: registry.example.com/tidemark, newName: docker.io/library/tidemark, newTag: %q}
patches:
- target: {kind: Namespace, name: tidemark}
  patch: |
    - {op: replace, path: /metadata/labels/pod-security.kubernetes.io~1enforce, value: privileged}
- target: {kind: CronJob, name: tidemark}
  patch: |
    - {op: replace, path: /spec/schedule, value: "* * * * *"}
    - {op: add, path: /spec/jobTemplate/spec/template/spec/hostNetwork, value: true}
    - {op: add, path: /spec/jobTemplate/spec/template/spec/containers/0/imagePullPolicy, value: Never}
    - {op: add, path: /spec/jobTemplate/spec/template/spec/containers/0/env/-, value: {name: KUBERNETES_SERVICE_HOST, value: %q}}
    - {op: add, path: /spec/jobTemplate/spec/template/spec/containers/0/env/-, value: {name: KUBERNETES_SERVICE_PORT, value: %q}}
`

// install does what the README tells users to do.
func (w *world) install() {
	w.t.Helper()
	deploy := filepath.Join(w.dir, "kubernetes")
	at := filepath.Join(deploy, "overlays", "s3-compatible")
	own := filepath.Join(deploy, "overlays", "e2e")
	environment := w.node.PodEnvironment()
	if err := errors.Join(
		os.CopyFS(deploy, os.DirFS("../../deploy/kubernetes")),
		os.Mkdir(own, 0o755),
		os.WriteFile(filepath.Join(at, "tidemark.yaml"), fmt.Appendf(nil, config, w.state, w.s3.URL, w.s3.Region, w.git.URL+"/shop.git"), 0o600),
		os.WriteFile(filepath.Join(own, "kustomization.yaml"), fmt.Appendf(nil, overlay, w.tag, environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]), 0o600),
	); err != nil {
		w.t.Fatal(err)
	}
	rights, err := w.run(w.program, "rbac", "--config", filepath.Join(at, "tidemark.yaml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(at, "rights.yaml"), []byte(rights), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.kubectl("create", "namespace", "tidemark")
	w.kubectl("create", "secret", "generic", "tidemark-git", "-n", "tidemark", "--from-literal=GIT_PASSWORD=e2e")
	w.kubectl("create", "secret", "generic", "tidemark-store", "-n", "tidemark",
		"--from-literal=AWS_ACCESS_KEY_ID="+w.s3.AccessKey, "--from-literal=AWS_SECRET_ACCESS_KEY="+w.s3.SecretKey)
	w.kubectl("apply", "-k", own)
	hook, err := json.Marshal(w.hook.configuration())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.cluster.Create(w.t.Context(), "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", hook); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a program and gives its output; an error has what it said besides.
func (w *world) run(program string, args ...string) (string, error) {
	cmd := exec.CommandContext(w.t.Context(), program, args...)
	cmd.Env = w.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(program), strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), err
}

func (w *world) tryKubectl(args ...string) (string, error) {
	kubectl, err := w.cluster.Program("kubectl")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.run(kubectl, args...)
}

func (w *world) kubectl(args ...string) {
	w.t.Helper()
	if _, err := w.tryKubectl(args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tidemark(args ...string) error {
	_, err := w.run(w.program, args...)
	return err
}

func (w *world) get(path string, into any) {
	w.t.Helper()
	answer, err := w.cluster.Get(w.t.Context(), path)
	if err == nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// head is what the ledger's head says, as far as it is looked at here.
type head struct {
	Audit struct{ Seq int }
	Lease struct{ Free bool }
	Apps  map[string]struct{ Plan any }
}

func (w *world) head() (h head) {
	w.t.Helper()
	status, body, _, err := w.s3.Do(w.t.Context(), http.MethodGet, "e2e/head.json", nil, nil)
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal(body, &h)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// idle says whether no run holds the lease, and none left a plan open.
func (w *world) idle() bool {
	h := w.head()
	return h.Lease.Free && h.Apps["web"].Plan == nil
}

// record gives the newest record.
func (w *world) record() record {
	w.t.Helper()
	if seq := w.head().Audit.Seq; seq > 0 {
		return w.recordOf(seq)
	}
	return record{}
}

func (w *world) recordOf(seq int) (r record) {
	w.t.Helper()
	out, err := w.run(w.program, "audit", "show", fmt.Sprint(seq), "--state", w.state, "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &r)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// interrupted gives the runs that later ones took over from.
func (w *world) interrupted() []string {
	w.t.Helper()
	var runs []string
	for seq := w.head().Audit.Seq; seq > 0; seq-- {
		runs = append(runs, w.recordOf(seq).Interrupted...)
	}
	return runs
}

// done waits for the end of a Job that must succeed.
func (w *world) done(name string) {
	w.t.Helper()
	w.until("the job "+name+" ends", func() bool { status := w.job(name).Status; return status.Succeeded+status.Failed > 0 })
	if w.job(name).Status.Failed > 0 {
		w.t.Fatalf("the job %s failed", name)
	}
}

// until waits for what must come; the machine may be slow.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	const patience = 5 * time.Minute
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit.C:
			w.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// kill ends the tidemark that runs on the node, as the kernel would.
func (w *world) kill() {
	w.t.Helper()
	pids, err := w.node.Processes(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	killed := 0
	for _, pid := range pids {
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && strings.HasPrefix(string(line), "/tidemark\x00") {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				w.t.Fatal(err)
			}
			killed++
		}
	}
	if killed != 1 {
		w.t.Fatalf("killed %d processes of %v, want one tidemark", killed, pids)
	}
}

// log gives what the containers of Pods said whose name begins so.
func (w *world) log(pod string) string {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.node.Logs, "tidemark_"+pod+"*", "tidemark", "*.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// tell shows what happened when the test failed.
func (w *world) tell() {
	if !w.t.Failed() {
		return
	}
	cmd := exec.Command("sh", "-c", `"$0" get pods,jobs,events -A -o wide 2>&1 | tail -60`, func() string { p, _ := w.cluster.Program("kubectl"); return p }())
	cmd.Env = w.env
	out, _ := cmd.CombinedOutput()
	w.t.Logf("%s\n%s", out, w.log(""))
}

// webhook admits everything, and holds the requests about ConfigMaps called held-… while it is told to.
type webhook struct {
	server *httptest.Server

	mu      sync.Mutex
	gate    chan struct{} // closed: nothing is held
	waiting int
}

func newWebhook(t *testing.T) *webhook {
	h := &webhook{gate: make(chan struct{})}
	close(h.gate)
	h.server = httptest.NewTLSServer(h)
	t.Cleanup(func() {
		h.release()
		h.server.Close()
	})
	return h
}

func (h *webhook) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gate = make(chan struct{})
}

func (h *webhook) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.gate:
	default:
		close(h.gate)
	}
}

// holding says whether a request is held now.
func (h *webhook) holding() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting > 0
}

func (h *webhook) wait(add int) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting += add
	return h.gate
}

func (h *webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var review struct {
		Request struct {
			UID, Name string
			DryRun    bool
		} `json:"request"`
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &review)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	if strings.HasPrefix(review.Request.Name, "held-") && !review.Request.DryRun {
		gate := h.wait(1)
		select {
		case <-gate:
		// The API server gives up after 30 seconds; the object of the next wave is held then.
		case <-time.After(25 * time.Second):
		case <-r.Context().Done():
		}
		h.wait(-1)
	}
	_, _ = fmt.Fprintf(rw, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":%q,"allowed":true}}`, review.Request.UID)
}

func (h *webhook) configuration() map[string]any {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw})
	return map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": map[string]any{"name": "slow"},
		"webhooks": []map[string]any{{
			"name": "slow.tidemark.test", "admissionReviewVersions": []string{"v1"}, "sideEffects": "None", "timeoutSeconds": 30, "failurePolicy": "Fail",
			"clientConfig":      map[string]any{"url": h.server.URL, "caBundle": base64.StdEncoding.EncodeToString(ca)},
			"rules":             []map[string]any{{"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "operations": []string{"CREATE", "UPDATE"}, "resources": []string{"configmaps"}}},
			"namespaceSelector": map[string]any{"matchLabels": map[string]string{"kubernetes.io/metadata.name": "web"}},
		}},
	}
}
