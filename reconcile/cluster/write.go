package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

const (
	applyPatch = "application/apply-patch+yaml"
	jsonPatch  = "application/json-patch+json"
	mergePatch = "application/merge-patch+json"
	jsonBody   = "application/json"
)

// noState is a resourceVersion that no object has: the first of a new server. An
// apply that carries it makes an object which is absent, and is a conflict where
// there is one.
const noState = "1"

// Apply sends a server-side apply of o. The server refuses any other object or
// state than that of the Target with apply.ErrConflict, and so it does an object
// that exists where there is no Target. Without force a field of another manager
// that would change is an apply.FieldConflictError.
func (c *Cluster) Apply(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.Meta, error) {
	if at == (apply.Target{}) {
		at.ResourceVersion = noState
	}
	r, err := c.applying(ctx, o, at, force)
	if err != nil {
		return plan.Meta{}, err
	}
	r.verb, r.accept = verbApply, metadataOnly
	body, err := c.send(ctx, r)
	if err != nil {
		// A 404 here is not about the object, which would have been made.
		if errors.Is(err, apply.ErrNotFound) {
			err = fmt.Errorf("%w: the server does not find what it is to apply", apply.ErrRejected)
		}
		return plan.Meta{}, err
	}
	return decodeMeta(body)
}

// applying gives the request that applies o, but for verb and accept.
func (c *Cluster) applying(ctx context.Context, o object.Object, at apply.Target, force bool) (request, error) {
	resource, err := c.resource(ctx, o.ID.GroupKind(), o.Version)
	if err != nil {
		return request{}, err
	}
	if resource.fixed {
		return request{}, fmt.Errorf("%w: %s cannot be applied: the server keeps no such objects", apply.ErrRejected, o.ID.GroupKind())
	}
	path, err := resource.path(o.ID)
	if err != nil {
		return request{}, err
	}
	body, err := json.Marshal(fenced(o, at))
	if err != nil {
		return request{}, fmt.Errorf("encode %s: %w", o.ID, err)
	}
	return request{
		method:      http.MethodPatch,
		path:        path,
		query:       url.Values{"fieldManager": {FieldManager}, "force": {strconv.FormatBool(force)}},
		contentType: applyPatch,
		body:        body,
		resource:    resource.plural,
		name:        o.ID.Name,
		discreet:    o.IsSecret(),
	}, nil
}

// fenced gives the manifest with the Target's UID and resourceVersion in its
// metadata.
func fenced(o object.Object, at apply.Target) map[string]any {
	content := o.Content()
	if at == (apply.Target{}) {
		return content
	}
	metadata, _ := content["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	if at.UID != "" {
		metadata["uid"] = at.UID
	}
	if at.ResourceVersion != "" {
		metadata["resourceVersion"] = at.ResourceVersion
	}
	content = maps.Clone(content)
	content["metadata"] = metadata
	return content
}

// Delete asks for the deletion of exactly the object that Target names, which
// needs a UID; without a resourceVersion any state of it will do. Propagation is
// background (also when empty), foreground or orphan. That it answers does not
// say that the object is gone: finalizers may hold it.
func (c *Cluster) Delete(ctx context.Context, id object.ID, version string, at apply.Target, propagation string) error {
	if at.UID == "" {
		return fmt.Errorf("delete %s: no UID is given", id)
	}
	resource, err := c.readable(ctx, id.GroupKind(), version)
	if err != nil {
		return err
	}
	path, err := resource.path(id)
	if err != nil {
		return err
	}
	policy, err := policyOf(propagation)
	if err != nil {
		return fmt.Errorf("delete %s: %w", id, err)
	}
	preconditions := map[string]string{"uid": at.UID}
	if at.ResourceVersion != "" {
		preconditions["resourceVersion"] = at.ResourceVersion
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "DeleteOptions",
		"preconditions": preconditions, "propagationPolicy": policy,
	})
	if err != nil {
		return fmt.Errorf("encode delete options: %w", err)
	}
	_, err = c.send(ctx, request{
		verb: verbDelete, method: http.MethodDelete, path: path, accept: metadataJSON,
		contentType: jsonBody, body: body,
		resource: resource.plural, name: id.Name, discreet: isSecret(id),
	})
	return err
}

// policyOf gives Kubernetes' word for a propagation.
func policyOf(propagation string) (metav1.DeletionPropagation, error) {
	switch propagation {
	case "", "background":
		return metav1.DeletePropagationBackground, nil
	case "foreground":
		return metav1.DeletePropagationForeground, nil
	case "orphan":
		return metav1.DeletePropagationOrphan, nil
	}
	return "", fmt.Errorf("propagation %q is not background, foreground or orphan", propagation)
}

func isSecret(id object.ID) bool { return id.Group == "" && id.Kind == "Secret" }
