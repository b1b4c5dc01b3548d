package scripts_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/tests/servers"
)

// repo gives the script's repository of that name.
func repo(ts *testscript.TestScript, name string) *servers.Repo {
	w := of(ts)
	if r := w.repos[name]; r != nil {
		return r
	}
	ctx, cancel := within()
	defer cancel()
	r, err := servers.NewRepo(ctx, filepath.Join(w.dir, ".worktrees", name))
	ts.Check(err)
	if w.repos == nil {
		w.repos = map[string]*servers.Repo{}
	}
	w.repos[name] = r
	return r
}

// publish shows the repository to those who fetch from it.
func publish(ts *testscript.TestScript, name string) {
	ctx, cancel := within()
	defer cancel()
	ts.Check(repo(ts, name).Publish(ctx, filepath.Join(of(ts).dir, "git", name+".git"), servers.Serving{AnySHA1: true, Filter: true}))
}

// commit: DIR MESSAGE
func commit(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "commit DIR MESSAGE")
	ctx, cancel := within()
	defer cancel()
	hash, err := repo(ts, args[0]).CommitTree(ctx, ts.MkAbs(args[0]), args[1])
	ts.Check(err)
	ts.Setenv("COMMIT", hash)
	publish(ts, args[0])
}

// branch: DIR NAME
func branch(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "branch DIR NAME")
	ctx, cancel := within()
	defer cancel()
	ts.Check(repo(ts, args[0]).Branch(ctx, args[1]))
	publish(ts, args[0])
}

// reset: DIR COMMIT
func reset(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "reset DIR COMMIT")
	ctx, cancel := within()
	defer cancel()
	_, err := repo(ts, args[0]).Git(ctx, "reset", "--quiet", "--hard", args[1])
	ts.Check(err)
	publish(ts, args[0])
}

// tag: DIR NAME [MESSAGE]
func tag(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 3, "tag DIR NAME [MESSAGE]")
	ctx, cancel := within()
	defer cancel()
	ts.Check(repo(ts, args[0]).Tag(ctx, args[1], append(args, "")[2]))
	publish(ts, args[0])
}

// git: http|https|token|ssh|redirect|lured [SECRET]
func git(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 2, "git http|https|token|ssh|redirect|lured [SECRET]")
	secret := append(args, "")[1]
	if args[0] == "ssh" {
		gitSSH(ts, secret)
		return
	}
	options := map[string]servers.GitHTTPOptions{
		"http":  {},
		"https": {TLS: true, Username: "tide", Password: secret},
		"token": {TLS: true, BearerToken: secret},
	}
	if args[0] == "redirect" || args[0] == "lured" {
		gitRedirect(ts, args[0], secret)
		return
	}
	chosen, known := options[args[0]]
	if !known {
		ts.Fatalf("git: %s is none", args[0])
	}
	gitHTTP(ts, chosen)
}

func gitHTTP(ts *testscript.TestScript, options servers.GitHTTPOptions) *servers.GitHTTP {
	ctx, cancel := within()
	defer cancel()
	server, err := servers.StartGitHTTP(ctx, of(ts).dir, options)
	ts.Check(err)
	of(ts).stops = append(of(ts).stops, server)
	ts.Setenv("GIT", server.URL)
	ts.Setenv("GIT_WITH_PASSWORD", strings.Replace(server.URL, "://", "://"+options.Username+":"+options.Password+"@", 1))
	if options.TLS {
		ca := filepath.Join(of(ts).dir, ".git-ca.pem")
		ts.Check(os.WriteFile(ca, server.CACert, 0o600))
		ts.Setenv("GIT_CA", ca)
	}
	return server
}

// gitRedirect serves repositories that another host is said to have; "lured" fails when somebody went there.
func gitRedirect(ts *testscript.TestScript, command, secret string) {
	w := of(ts)
	if command == "lured" {
		if requests := w.lure.Requests.All(); len(requests) > 0 {
			ts.Fatalf("the other host was asked: %v", requests)
		}
		return
	}
	w.lure = gitHTTP(ts, servers.GitHTTPOptions{})
	gitHTTP(ts, servers.GitHTTPOptions{TLS: true, Username: "tide", Password: secret, Redirect: func(r *http.Request) string {
		return w.lure.URL + r.URL.RequestURI()
	}})
}

// charts: SECRET DIR...
func charts(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, -1, "charts SECRET DIR...")
	files, index := map[string][]byte{}, map[string][]any{}
	for _, dir := range args[1:] {
		packed := pack(ts, dir)
		var metadata map[string]any
		ts.Check(yaml.Unmarshal([]byte(ts.ReadFile(dir+"/Chart.yaml")), &metadata))
		name := fmt.Sprintf("%s-%s.tgz", metadata["name"], metadata["version"])
		files["/"+name] = packed
		metadata["urls"], metadata["digest"] = []string{name}, fmt.Sprintf("%x", sha256.Sum256(packed))
		index[fmt.Sprint(metadata["name"])] = append(index[fmt.Sprint(metadata["name"])], metadata)
	}
	var err error
	files["/index.yaml"], err = yaml.Marshal(map[string]any{"apiVersion": "v1", "entries": index})
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user, password, _ := r.BasicAuth(); {
		case user != "tide" || password != args[0]:
			http.Error(w, "who are you?", http.StatusUnauthorized)
		case files[r.URL.Path] == nil:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(files[r.URL.Path])
		}
	}))
	of(ts).stops = append(of(ts).stops, stopper(server.Close))
	ts.Setenv("CHARTS", server.URL)
}

// stopper makes a servers.Stopper of a function.
type stopper func()

func (s stopper) Stop() error {
	s()
	return nil
}

// pack makes a chart's archive of its folder.
func pack(ts *testscript.TestScript, dir string) []byte {
	content, err := files(ts.MkAbs(dir))
	ts.Check(err)
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(content)) {
		ts.Check(archive.WriteHeader(&tar.Header{Name: filepath.Base(dir) + "/" + name, Mode: 0o644, Size: int64(len(content[name]))}))
		_, err := archive.Write(content[name])
		ts.Check(err)
	}
	ts.Check(archive.Close())
	ts.Check(zipped.Close())
	return packed.Bytes()
}

func gitSSH(ts *testscript.TestScript, passphrase string) {
	ctx, cancel := within()
	defer cancel()
	server, err := servers.StartGitSSH(ctx, of(ts).dir, servers.GitSSHOptions{Passphrase: passphrase})
	ts.Check(err)
	of(ts).stops = append(of(ts).stops, server)
	ts.Setenv("GIT", "ssh://"+server.User+"@"+server.Addr)
	ts.Setenv("GIT_KEY", server.Key)
	host, port, _ := strings.Cut(server.Addr, ":")
	ts.Setenv("GIT_HOST", "["+host+"]:"+port)
	ts.Setenv("GIT_KNOWN_HOSTS", server.KnownHosts)
}
