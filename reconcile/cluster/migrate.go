package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Migrate hands the fields that kubectl's client-side apply owns over to our
// field manager; nothing else of the object changes. An object that has moved
// on from Target is an apply.ErrConflict. Where there is nothing to hand over,
// nothing is written.
func (c *Cluster) Migrate(ctx context.Context, id object.ID, version string, at apply.Target) (plan.Meta, error) {
	resource, err := c.readable(ctx, id.GroupKind(), version)
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
	switch {
	case at.UID != "" && at.UID != meta.UID:
		return plan.Meta{}, fmt.Errorf("%w: it is another object by now", apply.ErrConflict)
	case at.ResourceVersion != "" && at.ResourceVersion != meta.ResourceVersion:
		return plan.Meta{}, fmt.Errorf("%w: it has changed meanwhile", apply.ErrConflict)
	case !meta.ClientSideApplied:
		return meta, nil
	}
	patch, err := migration(body)
	if err != nil {
		return plan.Meta{}, fmt.Errorf("migrate from client-side apply: %w", err)
	}
	path, err := resource.path(id)
	if err != nil {
		return plan.Meta{}, err
	}
	body, err = c.send(ctx, request{
		verb: verbPatch, method: http.MethodPatch, path: path, accept: metadataJSON,
		query:       url.Values{"fieldManager": {FieldManager}},
		contentType: jsonPatch, body: patch,
		resource: resource.plural, name: id.Name, discreet: isSecret(id),
	})
	if err != nil {
		return plan.Meta{}, err
	}
	return decodeMeta(body)
}

// migration gives the JSON patch of the managed fields, which holds for the very
// object and state that was read.
func migration(body []byte) ([]byte, error) {
	var p partial
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, err
	}
	managers := sets.New[string]()
	for _, entry := range p.Metadata.ManagedFields {
		if entry.clientSide() {
			managers.Insert(entry.Manager)
		}
	}
	var live metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &live); err != nil {
		return nil, err
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(&live, managers, FieldManager)
	if err != nil {
		return nil, err
	}
	// The patch holds the resourceVersion already; by "replace" rather than
	// "test", so that the server answers a conflict with 409. The UID likewise.
	var operations []json.RawMessage
	if err := json.Unmarshal(patch, &operations); err != nil {
		return nil, err
	}
	uid, err := json.Marshal(map[string]any{"op": "replace", "path": "/metadata/uid", "value": live.UID})
	if err != nil {
		return nil, err
	}
	return json.Marshal(append(operations, uid))
}
