package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Metadata reads the metadata of one object. apply.ErrNotFound is proof of its
// absence: the server named the object, and serves its kind.
func (c *Cluster) Metadata(ctx context.Context, id object.ID, version string) (plan.Meta, error) {
	resource, err := c.asked(ctx, id.GroupKind(), version)
	if err != nil {
		return plan.Meta{}, err
	}
	body, err := c.get(ctx, resource, id, metadataOnly)
	if err != nil {
		return plan.Meta{}, err
	}
	return decodeMeta(body)
}

// Read gives one whole object, its integers as int64 and all other numbers as
// float64. A version that is no longer served gives way to the preferred one.
func (c *Cluster) Read(ctx context.Context, id object.ID, version string) (map[string]any, plan.Meta, error) {
	resource, err := c.asked(ctx, id.GroupKind(), version)
	if err != nil {
		return nil, plan.Meta{}, err
	}
	body, err := c.get(ctx, resource, id, wholeJSON)
	if err != nil {
		return nil, plan.Meta{}, err
	}
	meta, err := decodeMeta(body)
	if err != nil {
		return nil, plan.Meta{}, err
	}
	content, err := decodeContent(body)
	if err != nil {
		return nil, plan.Meta{}, err
	}
	return content, meta, nil
}

// Identity gives the UID of the namespace kube-system, which names the cluster
// for life. It needs the permission to get that namespace.
func (c *Cluster) Identity(ctx context.Context) (string, error) {
	namespace := resource{version: "v1", plural: "namespaces"}
	body, err := c.get(ctx, namespace, object.ID{Kind: "Namespace", Name: "kube-system"}, metadataJSON)
	if err != nil {
		return "", fmt.Errorf("read namespace kube-system: %w", err)
	}
	meta, err := decodeMeta(body)
	if err != nil {
		return "", fmt.Errorf("read namespace kube-system: %w", err)
	}
	return meta.UID, nil
}

// SecretData gives the values of a Secret, for credentials. They must stay in
// memory.
func (c *Cluster) SecretData(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	secrets := resource{version: "v1", plural: "secrets", namespaced: true}
	body, err := c.get(ctx, secrets, object.ID{Kind: "Secret", Namespace: namespace, Name: name}, wholeJSON)
	if err != nil {
		return nil, err
	}
	var secret struct {
		Data map[string][]byte `json:"data"`
	}
	if err := json.Unmarshal(body, &secret); err != nil {
		// The decoder's own words may repeat what it read.
		return nil, fmt.Errorf("%w: the answer is not a Secret", apply.ErrUnanswered)
	}
	return secret.Data, nil
}

func (c *Cluster) get(ctx context.Context, resource resource, id object.ID, accept string) ([]byte, error) {
	path, err := resource.path(id)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, request{
		verb: verbGet, method: http.MethodGet, path: path, accept: accept,
		resource: resource.plural, name: id.Name, discreet: isSecret(id),
	})
}

// decodeContent gives an object's manifest with int64 and float64 numbers.
func decodeContent(body []byte) (map[string]any, error) {
	var content map[string]any
	if err := utiljson.Unmarshal(body, &content); err != nil {
		return nil, fmt.Errorf("%w: the answer is not an object", apply.ErrUnanswered)
	}
	return content, nil
}
