package cost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

// user is whom Tidemark acts as, so that its requests are known in the audit log.
const user = "tidemark"

// town is the servers, shared by all ledgers of a test.
type town struct {
	cluster *servers.ControlPlane
	store   *servers.S3
	git     *servers.GitHTTP
	config  string // a kubeconfig
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{
		cluster: servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{Audit: true, Users: []servers.User{{Name: user, Groups: []string{"system:masters"}}}}),
		store:   servers.For(t, servers.StartS3, servers.S3Options{}),
		git:     servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{}),
		config:  filepath.Join(t.TempDir(), "kubeconfig"),
	}
	if err := w.cluster.Kubeconfig(w.config, user); err != nil {
		t.Fatal(err)
	}
	return w
}

// ledger is one ledger with a repository of its own, and a namespace that bears its name.
type ledger struct {
	*town
	name    string
	repo    *servers.Repo
	serving servers.Serving
	file    string // its configuration
	mark    int64
}

// newLedger makes a ledger with apps of these names, each rendered from the folder apps/NAME/deploy.
func (w *town) newLedger(t *testing.T, name string, serving servers.Serving, apps []string) *ledger {
	t.Helper()
	repo, err := servers.NewRepo(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{town: w, name: name, repo: repo, serving: serving, file: filepath.Join(t.TempDir(), "tidemark.yaml")}
	query := url.Values{"endpoint": {w.store.URL}, "region": {w.store.Region}, "path-style": {"true"}}
	var text strings.Builder
	fmt.Fprintf(&text, `apiVersion: tidemark.dev/v1alpha1
state: "s3://%s/%s?%s"
cluster: {kubeconfig: %q}
repositories:
- {name: own, url: "%s/%s.git", ref: {branch: main}}
defaults: {namespace: %s, validate: none}
apps:
`, w.store.Bucket, name, query.Encode(), w.config, w.git.URL, name, name)
	for _, app := range apps {
		fmt.Fprintf(&text, "- {name: %s, source: {path: apps/%s/deploy}}\n", app, app)
	}
	if err := os.WriteFile(l.file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.cluster.Create(t.Context(), "/api/v1/namespaces", fmt.Appendf(nil, `{"metadata":{"name":%q}}`, name)); err != nil {
		t.Fatal(err)
	}
	return l
}

// commit commits the files and gives the commit's hash.
func (l *ledger) commit(t *testing.T, files map[string]string) string {
	t.Helper()
	hash, err := l.repo.Commit(t.Context(), files, "a commit of the test")
	if err == nil {
		err = l.repo.Publish(t.Context(), filepath.Join(l.git.Root, l.name+".git"), l.serving)
	}
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// run is what one sync took: what it says itself, and what the servers say.
type run struct {
	Verdict string
	Exit    int
	Apps    []struct {
		Name, Verdict string
		Revision      struct{ Commit string }
	}
	Cost struct {
		StoreRequests, GitRequests, GitBytes, Renders int64
		Fetches                                       []struct {
			Way, Note       string
			Requests, Bytes int64
		}
	}

	// verbs counts the requests to the cluster, as its audit log has them.
	verbs map[string]int
	// git is how many bytes of answers the git server sent.
	git int64
}

// sync runs tidemark sync, which must exit with 0.
func (l *ledger) sync(t *testing.T) run {
	t.Helper()
	l.requests(t)
	l.git.Requests.Reset()
	out := l.tidemark(t, "sync", "--config", l.file, "-o", "json")
	var r run
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("decode the record: %v\n%s", err, out)
	}
	r.verbs = l.requests(t)
	for _, request := range l.git.Requests.All() {
		r.git += request.Bytes
	}
	return r
}

func (l *ledger) tidemark(t *testing.T, args ...string) []byte {
	t.Helper()
	env := []string{"AWS_ACCESS_KEY_ID=" + l.store.AccessKey, "AWS_SECRET_ACCESS_KEY=" + l.store.SecretKey}
	result, err := binary.Run(t.Context(), env, args...)
	if err != nil {
		t.Fatal(err)
	}
	if result.Exit != 0 {
		t.Fatalf("tidemark %s: exit code %d\n%s%s", strings.Join(args, " "), result.Exit, result.Stdout, result.Stderr)
	}
	return []byte(result.Stdout)
}

// requests counts by verb what Tidemark sent to the cluster since it was asked last.
func (l *ledger) requests(t *testing.T) map[string]int {
	t.Helper()
	events, next, err := l.cluster.Audit(l.mark)
	if err != nil {
		t.Fatal(err)
	}
	l.mark = next
	counts := map[string]int{}
	for _, e := range events {
		if e.User == user && e.Stage == "ResponseComplete" {
			counts[e.Verb]++
		}
	}
	return counts
}

// treeBytes is how much the folders of the newest commit take in git.
func (l *ledger) treeBytes(t *testing.T) int64 {
	t.Helper()
	sizes, err := objectSizes(t.Context(), l.repo)
	if err != nil {
		t.Fatal(err)
	}
	return sizes
}

func objectSizes(ctx context.Context, repo *servers.Repo) (int64, error) {
	listing, err := repo.Git(ctx, "rev-list", "--objects", "--no-object-names", "--filter=blob:none", "--max-count=1", "HEAD")
	if err != nil {
		return 0, err
	}
	sizes, err := repo.GitWith(ctx, strings.NewReader(listing+"\n"), "cat-file", "--batch-check=%(objectsize:disk)")
	if err != nil {
		return 0, err
	}
	var sum int64
	for size := range strings.FieldsSeq(sizes) {
		var n int64
		if _, err := fmt.Sscan(size, &n); err != nil {
			return 0, fmt.Errorf("size of an object: %w", err)
		}
		sum += n
	}
	return sum, nil
}
