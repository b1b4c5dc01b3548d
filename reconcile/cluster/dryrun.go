package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// DryRun asks the server what applying o would give; nothing is changed. What
// the server says against the object is in the answer. An error means that it
// did not answer, does not accept the credentials, is busy, or (ErrConflict) that
// the object is no longer in the state that Target names. Without a Target there
// is nothing to compare with, so that the answer lacks the content.
func (c *Cluster) DryRun(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.DryRun, error) {
	r, err := c.applying(ctx, o, at, force)
	switch {
	case errors.Is(err, apply.ErrNoKind), errors.Is(err, apply.ErrUndiscovered):
		return plan.DryRun{NotValidated: err.Error()}, nil
	case errors.Is(err, apply.ErrRejected):
		return plan.DryRun{Rejected: bare(err)}, nil
	case err != nil:
		return plan.DryRun{}, err
	}
	r.verb = verbDryRun
	r.query.Set("dryRun", metav1.DryRunAll)
	create := at == (apply.Target{})
	if create {
		r.accept = metadataOnly
	}
	body, err := c.send(ctx, r)
	if err != nil {
		return refusal(err)
	}
	if create {
		_, err := decodeMeta(body)
		return plan.DryRun{}, err
	}
	content, err := decodeContent(body)
	if err != nil {
		return plan.DryRun{}, err
	}
	return plan.DryRun{Content: content}, nil
}

// refusal sorts what the server had against a dry run.
func refusal(err error) (plan.DryRun, error) {
	var fields *apply.FieldConflictError
	var namespace *noNamespaceError
	var admission *admissionError
	var fixed *immutableError
	switch {
	case errors.As(err, &fixed):
		return plan.DryRun{Rejected: bare(err), Immutable: fixed.fields}, nil
	case errors.As(err, &fields):
		return plan.DryRun{Conflicts: fields.Fields}, nil
	case errors.As(err, &namespace):
		return plan.DryRun{NotValidated: fmt.Sprintf("there is no namespace %q yet", namespace.namespace)}, nil
	case errors.As(err, &admission):
		return plan.DryRun{NotValidated: admission.words}, nil
	case errors.Is(err, apply.ErrNoKind), errors.Is(err, apply.ErrNotFound):
		return plan.DryRun{NotValidated: err.Error()}, nil
	case errors.Is(err, apply.ErrRejected):
		return plan.DryRun{Rejected: bare(err)}, nil
	default:
		return plan.DryRun{}, err
	}
}

// bare gives the server's reason without the name of the case.
func bare(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), apply.ErrForbidden.Error()+": "), apply.ErrRejected.Error()+": ")
}

// admissionError is the rejection of an object because a webhook could not be
// asked: it cannot do dry runs, or could not be called.
type admissionError struct{ words string }

// Error gives the server's words.
func (e *admissionError) Error() string { return apply.ErrRejected.Error() + ": " + e.words }

// Unwrap gives the case.
func (e *admissionError) Unwrap() error { return apply.ErrRejected }

// unasked says whether a rejection is an admissionError. The API server tells
// both only by its words (and the code): BadRequest `admission webhook "x" does
// not support dry run`, InternalError `failed calling webhook "x": …`.
func unasked(code int, status metav1.Status) bool {
	switch code {
	case http.StatusBadRequest:
		return strings.Contains(status.Message, "admission webhook") && strings.Contains(status.Message, "does not support dry run")
	case http.StatusInternalServerError:
		return status.Reason == metav1.StatusReasonInternalError && strings.Contains(status.Message, "failed calling webhook")
	default:
		return false
	}
}
