package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Release takes our marks off exactly the object and state that Target names:
// the labels, the annotations, and the server's note that fields of it are ours.
// Everything else of the object stays as it is. An object that has moved on from
// Target is an apply.ErrConflict. One that bears none of our marks is not written.
func (c *Cluster) Release(ctx context.Context, id object.ID, version string, at apply.Target) (plan.Meta, error) {
	if at.UID == "" || at.ResourceVersion == "" {
		return plan.Meta{}, fmt.Errorf("release %s: UID and resourceVersion are needed", id)
	}
	resource, err := c.readable(ctx, id.GroupKind(), version)
	if err != nil {
		return plan.Meta{}, err
	}
	path, err := resource.path(id)
	if err != nil {
		return plan.Meta{}, err
	}
	body, err := c.get(ctx, resource, id, metadataJSON)
	if err != nil {
		return plan.Meta{}, err
	}
	meta, err := decodeMeta(body)
	if err != nil {
		return plan.Meta{}, err
	}
	if at.UID != meta.UID || at.ResourceVersion != meta.ResourceVersion {
		return plan.Meta{}, fmt.Errorf("%w: it has changed meanwhile", apply.ErrConflict)
	}
	patch, err := unmarking(body)
	if err != nil {
		return plan.Meta{}, fmt.Errorf("release %s: %w", id, err)
	}
	if patch == nil {
		return meta, nil
	}
	body, err = c.send(ctx, request{
		verb: verbPatch, method: http.MethodPatch, path: path, accept: metadataJSON,
		query:       url.Values{"fieldManager": {FieldManager}},
		contentType: mergePatch, body: patch,
		resource: resource.plural, name: id.Name, discreet: isSecret(id),
	})
	if err != nil {
		return plan.Meta{}, err
	}
	return decodeMeta(body)
}

// unmarking gives the merge patch that takes our marks off, which holds for the
// very object and state that was read; nil when there are none.
func unmarking(body []byte) ([]byte, error) {
	var live metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &live); err != nil {
		return nil, err
	}
	metadata := map[string]any{}
	without(metadata, "labels", live.Labels, object.LabelLedger, object.LabelApp)
	without(metadata, "annotations", live.Annotations, object.AnnotationID, object.AnnotationRecovered)
	disown(metadata, live.ManagedFields)
	if len(metadata) == 0 {
		return nil, nil
	}
	metadata["uid"], metadata["resourceVersion"] = live.UID, live.ResourceVersion
	return json.Marshal(map[string]any{"metadata": metadata})
}

// without takes keys out of a field of metadata, and the field itself when
// nothing would be left in it.
func without(patch map[string]any, field string, values map[string]string, keys ...string) {
	removed := map[string]any{}
	for _, key := range keys {
		if _, has := values[key]; has {
			removed[key] = nil
		}
	}
	switch len(removed) {
	case 0:
	case len(values):
		patch[field] = nil
	default:
		patch[field] = removed
	}
}

// disown takes our entries off the server's note of who owns which field. The
// fields stay: nobody, or nobody but others, owns them then.
func disown(patch map[string]any, entries []metav1.ManagedFieldsEntry) {
	left := slices.DeleteFunc(slices.Clone(entries), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == FieldManager || e.Manager == recoverer
	})
	switch len(left) {
	case len(entries):
		return
	case 0:
		// The server ignores an empty list, and takes one empty entry for it.
		// https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
		left = []metav1.ManagedFieldsEntry{{}}
	}
	patch["managedFields"] = left
}
