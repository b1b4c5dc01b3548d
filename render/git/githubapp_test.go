package git_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/tests/servers"
)

// verify checks an assertion as GitHub's documentation says GitHub does.
func verify(assertion string, key *rsa.PublicKey, now time.Time) error {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%d parts", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return err
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], decoded[2]); err != nil {
		return err
	}
	var header struct{ Alg, Typ string }
	var claims struct {
		Iss      string
		Iat, Exp int64
	}
	if err := json.Unmarshal(decoded[0], &header); err != nil {
		return err
	}
	if err := json.Unmarshal(decoded[1], &claims); err != nil {
		return err
	}
	if header.Alg != "RS256" || header.Typ != "JWT" || claims.Iss != "1234" {
		return fmt.Errorf("header %+v, claims %+v", header, claims)
	}
	if claims.Iat > now.Unix()-60 || claims.Exp <= now.Unix() || claims.Exp > now.Add(10*time.Minute).Unix() {
		return fmt.Errorf("claims %+v at %d", claims, now.Unix())
	}
	return nil
}

func TestGitHubApp(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	repo := newRepo(t)
	server := serveHTTP(t, repo, servers.GitHTTPOptions{Username: "x-access-token", Password: "ghs_s3cret"}, servers.Serving{})
	asked := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		assertion, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if err := verify(assertion, &key.PublicKey, now); err != nil {
			t.Error(err)
		}
		switch r.Method + " " + r.URL.Path {
		case "POST /api/v3/app/installations/77/access_tokens":
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"token": "ghs_s3cret", "expires_at": "2026-05-01T13:00:00Z"}`)
		case "POST /api/v3/app/installations/78/access_tokens":
			w.WriteHeader(http.StatusCreated)
		case "POST /api/v3/app/installations/79/access_tokens":
			http.Redirect(w, r, sink(t).URL, http.StatusTemporaryRedirect)
		default:
			http.Error(w, "s3cret", http.StatusNotFound)
		}
	}))
	defer api.Close()
	options := func(installation string, key []byte) git.Options {
		return git.Options{
			URL: server.URL + "/app.git", Now: func() time.Time { return now },
			Auth: git.Auth{GitHubApp: &git.GitHubApp{ID: "1234", InstallationID: installation, PrivateKey: key, BaseURL: api.URL + "/api/v3/"}},
		}
	}
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	for _, encoded := range [][]byte{pkcs1, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})} {
		asked = 0
		remote := newRemote(t, options("77", encoded))
		mustPull(t, remote, "main")
		if asked != 1 || remote.Cost().Requests != 3 {
			t.Errorf("got %d tokens, %d requests; want 1 and 3", asked, remote.Cost().Requests)
		}
	}
	for installation, is := range map[string]error{"78": git.ErrCorrupt, "79": git.ErrRedirect, "80": git.ErrNotFound} {
		_, err := pull(t, newRemote(t, options(installation, pkcs1)), "main")
		wantError(t, err, is, "get a token for the GitHub App", "!s3cret")
	}
	_, err = git.NewRemote(options("77", []byte("s3cret")))
	wantError(t, err, git.ErrInvalid, "private key", "!s3cret")
	withoutClock := options("77", pkcs1)
	withoutClock.Now = nil
	_, err = git.NewRemote(withoutClock)
	wantError(t, err, git.ErrInvalid, "Options.Now")
}
