package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Cluster is what carrying out a plan needs of a Kubernetes API server. Each
// method sends one request (Established more) and repeats no write by itself.
type Cluster interface {
	// Apply sends a server-side apply of o. Given a UID and resourceVersion,
	// the server refuses any other object or state with ErrConflict; given none,
	// it refuses any object that exists.
	Apply(ctx context.Context, o object.Object, at Target, force bool) (plan.Meta, error)
	// Delete asks for deletion of exactly the object that Target names.
	Delete(ctx context.Context, id object.ID, version string, at Target, propagation string) error
	// Migrate hands the fields that kubectl's client-side apply owns in an
	// existing object over to our own field manager, so that the next Apply can
	// drop them; the object itself stays as it is. It is needed where
	// plan.Meta.ClientSideApplied is set, sends a read and at most one write, and
	// gives the metadata, with the resourceVersion that the next Apply needs.
	Migrate(ctx context.Context, id object.ID, version string, at Target) (plan.Meta, error)
	// Touch writes the epoch into the annotation object.AnnotationRecovered of
	// exactly the state that Target names, so that every request that was made on
	// that state is refused from now on; what we own of the object stays as it is
	// (plan.Meta.Owned).
	Touch(ctx context.Context, id object.ID, version string, at Target, epoch uint64) (plan.Meta, error)
	// Metadata reads the metadata of one object.
	Metadata(ctx context.Context, id object.ID, version string) (plan.Meta, error)
	// Established waits until the CustomResourceDefinitions of these names are
	// served or the context ends, and renews what is known of the server's kinds.
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
	// ErrUndiscovered: discovery of the kind's group fails, so that nothing is
	// known of the kind.
	ErrUndiscovered = errors.New("discovery of the API group fails")
	// ErrRejected: the server understood and refused: invalid, forbidden, denied
	// by a webhook, or by one that could not be called. The object is as before.
	ErrRejected = errors.New("rejected")
	// ErrForbidden: it needs a permission that we lack, or admission (a quota, a
	// policy) denies it. It is an ErrRejected too.
	ErrForbidden = fmt.Errorf("%w: forbidden", ErrRejected)
	// ErrUnauthorized: the server does not accept our credentials.
	ErrUnauthorized = errors.New("the server does not accept the credentials")
	// ErrUnreachable: there was no connection, so that nothing was sent.
	ErrUnreachable = errors.New("cannot reach the server")
	// ErrUnanswered: the request was sent and may have taken effect.
	ErrUnanswered = errors.New("no answer")
)

// FieldConflictError is the ErrConflict of an Apply without force: other
// managers own fields that it would change.
type FieldConflictError struct {
	// Fields lists "manager: field".
	Fields []string
}

// Error names the fields and their managers.
func (e *FieldConflictError) Error() string {
	return fmt.Sprintf("%v: other managers own fields: %s", ErrConflict, strings.Join(e.Fields, ", "))
}

// Unwrap gives ErrConflict.
func (e *FieldConflictError) Unwrap() error { return ErrConflict }

// BusyError says that the server asks to come back later (429, 503,
// 500 with a time to wait): the request took no effect.
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
