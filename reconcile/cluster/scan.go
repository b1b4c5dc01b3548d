package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// scanWidth is how many lists are read at once.
const scanWidth = 16

// Scan gives the metadata of all objects in the cluster that carry a label with
// that value (empty: with any), of every kind that can be applied. It looks up
// anew what the server serves. Unless all of it could be listed it is an error:
// what is missing from a scan does not exist.
func (c *Cluster) Scan(ctx context.Context, label, value string) (map[object.ID]plan.Meta, error) {
	kinds, err := c.Discover(ctx, true)
	if err != nil {
		return nil, err
	}
	if len(kinds.Failing) > 0 {
		var failing []string
		for _, group := range slices.Sorted(maps.Keys(kinds.Failing)) {
			failing = append(failing, fmt.Sprintf("%s (%s)", group, kinds.Failing[group]))
		}
		return nil, fmt.Errorf("%w: %s", apply.ErrUndiscovered, strings.Join(failing, ", "))
	}
	found := map[object.ID]plan.Meta{}
	failed := map[object.GroupKind]error{}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(scanWidth)
	for gk, kind := range kinds.Served {
		if kind.Fixed {
			continue
		}
		group.Go(func() error {
			objects, err := c.listWhole(ctx, gk, label, value)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[gk] = err
				return nil
			}
			maps.Copy(found, objects)
			return nil
		})
	}
	_ = group.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := unlisted(failed); err != nil {
		return nil, err
	}
	return found, nil
}

// listWhole lists a kind in all namespaces, and reads everything of its objects.
func (c *Cluster) listWhole(ctx context.Context, kind object.GroupKind, label, value string) (map[object.ID]plan.Meta, error) {
	objects, err := c.List(ctx, kind, "", label, value)
	if err != nil {
		return nil, err
	}
	whole := make(map[object.ID]plan.Meta, len(objects))
	for id, listed := range objects {
		if whole[id], err = listed.Meta(); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", apply.ErrUnanswered, id, err)
		}
	}
	return whole, nil
}

// unlisted says which kinds could not be listed, and why the first could not.
func unlisted(failed map[object.GroupKind]error) error {
	kinds := slices.SortedFunc(maps.Keys(failed), object.GroupKind.Compare)
	if len(kinds) == 0 {
		return nil
	}
	const most = 5
	var names []string
	for _, gk := range kinds[:min(most, len(kinds))] {
		names = append(names, gk.String())
	}
	if more := len(kinds) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more kinds", more))
	}
	return fmt.Errorf("list %s: %w", strings.Join(names, ", "), failed[kinds[0]])
}
