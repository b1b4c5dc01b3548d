package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Scanner is a Cluster that can be searched as a whole.
type Scanner interface {
	Cluster
	// Scan gives the metadata of all objects, of every kind, whose label has the
	// value (empty: any), or an error: what is missing does not exist.
	Scan(ctx context.Context, label, value string) (map[object.ID]plan.Meta, error)
}

// marked is an object of ours that a search of the cluster gave, and the app that
// its marks name.
type marked struct {
	state.Member
	app string
}

// search gives all our objects in the cluster, sorted. How each came to be ours is
// not known, so that it counts as adopted.
func (r *runner) search(ctx context.Context, cluster Scanner, label string) ([]marked, error) {
	defer r.stage("search")()
	objects, err := scan(ctx, cluster, label)
	if err != nil {
		return nil, fmt.Errorf("search the cluster: %w", err)
	}
	kinds, err := cluster.Discover(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("search the cluster: %w", err)
	}
	var found []marked
	for _, id := range slices.SortedFunc(maps.Keys(objects), object.ID.Compare) {
		meta := objects[id]
		if owner, _, _ := plan.OwnerOf(id, meta, label); owner != plan.Ours {
			continue // a copy, that others made of an object of ours
		}
		app := meta.Labels[object.LabelApp]
		if app == "" {
			r.warn(fmt.Sprintf("%s bears this ledger's marks but no app's: it is left alone", id))
			continue
		}
		found = append(found, marked{app: app, Member: state.Member{
			ID: id, Version: kinds.Served[id.GroupKind()].Versions[0], UID: meta.UID, Origin: state.Adopted,
		}})
	}
	return found, nil
}

// scan searches the cluster, and again when the server was busy or a kind came or
// went meanwhile.
func scan(ctx context.Context, cluster Scanner, label string) (map[object.ID]plan.Meta, error) {
	for attempt := 1; ; attempt++ {
		objects, err := cluster.Scan(ctx, object.LabelLedger, label)
		var busy *apply.BusyError
		pause := time.Second
		switch {
		case errors.Is(err, apply.ErrUndiscovered):
			return nil, Unreachable(err)
		case attempt == looks, !errors.As(err, &busy) && !errors.Is(err, apply.ErrNoKind):
			return objects, err
		case busy != nil:
			pause = min(max(busy.After, pause), 30*time.Second)
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}
