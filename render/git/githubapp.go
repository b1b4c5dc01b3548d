package git

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The life of the assertion that is exchanged for a token. GitHub allows ten
// minutes at most and advises to date it a minute back, for clocks that differ:
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
const (
	assertionSkew = time.Minute
	assertionLife = 9 * time.Minute
)

const maxTokenAnswer = 64 << 10

// appTokens exchanges an app's key for a token that opens repositories.
type appTokens struct {
	app GitHubApp
	key *rsa.PrivateKey
	url string
	now func() time.Time
}

func newAppTokens(app GitHubApp, now func() time.Time) (*appTokens, error) {
	if now == nil {
		return nil, invalid("GitHub App: Options.Now is missing")
	}
	key, err := parseRSAKey(app.PrivateKey)
	if err != nil {
		return nil, invalid("GitHub App: private key: %w", err)
	}
	base := app.BaseURL
	if base == "" {
		base = "https://api.github.com"
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, invalid("GitHub App: the base URL is not an https URL")
	}
	return &appTokens{
		app: app, key: key, now: now,
		url: strings.TrimRight(u.String(), "/") + "/app/installations/" + url.PathEscape(app.InstallationID) + "/access_tokens",
	}, nil
}

func parseRSAKey(data []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("is neither PKCS #1 nor PKCS #8")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("is not an RSA key")
	}
	return key, nil
}

// assertion makes the signed statement "I am this app": a JSON Web Token with
// RS256 (RFC 7519, RFC 7518 §3.3).
func (t *appTokens) assertion() (string, error) {
	now := t.now()
	claims, err := json.Marshal(map[string]any{
		"iat": now.Add(-assertionSkew).Unix(),
		"exp": now.Add(assertionLife).Unix(),
		"iss": t.app.ID,
	})
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, t.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return signed + "." + encode(signature), nil
}

// token asks for one. It lives for an hour, which is longer than a run.
func (t *appTokens) token(ctx context.Context, client *http.Client) (string, error) {
	assertion, err := t.assertion()
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+assertion)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("User-Agent", userAgent)
	res, err := client.Do(req)
	if err != nil {
		return "", transportError(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusCreated {
		return "", statusError(res.StatusCode, true)
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxTokenAnswer)).Decode(&answer); err != nil || answer.Token == "" {
		return "", corrupt("the answer holds no token")
	}
	return answer.Token, nil
}
