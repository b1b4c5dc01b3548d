package cluster

import (
	"net/http"
	"regexp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tidemark.dev/tidemark/reconcile/apply"
)

// immutableError is the rejection of a change because of nothing but fields that
// can be set when an object is made, and never again.
type immutableError struct {
	words  string
	fields []string
}

// Error gives the server's words.
func (e *immutableError) Error() string { return apply.ErrRejected.Error() + ": " + e.words }

// Unwrap gives the case.
func (e *immutableError) Unwrap() error { return apply.ErrRejected }

// unchangeable are the words by which the API server, and definitions' own
// rules, say that a field cannot be changed; no code tells it.
var unchangeable = regexp.MustCompile(`(?i)immutable|may not (be )?changed?\b|cannot (be )?changed?\b|can't be changed|updates to .* (is|are) forbidden`)

// immutable lists the fields that the server does not let change, when it has
// nothing else against the object.
func immutable(code int, status metav1.Status) []string {
	if code != http.StatusUnprocessableEntity || status.Details == nil {
		return nil
	}
	var fields []string
	for _, cause := range status.Details.Causes {
		if !unchangeable.MatchString(cause.Message) {
			return nil
		}
		fields = append(fields, clean(cause.Field))
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}
