package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/cmd/internal/app"
)

const (
	audience = "https://tidemark-abc123.a.run.app"
	robot    = "scheduler@acme.iam.gserviceaccount.com"
	secret   = "It's a Secret to Everybody"
)

// made gives the function in an environment with these variables and nothing else.
func made(t *testing.T, now func() time.Time, variables map[string]string) (*function, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	f, err := newFunction(t.Context(), app.Env{
		Lookup: func(name string) (string, bool) { value, ok := variables[name]; return value, ok },
		Stdout: io.Discard, Stderr: &log, Width: func() int { return 80 }, Home: t.TempDir(), User: "me", Host: "here", Now: now, Version: "v1.2.3",
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, &log
}

func call(t *testing.T, f http.Handler, method, body string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
	maps.Copy(request.Header, header)
	answer := httptest.NewRecorder()
	f.ServeHTTP(answer, request)
	return answer
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// letIn says whether a request came as far as a run, which finds nothing to do here.
func letIn(answer *httptest.ResponseRecorder) bool {
	return answer.Code == http.StatusBadRequest && strings.Contains(answer.Body.String(), "no state is given")
}

// GitHub's own example: "Hello, World!" with the secret above.
const example = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

func TestSignatures(t *testing.T) {
	if got := sign(secret, "Hello, World!"); got != example {
		t.Fatalf("the signature of GitHub's example: got %s, want %s", got, example)
	}
	const body = `{"ref":"refs/heads/main"}`
	good := sign(secret, body)
	hosts := map[string]struct {
		event, push, other, proof, prefix string
		plain                             bool
	}{
		"github":    {event: "X-Github-Event", push: "push", other: "ping", proof: "X-Hub-Signature-256", prefix: "sha256="},
		"gitea":     {event: "X-Gitea-Event", push: "push", other: "issues", proof: "X-Gitea-Signature"},
		"bitbucket": {event: "X-Event-Key", push: "repo:push", other: "diagnostics:ping", proof: "X-Hub-Signature", prefix: "sha256="},
		"gitlab":    {event: "X-Gitlab-Event", push: "Push Hook", other: "Issue Hook", proof: "X-Gitlab-Token", plain: true},
	}
	for name, host := range hosts {
		t.Run(name, func(t *testing.T) {
			f, log := made(t, time.Now, map[string]string{"TIDEMARK_" + strings.ToUpper(name) + "_WEBHOOK_SECRET": secret, "TIDEMARK_APP": "web", "TIDEMARK_REPO": "r"})
			proof := func(signature string) http.Header {
				return http.Header{host.event: {host.push}, host.proof: {host.prefix + signature}}
			}
			right := good
			if host.plain {
				right = secret
			}
			if answer := call(t, f, http.MethodPost, body, proof(right)); !letIn(answer) {
				t.Errorf("the right proof: got %d %s", answer.Code, answer.Body)
			}
			if answer := call(t, f, http.MethodPost, body, http.Header{host.event: {host.other}, host.proof: {host.prefix + right}}); answer.Code != http.StatusNoContent {
				t.Errorf("the event %s: got %d, want 204 and no run", host.other, answer.Code)
			}
			forged := map[string]http.Header{
				"another secret": proof(sign("guessed", body)), "another body": proof(sign(secret, body+" ")), "nothing": {host.event: {host.push}},
				"an empty one": proof(""), "half of it": proof(right[:len(right)/2]), "a byte more": proof(right + "00"), "the secret's digest": proof(sign(secret, "")),
				"two of them": {host.event: {host.push}, host.proof: {host.prefix + right, host.prefix + right}},
				"SHA-1":       {host.event: {host.push}, host.proof: {"sha1=" + right[:20]}},
			}
			if !host.plain {
				forged["the secret itself"] = proof(secret)
			}
			for other, h := range hosts {
				if other != name && h.event != host.event {
					forged["the proof of "+other] = http.Header{h.event: {h.push}, h.proof: {h.prefix + good}}
				}
			}
			for what, header := range forged {
				if answer := call(t, f, http.MethodPost, body, header); answer.Code != http.StatusUnauthorized || answer.Body.Len() > 0 {
					t.Errorf("%s: got %d %q, want 401 and nothing said", what, answer.Code, answer.Body)
				}
			}
			if strings.Contains(log.String(), secret) || strings.Contains(log.String(), good) {
				t.Errorf("the log has the secret, or a signature by it:\n%s", log)
			}
		})
	}
}

// issuer is who signs ID tokens, with its keys served as Google serves them.
type issuer struct {
	*httptest.Server
	key   *rsa.PrivateKey
	asked int
	now   time.Time
}

func newIssuer(t *testing.T) *issuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, now: time.Unix(1_760_000_000, 0)}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asked++
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
		}}})
	}))
	t.Cleanup(i.Close)
	return i
}

func encoded(value any) string {
	data, _ := json.Marshal(value)
	return base64.RawURLEncoding.EncodeToString(data)
}

// token makes one as Google makes them, with some of it changed.
func (i *issuer) token(t *testing.T, header, changed map[string]any) string {
	t.Helper()
	head := map[string]any{"alg": "RS256", "kid": "k1", "typ": "JWT"}
	claims := map[string]any{
		"iss": "https://accounts.google.com", "aud": audience, "azp": "1", "sub": "1", "email": robot, "email_verified": true,
		"iat": i.now.Unix(), "exp": i.now.Add(time.Hour).Unix(),
	}
	maps.Copy(head, header)
	maps.Copy(claims, changed)
	signed := encoded(head) + "." + encoded(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func (i *issuer) variables() map[string]string {
	return map[string]string{
		"TIDEMARK_HTTP_AUDIENCE": audience, "TIDEMARK_HTTP_CALLERS": "ops@acme.example, " + robot, "TIDEMARK_HTTP_KEYS": i.URL,
		"TIDEMARK_APP": "web", "TIDEMARK_REPO": "r",
	}
}

func TestTokens(t *testing.T) {
	i := newIssuer(t)
	now := i.now
	f, log := made(t, func() time.Time { return now }, i.variables())
	good := i.token(t, nil, nil)
	if answer := call(t, f, http.MethodPost, `{"apps":["web"]}`, bearer(good)); !letIn(answer) {
		t.Fatalf("a good token: got %d %s\n%s", answer.Code, answer.Body, log)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	thief := &issuer{key: other, now: i.now}
	parts := strings.Split(good, ".")
	mac := sign(string(i.key.N.Bytes()), encoded(map[string]string{"alg": "HS256", "kid": "k1"})+"."+parts[1])
	for what, token := range map[string]string{
		"another audience":       i.token(t, nil, map[string]any{"aud": "https://elsewhere.example"}),
		"several audiences":      i.token(t, nil, map[string]any{"aud": []string{audience}}),
		"another issuer":         i.token(t, nil, map[string]any{"iss": "https://accounts.google.com.evil.example"}),
		"an expired one":         i.token(t, nil, map[string]any{"exp": i.now.Add(-2 * time.Minute).Unix()}),
		"one that never expires": i.token(t, nil, map[string]any{"exp": 0}),
		"one from the future":    i.token(t, nil, map[string]any{"iat": i.now.Add(2 * time.Minute).Unix()}),
		"somebody else's":        i.token(t, nil, map[string]any{"email": "mallory@evil.iam.gserviceaccount.com"}),
		"an unverified address":  i.token(t, nil, map[string]any{"email_verified": false}),
		"no address":             i.token(t, nil, map[string]any{"email": ""}),
		"another key":            thief.token(t, nil, nil),
		"an unknown key":         thief.token(t, map[string]any{"kid": "k2"}, nil),
		"no algorithm":           encoded(map[string]string{"alg": "none", "kid": "k1"}) + "." + parts[1] + ".",
		"the key as a password":  encoded(map[string]string{"alg": "HS256", "kid": "k1"}) + "." + parts[1] + "." + mac,
		"no signature":           parts[0] + "." + parts[1] + ".",
		"changed claims":         parts[0] + "." + encoded(map[string]any{"aud": audience, "email": "ops@acme.example"}) + "." + parts[2],
		"a heavy one":            good + strings.Repeat("A", longestToken),
		"words":                  "let me in",
		"nothing":                "",
	} {
		if answer := call(t, f, http.MethodPost, "{}", bearer(token)); answer.Code != http.StatusUnauthorized || answer.Body.Len() > 0 {
			t.Errorf("%s: got %d %q, want 401 and nothing said", what, answer.Code, answer.Body)
		}
	}
	if strings.Contains(log.String(), parts[2]) {
		t.Error("the log has a token's signature")
	}
	if i.asked != 1 {
		t.Errorf("the keys were fetched %d times, want once: forged tokens must not cost others requests", i.asked)
	}
	now = now.Add(2 * time.Hour)
	i.now = now
	if answer := call(t, f, http.MethodPost, "{}", bearer(i.token(t, nil, nil))); !letIn(answer) || i.asked != 2 {
		t.Errorf("two hours later: got %d, keys fetched %d times, want them fetched again", answer.Code, i.asked)
	}
}

func TestRefused(t *testing.T) {
	i := newIssuer(t)
	f, _ := made(t, func() time.Time { return i.now }, i.variables())
	good := bearer(i.token(t, nil, nil))
	for what, test := range map[string]struct {
		method, body string
		header       http.Header
		want         int
	}{
		"no proof":           {http.MethodPost, "{}", nil, http.StatusUnauthorized},
		"basic auth":         {http.MethodPost, "{}", http.Header{"Authorization": {"Basic Z2l0OmdpdA=="}}, http.StatusUnauthorized},
		"an unknown host":    {http.MethodPost, "{}", http.Header{"X-Github-Event": {"push"}}, http.StatusUnauthorized},
		"another method":     {http.MethodGet, "", good, http.StatusMethodNotAllowed},
		"an order with more": {http.MethodPost, `{"apps":["web"],"prune":true}`, good, http.StatusBadRequest},
		"another app":        {http.MethodPost, `{"apps":["db"]}`, good, http.StatusBadRequest},
		"too much":           {http.MethodPost, `{"apps":["` + strings.Repeat("x", largestOrder) + `"]}`, good, http.StatusRequestEntityTooLarge},
	} {
		if answer := call(t, f, test.method, test.body, test.header); answer.Code != test.want || letIn(answer) {
			t.Errorf("%s: got %d %s, want %d", what, answer.Code, answer.Body, test.want)
		}
	}
}

func TestNobodyMayCall(t *testing.T) {
	for _, variables := range []map[string]string{nil, {"TIDEMARK_HTTP_AUDIENCE": audience}, {"TIDEMARK_HTTP_CALLERS": robot}} {
		_, err := newFunction(t.Context(), app.Env{Lookup: func(name string) (string, bool) { value, ok := variables[name]; return value, ok }, Now: time.Now})
		if err == nil {
			t.Errorf("%v: the function serves, and nobody, or anybody, may call it", variables)
		}
	}
}

// One runs, one waits; a third need not, unless it asks for something else.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		first, err := turns.take(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		began := make(chan func())
		go func() {
			second, err := turns.take(t.Context(), true)
			if err != nil {
				t.Error(err)
			}
			began <- second
		}()
		synctest.Wait()
		if _, err := turns.take(t.Context(), true); err != errWaits { //nolint:errorlint // It is returned as it is.
			t.Errorf("a third whole run: got %v, want %v", err, errWaits)
		}
		if _, err := turns.take(t.Context(), false); err != errBusy { //nolint:errorlint // It is returned as it is.
			t.Errorf("an order for some apps: got %v, want %v", err, errBusy)
		}
		select {
		case <-began:
			t.Error("two runs go on at once")
		default:
		}
		first()
		(<-began)()
		ended, cancel := context.WithCancel(t.Context())
		hold, _ := turns.take(ended, true)
		cancel()
		if _, err := turns.take(ended, true); err == nil {
			t.Error("a run got its turn after the end, and beside another")
		}
		hold()
	})
}

func TestStatus(t *testing.T) {
	for exit, want := range map[int][2]int{0: {200, 200}, 1: {400, 400}, 10: {500, 200}, 11: {500, 200}, 12: {500, 200}, 13: {500, 200}, 14: {503, 503}, 15: {503, 503}, 16: {503, 503}} {
		if got := [2]int{statusOf(exit, false), statusOf(exit, true)}; got != want {
			t.Errorf("exit code %d: got the statuses %v, want %v (at once, and for who sends again)", exit, got, want)
		}
	}
}
