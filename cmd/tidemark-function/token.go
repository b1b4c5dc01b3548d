package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// googleKeys are the keys that sign for Google's service accounts.
	googleKeys = "https://www.googleapis.com/oauth2/v3/certs"
	// leeway is how far the clocks may be apart.
	leeway = time.Minute
	// keysLast is how long keys are taken as they are; keysPause is the least time
	// between two looks for one that is not known, so that forged tokens cost nobody
	// a request each.
	keysLast, keysPause = time.Hour, time.Minute
	// longestToken is more than Google makes them.
	longestToken = 8 << 10
)

// tokens lets in who shows an ID token of Google's: Cloud Scheduler, Pub/Sub,
// people. Anybody can have a token for any audience, so that who it was made for
// must be one of the callers. It is safe for concurrent use.
type tokens struct {
	audience string
	callers  []string
	keysURL  string
	client   *http.Client
	now      func() time.Time

	mu      sync.Mutex
	keys    map[string]*rsa.PublicKey
	asked   time.Time
	renewed time.Time
}

// claims are those of an ID token that count.
type claims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
	Expires  int64  `json:"exp"`
	Issued   int64  `json:"iat"`
}

// check gives whom the token was made for. The error is for our log, not for who
// asks.
func (t *tokens) check(ctx context.Context, token string) (email string, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > longestToken {
		return "", errors.New("it is no JSON web token")
	}
	var header struct {
		Algorithm string `json:"alg"`
		Key       string `json:"kid"`
	}
	var c claims
	if err := errors.Join(part(parts[0], &header), part(parts[1], &c)); err != nil {
		return "", err
	}
	if header.Algorithm != "RS256" {
		return "", fmt.Errorf("it is signed by %.20q, not by RS256", header.Algorithm)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", errors.New("its signature is not base64")
	}
	key, err := t.key(ctx, header.Key)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) != nil {
		return "", errors.New("its signature is wrong")
	}
	now := t.now()
	switch {
	case c.Issuer != "https://accounts.google.com" && c.Issuer != "accounts.google.com":
		return "", fmt.Errorf("its issuer is %q, not Google", c.Issuer)
	case c.Audience != t.audience:
		return "", fmt.Errorf("its audience is %q, not %q", c.Audience, t.audience)
	case now.After(time.Unix(c.Expires, 0).Add(leeway)):
		return "", errors.New("it has expired")
	case now.Before(time.Unix(c.Issued, 0).Add(-leeway)):
		return "", errors.New("it was issued in the future")
	case !c.Verified || !slices.Contains(t.callers, c.Email):
		return "", fmt.Errorf("%q is not one of those who may call", c.Email)
	}
	return c.Email, nil
}

func part(text string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errors.New("it is not base64")
	}
	if json.Unmarshal(data, into) != nil {
		return errors.New("it is not JSON")
	}
	return nil
}

// key gives a key by its name, and looks anew when they are old or it is not known.
func (t *tokens) key(ctx context.Context, name string) (*rsa.PublicKey, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	key := t.keys[name]
	if (key == nil || now.Sub(t.renewed) > keysLast) && (t.asked.IsZero() || now.Sub(t.asked) > keysPause) {
		t.asked = now
		keys, err := t.fetch(ctx)
		if err != nil {
			return nil, fmt.Errorf("fetch the keys: %w", err)
		}
		t.keys, t.renewed, key = keys, now, keys[name]
	}
	if key == nil {
		return nil, errors.New("its key is not known")
	}
	return key, nil
}

func (t *tokens) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.keysURL, nil)
	if err != nil {
		return nil, err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	var set struct {
		Keys []struct {
			Kind string `json:"kty"`
			Name string `json:"kid"`
			N, E string
		}
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		n, badN := base64.RawURLEncoding.DecodeString(k.N)
		e, badE := base64.RawURLEncoding.DecodeString(k.E)
		if k.Kind != "RSA" || badN != nil || badE != nil || len(e) == 0 || len(e) > 4 {
			continue
		}
		keys[k.Name] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	return keys, nil
}
