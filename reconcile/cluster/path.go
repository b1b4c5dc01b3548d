package cluster

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
)

// resource gives where the objects of a kind are found. An empty version is the
// preferred one.
func (c *Cluster) resource(ctx context.Context, kind object.GroupKind, version string) (resource, error) {
	k, err := c.discover(ctx, false)
	if err != nil {
		return resource{}, err
	}
	if reason, failing := k.kinds.Failing[kind.Group]; failing {
		return resource{}, fmt.Errorf("%w: %s", apply.ErrUndiscovered, reason)
	}
	served, ok := k.kinds.Served[kind]
	if !ok {
		return resource{}, fmt.Errorf("%w: %s", apply.ErrNoKind, kind)
	}
	if version == "" {
		version = served.Versions[0]
	}
	r, ok := k.paths[kind][version]
	if !ok {
		return resource{}, fmt.Errorf("%w in version %s: %s (it serves %s)", apply.ErrNoKind, version, kind, strings.Join(served.Versions, ", "))
	}
	return r, nil
}

// readable is resource for what does not depend on the version: an object's
// metadata, its deletion. A version that is no longer served gives way to the
// preferred one.
func (c *Cluster) readable(ctx context.Context, kind object.GroupKind, version string) (resource, error) {
	k, err := c.discover(ctx, false)
	if err != nil {
		return resource{}, err
	}
	if _, ok := k.paths[kind][version]; !ok {
		version = ""
	}
	return c.resource(ctx, kind, version)
}

// collection gives the path of the kind's objects, in one namespace or, with an
// empty one, in all.
func (r resource) collection(namespace string) (string, error) {
	path := "/api/"
	if r.group != "" {
		path = "/apis/" + url.PathEscape(r.group) + "/"
	}
	path += url.PathEscape(r.version)
	if r.namespaced && namespace != "" {
		if err := segment(namespace); err != nil {
			return "", err
		}
		path += "/namespaces/" + url.PathEscape(namespace)
	}
	return path + "/" + url.PathEscape(r.plural), nil
}

// path gives the path of one object. What would lead elsewhere is refused, since
// names come from repositories.
func (r resource) path(id object.ID) (string, error) {
	if r.namespaced && id.Namespace == "" {
		return "", fmt.Errorf("%w: %s is namespaced and has no namespace", apply.ErrRejected, id)
	}
	collection, err := r.collection(id.Namespace)
	if err != nil {
		return "", err
	}
	if err := segment(id.Name); err != nil {
		return "", err
	}
	return collection + "/" + url.PathEscape(id.Name), nil
}

func segment(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/%") {
		return fmt.Errorf("%w: %q cannot be the name of an object", apply.ErrRejected, name)
	}
	return nil
}
