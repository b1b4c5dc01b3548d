package git_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"tidemark.dev/tidemark/render/git"
)

// anyHost is a way into every ssh server, as far as NewRemote looks.
func anyHost(t testing.TB) git.Auth {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return git.Auth{SSHKey: pem.EncodeToMemory(block), KnownHosts: []byte("* " + string(ssh.MarshalAuthorizedKey(key)))}
}

func TestURL(t *testing.T) {
	here, err := filepath.Abs(".")
	must(t, err)
	auth := anyHost(t)
	for raw, want := range map[string]string{
		"https://Example.com/org/repo.git":        "https://example.com/org/repo.git",
		"https://example.com:443/org/repo.git/":   "https://example.com/org/repo.git",
		"https://example.com:8443/r%20x":          "https://example.com:8443/r%20x",
		"https://user:pa%40ss@example.com/r":      "https://example.com/r",
		"https://token@example.com/r":             "https://example.com/r",
		"http://[::1]:8080/r":                     "http://[::1]:8080/r",
		"ssh://example.com/r":                     "ssh://git@example.com/r",
		"ssh://me@example.com:2222/r x":           "ssh://me@example.com:2222/r%20x",
		"ssh://me@example.com/~you/r":             "ssh://me@example.com/~you/r",
		"git@example.com:org/repo.git":            "git@example.com:org/repo.git",
		"example.com:org/repo.git":                "git@example.com:org/repo.git",
		"git@example.com:/srv/repo.git":           "ssh://git@example.com/srv/repo.git",
		"git@[::1]:repo":                          "git@[::1]:repo",
		"file:///srv/repo":                        "file:///srv/repo",
		"/srv/a:b":                                "file:///srv/a:b",
		"./a:b":                                   "file://" + here + "/a:b",
		"sub/../repo":                             "file://" + here + "/repo",
		"https://example.com/repo/with/@/in/it":   "https://example.com/repo/with/@/in/it",
		"https://a%3Ab:c@example.com:1/p%2Fq.git": "",
	} {
		remote, err := git.NewRemote(git.Options{URL: raw, Auth: auth})
		if want == "" {
			wantError(t, err, git.ErrInvalid)
			continue
		}
		if err != nil || remote.URL() != want {
			t.Errorf("%s: got %v, %v; want %s", raw, remote, err, want)
			continue
		}
		again, err := git.NewRemote(git.Options{URL: remote.URL(), Auth: auth})
		if err != nil || again.URL() != want {
			t.Errorf("%s: prints as %s, which reads as %v, %v", raw, want, again, err)
		}
	}
}

func TestURLRefused(t *testing.T) {
	for raw, word := range map[string]string{
		"": "empty", "git://example.com/r": "git://", "ftp://s3cret@example.com/r": "ftp://", "https://example.com": "path", "https:///r": "host",
		"https://example.com/r?token=s3cret": "query", "https://example.com/r#s3cret": "fragment", "https://u:s3cret%@example.com/r": "percent",
		"file://example.com/r": "three slashes", "ssh://u:s3cret@example.com/r": "key", "git@-oProxyCommand=x:r": "host", "git@example.com:-x": "begin",
		"ssh://-oProxyCommand=x/r": "host", "ssh://-l@example.com/r": "user", "ext::sh -c s3cret": "begin", "git@example.com:": "path",
		"https://example.com:0/r": "port", "https://exa mple.com/s3cret": "", "a\x00b": "control", "ssh://example.com/a%0ab": "control", "u:s3cret@example.com:r": "user",
	} {
		_, err := git.NewRemote(git.Options{URL: raw, Auth: anyHost(t)})
		if err == nil {
			t.Errorf("%q: got no error", raw)
			continue
		}
		wantError(t, err, git.ErrInvalid, word, "!s3cret")
	}
}

func FuzzURL(f *testing.F) {
	for _, seed := range []string{"https://u:p@h/r", "git@h:r", "ssh://h:22/~u/r", "file:///x", "a/b:c", "[::1]:x", "h:[::1]:x", "https://[::1%25e]/r"} {
		f.Add(seed)
	}
	auth := anyHost(f)
	f.Fuzz(func(t *testing.T, raw string) {
		// The password is one that occurs nowhere else.
		raw = strings.Replace(raw, ":p@", ":s3cret@", 1)
		remote, err := git.NewRemote(git.Options{URL: raw, Auth: auth})
		if err != nil {
			if strings.Contains(err.Error(), ":s3cret@") {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		again, err := git.NewRemote(git.Options{URL: remote.URL(), Auth: auth})
		if err != nil || again.URL() != remote.URL() {
			t.Errorf("%q prints as %q, which reads as %v, %v", raw, remote.URL(), again, err)
		}
	})
}
