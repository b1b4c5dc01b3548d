package cluster

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
)

// Everything gives all objects of a scope, whole but for metadata.managedFields.
func (c *Cluster) Everything(ctx context.Context, of health.Scope) ([]map[string]any, error) {
	var objects []map[string]any
	_, err := c.show(ctx, of, func(s health.Sight) { objects = s.Objects })
	return objects, err
}

// longestLog bounds what is read of one container.
const longestLog = 256 << 10

// Log gives the last lines that a container of a pod wrote or, previous, the one
// before it that ended. Where there is none it is apply.ErrRejected.
func (c *Cluster) Log(ctx context.Context, namespace, pod, container string, previous bool, lines int) (string, error) {
	pods := resource{version: "v1", plural: "pods", namespaced: true}
	path, err := pods.path(object.ID{Kind: "Pod", Namespace: namespace, Name: pod})
	if err != nil {
		return "", err
	}
	var log strings.Builder
	err = c.receive(ctx, request{
		verb: verbGet, method: http.MethodGet, path: path + "/log", accept: "*/*",
		query:    url.Values{"container": {container}, "tailLines": {strconv.Itoa(lines)}, "previous": {strconv.FormatBool(previous)}, "limitBytes": {strconv.Itoa(longestLog)}},
		resource: pods.plural, name: pod,
	}, func(_ string, answer io.Reader) error {
		_, err := io.Copy(&log, io.LimitReader(answer, longestLog))
		return err
	})
	return log.String(), err
}
