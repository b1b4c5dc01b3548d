package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tidemark.dev/tidemark/reconcile/apply"
)

// Review asks the server whether we have a permission; it changes nothing. A kind
// that is not served is an apply.ErrNoKind.
//
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
func (c *Cluster) Review(ctx context.Context, p apply.Permission) (granted bool, err error) {
	resource, err := c.resource(ctx, p.Kind, "")
	if err != nil {
		return false, err
	}
	body, err := json.Marshal(authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: p.Verb, Group: resource.group, Version: resource.version, Resource: resource.plural, Subresource: p.Subresource, Namespace: p.Namespace, Name: p.Name,
		}},
	})
	if err != nil {
		return false, fmt.Errorf("encode the review: %w", err)
	}
	body, err = c.send(ctx, request{
		verb: verbReview, method: http.MethodPost, path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
		contentType: jsonBody, body: body,
	})
	if err != nil {
		return false, fmt.Errorf("ask for the permission to %s: %w", p, err)
	}
	var review authorizationv1.SelfSubjectAccessReview
	if err := json.Unmarshal(body, &review); err != nil || review.Kind != "SelfSubjectAccessReview" {
		return false, fmt.Errorf("%w: ask for the permission to %s: the answer is no review", apply.ErrUnanswered, p)
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}
