package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// recoverer is the field manager of what Touch writes, so that the note of what
// we applied stays as it is.
const recoverer = FieldManager + "-recovery"

// Touch writes an annotation with the epoch into exactly the object and state
// that Target names, which moves its resourceVersion: a request that was made on
// the old one is refused whenever it arrives.
func (c *Cluster) Touch(ctx context.Context, id object.ID, version string, at apply.Target, epoch uint64) (plan.Meta, error) {
	if at.UID == "" || at.ResourceVersion == "" {
		return plan.Meta{}, fmt.Errorf("touch %s: UID and resourceVersion are needed", id)
	}
	resource, err := c.readable(ctx, id.GroupKind(), version)
	if err != nil {
		return plan.Meta{}, err
	}
	path, err := resource.path(id)
	if err != nil {
		return plan.Meta{}, err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": at.UID, "resourceVersion": at.ResourceVersion,
		"annotations": map[string]string{object.AnnotationRecovered: strconv.FormatUint(epoch, 10)},
	}})
	if err != nil {
		return plan.Meta{}, fmt.Errorf("encode patch: %w", err)
	}
	body, err := c.send(ctx, request{
		verb: verbPatch, method: http.MethodPatch, path: path, accept: metadataJSON,
		query:       url.Values{"fieldManager": {recoverer}},
		contentType: mergePatch, body: patch,
		resource: resource.plural, name: id.Name, discreet: isSecret(id),
	})
	if err != nil {
		return plan.Meta{}, err
	}
	return decodeMeta(body)
}
