package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"

	"tidemark.dev/tidemark/cmd/internal/app"
)

// webhook is a git host that calls when somebody pushed.
type webhook struct {
	// name of the host, as a record has it.
	name string
	// event is the header that names what happened, and starts are the beginnings of
	// those names that are about a ref. Others are taken, and nothing is done.
	event  string
	starts []string
	// shows says whether the request bears the proof of one who knows the secret.
	shows func(secret string, header http.Header, body []byte) bool
	// secret is what the host and we know.
	secret string
}

// webhooks gives the hosts whose secrets the environment has: the variable
// TIDEMARK_GITHUB_WEBHOOK_SECRET and so on. Gitea and Forgejo show GitHub's headers
// beside their own, so that they stand before it.
func webhooks(env app.Env) []webhook {
	var known []webhook
	for _, hook := range []webhook{
		{name: "gitea", event: "X-Gitea-Event", starts: []string{"push", "create", "delete"}, shows: signed("X-Gitea-Signature", "")},
		{name: "github", event: "X-GitHub-Event", starts: []string{"push", "create", "delete"}, shows: signed("X-Hub-Signature-256", "sha256=")},
		{name: "gitlab", event: "X-Gitlab-Event", starts: []string{"Push Hook", "Tag Push Hook", "System Hook"}, shows: told("X-Gitlab-Token")},
		{name: "bitbucket", event: "X-Event-Key", starts: []string{"repo:push", "repo:refs_changed"}, shows: signed("X-Hub-Signature", "sha256=")},
	} {
		hook.secret = env.Get("TIDEMARK_" + strings.ToUpper(hook.name) + "_WEBHOOK_SECRET")
		if hook.secret != "" {
			known = append(known, hook)
		}
	}
	return known
}

// signed: the header has the HMAC-SHA256 of the body, in hexadecimal digits.
func signed(header, prefix string) func(string, http.Header, []byte) bool {
	return func(secret string, h http.Header, body []byte) bool {
		digits, ok := strings.CutPrefix(h.Get(header), prefix)
		shown, err := hex.DecodeString(digits)
		if !ok || err != nil || len(h.Values(header)) != 1 {
			return false
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		return hmac.Equal(shown, mac.Sum(nil))
	}
}

// told: the header has the secret itself.
func told(header string) func(string, http.Header, []byte) bool {
	return func(secret string, h http.Header, _ []byte) bool {
		// Of equal length, so that the time tells not even that.
		want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(h.Get(header)))
		return len(h.Values(header)) == 1 && subtle.ConstantTimeCompare(want[:], got[:]) == 1
	}
}

// tells says whether the webhook speaks of a ref.
func (w webhook) tells(h http.Header) bool {
	for _, start := range w.starts {
		if strings.HasPrefix(h.Get(w.event), start) {
			return true
		}
	}
	return false
}
