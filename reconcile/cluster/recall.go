package cluster

import (
	"context"
	"maps"
	"slices"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Recall tells what an earlier run learned of these kinds (Discover), so that
// List, Metadata and Read of them need no discovery, while everything else still
// does. The server is asked all the same by the first Discover, whose answer takes
// the place of all that was recalled; after that Recall does nothing. It may have
// been long ago: a recalled kind that is no longer served where it was is
// apply.ErrNoKind, whereupon the caller must Discover and ask again.
func (c *Cluster) Recall(kinds map[object.GroupKind]plan.Kind) {
	c.discovering.Lock()
	defer c.discovering.Unlock()
	if c.known == nil {
		c.recalled = maps.Clone(kinds)
	}
}

// asked is readable for questions, which need no discovery where the kind is
// recalled.
func (c *Cluster) asked(ctx context.Context, kind object.GroupKind, version string) (resource, error) {
	if r, ok := c.recall(kind, version); ok {
		return r, nil
	}
	return c.readable(ctx, kind, version)
}

func (c *Cluster) recall(kind object.GroupKind, version string) (resource, bool) {
	c.discovering.Lock()
	defer c.discovering.Unlock()
	known, ok := c.recalled[kind]
	if !ok || c.known != nil || len(known.Versions) == 0 {
		return resource{}, false
	}
	if !slices.Contains(known.Versions, version) {
		version = known.Versions[0]
	}
	// It was stored in between; what would lead elsewhere counts for nothing.
	if segment(known.Resource) != nil || segment(version) != nil {
		return resource{}, false
	}
	return resource{group: kind.Group, version: version, plural: known.Resource, namespaced: known.Namespaced, fixed: known.Fixed}, true
}
