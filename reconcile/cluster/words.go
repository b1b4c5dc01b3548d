package cluster

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// longest is how much of a server's message is shown, in characters.
const longest = 1500

// words gives what the server said, for people: one line, without what the
// reader knows (the object) or cannot use (the server's internals).
func (r request) words(code int, status metav1.Status) string {
	if status.Kind == "" {
		// No Kubernetes said this; what did may have repeated the request.
		return strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", code, http.StatusText(code)))
	}
	if r.discreet {
		return discreet(status)
	}
	message := clean(status.Message)
	if _, reason, found := strings.Cut(message, fmt.Sprintf("%q is invalid: ", status.Details.Name)); found {
		message = reason
	}
	message = strings.TrimPrefix(message, "Internal error occurred: ")
	message = untyped.ReplaceAllString(message, "")
	if inner, several := strings.CutPrefix(message, "["); several && strings.HasSuffix(inner, "]") {
		message = strings.TrimSuffix(inner, "]")
	}
	if message == "" {
		message = strings.TrimSpace(fmt.Sprintf("%s (HTTP status %d)", status.Reason, code))
	}
	return message
}

// untyped is how server-side apply begins when an object does not fit its kind's
// schema, which is the author's mistake and yet a 500 without a reason, as a
// time-out of the storage is: "failed to create typed patch object (shop/web;
// apps/v1, Kind=Deployment): .spec.x: field not declared in schema".
var untyped = regexp.MustCompile(`^failed to [a-z ]+ \([^;()]*; [^,()]*, Kind=[A-Za-z0-9]+\)[a-z ]*: (unable to convert unstructured object to [^ ]+, Kind=[A-Za-z0-9]+: )?`)

// harmless is the part of such a message that repeats no value.
var harmless = regexp.MustCompile(`\.[A-Za-z0-9_.-]+: (expected [a-z]+|field not declared in schema)|illegal base64 data`)

// denied is what the API server itself writes before a webhook's own words.
var denied = regexp.MustCompile(`^admission webhook "[A-Za-z0-9.-]+" (denied the request|does not support dry run)`)

// discreet gives what can be told about a refused Secret. The message may repeat
// its values (validation does, and webhooks may), so that only what cannot is
// taken from it: the reason, the fields that it is about, who is to blame.
func discreet(status metav1.Status) string {
	message := clean(status.Message)
	if blame := denied.FindString(message); blame != "" {
		return blame + " (its words are withheld: they may repeat the Secret's values)"
	}
	for _, prefix := range []string{
		fmt.Sprintf("secrets %q is forbidden: User ", status.Details.Name),
		"secrets is forbidden: User ",
	} {
		// Permissions are checked before anybody looks at the object.
		if strings.HasPrefix(message, prefix) {
			return message
		}
	}
	reason := string(status.Reason)
	if untyped.MatchString(message) {
		reason = harmless.FindString(untyped.ReplaceAllString(message, ""))
	}
	if reason == "" {
		reason = "refused"
	}
	var causes []string
	for _, cause := range status.Details.Causes {
		if cause.Field == "" {
			continue
		}
		causes = append(causes, clean(fmt.Sprintf("%s (%s)", cause.Field, cause.Type)))
	}
	if len(causes) > 0 {
		reason += ": " + strings.Join(causes, ", ")
	}
	return reason + " (the server's words are withheld: they may repeat the Secret's values)"
}

// clean makes one line of a text that others wrote, harmless on a terminal and
// of bounded length.
func clean(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + " …"
	}
	return text
}
