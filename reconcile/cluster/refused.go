package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"tidemark.dev/tidemark/reconcile/apply"
)

// errGone: the token for the next page of a list is too old.
var errGone = errors.New("the list changed too much while it was read")

// busyFor is how long to wait when a busy server does not say.
const busyFor = time.Second

// refused gives the case of package apply that an answer other than 2xx is.
//
// The line between BusyError and ErrUnanswered is whether Kubernetes itself
// says that it did nothing: a 502, 503 or 504 of a proxy on the way, or a time-out
// of the storage, leaves it open whether a write took effect.
func (r request) refused(code int, header http.Header, body []byte) error {
	status := statusIn(body)
	if status.Details == nil {
		status.Details = &metav1.StatusDetails{}
	}
	words := r.words(code, status)
	as := func(sentinel error) error { return fmt.Errorf("%w: %s", sentinel, words) }

	wait, asked := retryAfter(header, status)
	switch {
	case code == http.StatusTooManyRequests,
		code == http.StatusServiceUnavailable && (asked || status.Kind != ""),
		code == http.StatusInternalServerError && asked:
		return &apply.BusyError{After: wait, Err: errors.New(words)}
	case code == http.StatusUnauthorized:
		return apply.ErrUnauthorized
	case code == http.StatusForbidden:
		return as(apply.ErrForbidden)
	case code == http.StatusNotFound:
		return r.missing(status, words)
	case code == http.StatusConflict:
		if fields := conflicts(status); len(fields) > 0 {
			return &apply.FieldConflictError{Fields: fields}
		}
		return as(apply.ErrConflict)
	case code == http.StatusUnprocessableEntity && changesUID(status):
		return as(apply.ErrConflict)
	case len(immutable(code, status)) > 0:
		return &immutableError{words: words, fields: immutable(code, status)}
	case unasked(code, status):
		return &admissionError{words: words}
	case code == http.StatusGone:
		return errGone
	case code == http.StatusInternalServerError && (status.Reason == metav1.StatusReasonInternalError || untyped.MatchString(status.Message)),
		code < http.StatusInternalServerError:
		return as(apply.ErrRejected)
	default:
		return as(apply.ErrUnanswered)
	}
}

// statusIn gives the server's explanation, in the encoding in which it came; an
// empty one when there is none.
func statusIn(body []byte) metav1.Status {
	var status metav1.Status
	if message, ok := bytes.CutPrefix(body, []byte(protobufMagic)); ok {
		var envelope runtime.Unknown
		if envelope.Unmarshal(message) != nil || status.Unmarshal(envelope.Raw) != nil {
			return metav1.Status{}
		}
		status.Kind = envelope.Kind
	} else if json.Unmarshal(body, &status) != nil {
		return metav1.Status{}
	}
	if status.Kind != "Status" {
		return metav1.Status{}
	}
	return status
}

// missing tells the three things apart that a 404 can mean. Only one that names
// the object itself proves its absence.
func (r request) missing(status metav1.Status, words string) error {
	switch {
	case status.Reason != metav1.StatusReasonNotFound:
		return fmt.Errorf("%w: %s", apply.ErrNoKind, words)
	case r.name != "" && status.Details.Name == r.name && (status.Details.Kind == r.resource || status.Details.Kind != "namespaces"):
		return apply.ErrNotFound
	case status.Details.Kind == "namespaces" && status.Details.Name != "":
		return &noNamespaceError{namespace: status.Details.Name}
	default:
		return fmt.Errorf("%w: %s", apply.ErrNoKind, words)
	}
}

// noNamespaceError is the rejection of an object whose namespace is not there.
type noNamespaceError struct{ namespace string }

// Error names the namespace.
func (e *noNamespaceError) Error() string {
	return fmt.Sprintf("%v: there is no namespace %q", apply.ErrRejected, e.namespace)
}

// Unwrap gives the case.
func (e *noNamespaceError) Unwrap() error { return apply.ErrRejected }

// retryAfter gives how long the server wants us to wait, and whether it said so.
func retryAfter(header http.Header, status metav1.Status) (time.Duration, bool) {
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if seconds := status.Details.RetryAfterSeconds; seconds > 0 {
		return time.Duration(seconds) * time.Second, true
	}
	return busyFor, header.Get("Retry-After") != ""
}

// conflicts lists the fields that other managers own, as "manager: field".
func conflicts(status metav1.Status) []string {
	var fields []string
	for _, cause := range status.Details.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		// conflict with "kubectl" [with subresource "scale"] using v1 [at TIME]
		manager := cause.Message
		if _, rest, found := strings.Cut(manager, `conflict with "`); found {
			manager, _, _ = strings.Cut(rest, `"`)
		}
		fields = append(fields, clean(manager)+": "+clean(cause.Field))
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// changesUID: the object exists and has another UID than the one that we sent.
func changesUID(status metav1.Status) bool {
	return slices.ContainsFunc(status.Details.Causes, func(cause metav1.StatusCause) bool {
		return cause.Field == "metadata.uid"
	})
}
