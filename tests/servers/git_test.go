package servers_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/servers"
)

func TestGitHTTP(t *testing.T) {
	g := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{})
	r := newRepo(t)
	first := commit(t, r, map[string]string{"a.yaml": "a: 1\n"})
	second := commit(t, r, map[string]string{"a.yaml": "a: 2\n"})
	publish(t, r, filepath.Join(g.Root, "open.git"), servers.Serving{AnySHA1: true, Filter: true})
	publish(t, r, filepath.Join(g.Root, "team", "default.git"), servers.Serving{})

	if got := git(t, r, "ls-remote", g.URL+"/open.git", "refs/heads/main"); !strings.HasPrefix(got, second) {
		t.Errorf("got %q, want main at %s", got, second)
	}
	if g.Requests.Count(http.MethodGet, "/open.git/info/refs") != 1 {
		t.Errorf("got %+v, want one GET of info/refs", g.Requests.All())
	}

	fetch := func(repo string, args ...string) error {
		// Protocol 2 lets anybody fetch any commit; the permission is one of protocol 0.
		args = append([]string{"-c", "protocol.version=0", "fetch", "--quiet", "--depth=1", g.URL + repo}, args...)
		into := newRepo(t)
		_, err := into.Git(t.Context(), args...)
		return err
	}
	if err := fetch("/open.git", first); err != nil {
		t.Errorf("fetch a commit where any is allowed: %v", err)
	}
	if err := fetch("/team/default.git", first); err == nil {
		t.Error("fetched a commit that no ref names where that is not allowed")
	}
	if err := fetch("/team/default.git", "main"); err != nil {
		t.Error(err)
	}
	g.Requests.Reset()
	if n := len(g.Requests.All()); n != 0 {
		t.Errorf("got %d requests after Reset", n)
	}
}

func TestGitHTTPAsksWhoYouAre(t *testing.T) {
	g := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{Username: "ada", Password: "s3cret", BearerToken: "t0ken", TLS: true})
	r := newRepo(t)
	hash := commit(t, r, map[string]string{"a.yaml": "a: 1\n"})
	publish(t, r, filepath.Join(g.Root, "app.git"), servers.Serving{})
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, g.CACert, 0o600); err != nil {
		t.Fatal(err)
	}
	basic := func(login string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(login)) }
	for _, test := range []struct {
		name, authorization, ca string
		ok                      bool
	}{
		{"basic", basic("ada:s3cret"), ca, true},
		{"bearer", "Bearer t0ken", ca, true},
		{"wrong password", basic("ada:wrong"), ca, false},
		{"wrong token", "Bearer wrong", ca, false},
		{"nothing", "", ca, false},
		{"unknown authority", "Bearer t0ken", os.DevNull, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := r.Git(t.Context(), "-c", "http.sslCAInfo="+test.ca, "-c", "http.extraHeader=Authorization: "+test.authorization,
				"ls-remote", g.URL+"/app.git", "refs/heads/main")
			if ok := err == nil && strings.HasPrefix(out, hash); ok != test.ok {
				t.Errorf("got %q, %v; want success: %v", out, err, test.ok)
			}
		})
	}
	log := g.Requests.All()
	if len(log) == 0 || log[0].Header.Get("Authorization") != basic("ada:s3cret") || log[0].Status != http.StatusOK {
		t.Errorf("got %+v, want the credentials that were sent and the status", log)
	}
}

func TestGitHTTPRedirects(t *testing.T) {
	end := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{})
	start := servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{Redirect: func(r *http.Request) string {
		return strings.Replace(end.URL, "127.0.0.1", "localhost", 1) + r.URL.RequestURI()
	}})
	r := newRepo(t)
	hash := commit(t, r, map[string]string{"a.yaml": "a: 1\n"})
	publish(t, r, filepath.Join(end.Root, "app.git"), servers.Serving{})
	out := git(t, r, "ls-remote", start.URL+"/app.git", "refs/heads/main")
	if !strings.HasPrefix(out, hash) || end.Requests.Count(http.MethodGet, "/app.git/info/refs") != 1 || !strings.HasPrefix(end.Requests.All()[0].Host, "localhost:") {
		t.Errorf("got %q by %+v", out, end.Requests.All())
	}
}

func TestGitSSH(t *testing.T) {
	g := servers.For(t, servers.StartGitSSH, servers.GitSSHOptions{})
	r := newRepo(t)
	hash := commit(t, r, map[string]string{"a.yaml": "a: 1\n"})
	publish(t, r, filepath.Join(g.Root, "team", "app.git"), servers.Serving{})
	ssh := func(knownHosts string) string {
		return fmt.Sprintf("core.sshCommand=ssh -F none -i '%s' -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile='%s'", g.Key, knownHosts)
	}
	if out := git(t, r, "-c", ssh(g.KnownHosts), "ls-remote", g.URL("team/app.git"), "refs/heads/main"); !strings.HasPrefix(out, hash) {
		t.Errorf("got %q, want main at %s", out, hash)
	}
	if out, err := r.Git(t.Context(), "-c", ssh(os.DevNull), "ls-remote", g.URL("team/app.git")); err == nil {
		t.Errorf("got %q from a host that is not known", out)
	}
	if out, err := r.Git(t.Context(), "-c", ssh(g.KnownHosts), "push", g.URL("team/app.git"), "HEAD:refs/heads/pushed"); err == nil {
		t.Errorf("got %q: pushed", out)
	}
	host, port, _ := strings.Cut(g.Addr, ":")
	out, err := exec.CommandContext(t.Context(), "ssh", "-F", "none", "-i", g.Key, "-o", "BatchMode=yes", "-o", "UserKnownHostsFile="+g.KnownHosts,
		"-p", port, g.User+"@"+host, "git-upload-pack '/../git/team/app.git'; id").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "only git-upload-pack is served here") {
		t.Errorf("got %q, %v; want a refusal", out, err)
	}
}

func TestGitSSHKeyWithPassphrase(t *testing.T) {
	g := servers.For(t, servers.StartGitSSH, servers.GitSSHOptions{Passphrase: "open sesame"})
	for passphrase, ok := range map[string]bool{"open sesame": true, "wrong": false} {
		if err := exec.CommandContext(t.Context(), "ssh-keygen", "-y", "-P", passphrase, "-f", g.Key).Run(); (err == nil) != ok {
			t.Errorf("passphrase %q: got %v, want success: %v", passphrase, err, ok)
		}
	}
}
