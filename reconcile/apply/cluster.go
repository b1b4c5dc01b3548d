package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Cluster is what carrying out a plan needs of a Kubernetes API server. Each
// method sends one request (Established more) and never retries by itself.
type Cluster interface {
	// Apply sends a server-side apply of o. Given a UID and resourceVersion,
	// the server refuses any other object or state with ErrConflict.
	Apply(ctx context.Context, o object.Object, at Target, force bool) (plan.Meta, error)
	// Delete asks for deletion of exactly the object that Target names.
	Delete(ctx context.Context, id object.ID, version string, at Target, propagation string) error
	// Metadata reads the metadata of one object.
	Metadata(ctx context.Context, id object.ID, version string) (plan.Meta, error)
	// Established waits until the CustomResourceDefinitions of these names are
	// served, and renews what is known of the server's kinds.
	Established(ctx context.Context, names []string) error
}

// Target names one state of one existing object. The zero Target is an object
// that does not exist.
type Target struct {
	UID             string
	ResourceVersion string
}

// The cases of a refused or failed request.
var (
	// ErrNotFound: the object does not exist (and its kind does).
	ErrNotFound = errors.New("not found")
	// ErrNoKind: the server does not serve the kind.
	ErrNoKind = errors.New("the server does not serve this kind")
	// ErrConflict: UID or resourceVersion are not those of the Target, or,
	// without force, another manager owns a field.
	ErrConflict = errors.New("conflict")
	// ErrRejected: the server understood and refused: invalid, forbidden,
	// denied by a webhook. Sending it again gives the same answer.
	ErrRejected = errors.New("rejected")
	// ErrUnanswered: the request was sent and may have taken effect.
	ErrUnanswered = errors.New("no answer")
)

// BusyError says that the server asks to come back later (429, 503 with
// Retry-After): the request took no effect.
type BusyError struct {
	After time.Duration
	Err   error
}

// Error gives the server's words.
func (e *BusyError) Error() string {
	return fmt.Sprintf("server busy, retry after %s: %v", e.After, e.Err)
}

// Unwrap gives the server's answer.
func (e *BusyError) Unwrap() error { return e.Err }
