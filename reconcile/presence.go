package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// few is how many objects of one kind and namespace are asked for one by one;
// more are asked for by one LIST.
const few = 4

// place is one kind in one namespace.
type place struct {
	kind      object.GroupKind
	namespace string
}

// listed notes what the lists by our label tell of every desired and owned object,
// and which objects they lack: those may exist without our label.
func (i *inspector) listed() {
	i.live, i.missing = plan.Live{}, map[place][]object.ID{}
	for _, id := range wanted(i.of) {
		found, listed := i.ledger.lists.get(id)
		if !listed {
			at := place{id.GroupKind(), id.Namespace}
			i.missing[at] = append(i.missing[at], id)
			continue
		}
		meta, err := found.Meta()
		if err != nil {
			i.failure = fmt.Errorf("read %s of a list: %w", id, err)
			return
		}
		seen := present(meta)
		member, _ := i.of.owned.Lookup(id)
		// A dead run may have applied anything to a member in doubt, and the
		// server's note of our fields tells the time by the second.
		// While its app was away, nobody looked at what it holds.
		back := i.of.left == plan.NotLeft && i.of.prior.Left || i.of.reverted != nil
		before, known := i.ledger.lookup(i.of.Name, id)
		seen.Certain = known && !member.InDoubt() && !back && certain(i.of.Name, before, found, true)
		i.live[id] = seen
	}
}

// presence tells of every missing object whether it exists.
func (i *inspector) presence(ctx context.Context) {
	live, missing := i.live, i.missing
	var mu sync.Mutex
	note := func(id object.ID, seen plan.Observed) {
		mu.Lock()
		defer mu.Unlock()
		live[id] = seen
	}
	var single []object.ID
	var crowded []place
	for at, ids := range missing {
		if err := i.namespaces.unknown[at.namespace]; err != nil {
			i.failure = err
			return
		}
		unknown, proven := i.provable(at)
		switch {
		case proven:
			for _, id := range ids {
				note(id, unknown)
			}
		case len(ids) > few:
			crowded = append(crowded, at)
		default:
			single = append(single, ids...)
		}
	}
	each(i.runner, crowded, func(at place) {
		found, err := i.job.Cluster.List(ctx, at.kind, at.namespace, "", "")
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			single = append(single, missing[at]...)
			return
		}
		for _, id := range missing[at] {
			seen := plan.Observed{State: plan.Absent}
			if listed, exists := found[id]; exists {
				meta, err := listed.Meta()
				if err != nil {
					seen = plan.Observed{State: plan.Unknown, Why: err.Error()}
				} else {
					seen = present(meta)
				}
			}
			note(id, seen)
		}
	})
	each(i.runner, single, func(id object.ID) { note(id, i.one(ctx, id)) })
}

// provable gives what is known of all objects of a kind in a namespace without
// asking for any.
func (i *inspector) provable(at place) (plan.Observed, bool) {
	if why, failing := i.ledger.kinds.Failing[at.kind.Group]; failing {
		return plan.Observed{State: plan.Unknown, Why: "discovery of the API group fails: " + why}, true
	}
	kind, served := i.ledger.kinds.Served[at.kind]
	switch {
	case !served:
		return plan.Observed{State: plan.Unknown, NoKind: true}, true
	case kind.Fixed:
		return plan.Observed{State: plan.Unknown, Why: "objects of this kind cannot be listed and patched"}, true
	case kind.Namespaced != (at.namespace != ""):
		return plan.Observed{State: plan.Absent}, true // no object of the kind can be there
	case at.namespace != "" && i.namespaces.absent[at.namespace]:
		return plan.Observed{State: plan.Absent}, true
	}
	return plan.Observed{}, false
}

// one asks for one object.
func (i *inspector) one(ctx context.Context, id object.ID) plan.Observed {
	meta, err := i.job.Cluster.Metadata(ctx, id, "")
	switch {
	case err == nil:
		return present(meta)
	case errors.Is(err, apply.ErrNotFound):
		return plan.Observed{State: plan.Absent}
	case errors.Is(err, apply.ErrNoKind):
		return plan.Observed{State: plan.Unknown, NoKind: true}
	}
	return i.unknown(ctx, err)
}

// namespaces tells of the namespaces of missing objects whether they exist: nothing
// is in one that does not.
type namespaces struct {
	absent map[string]bool
	// unknown holds those about which the server did not answer.
	unknown map[string]error
}

// findNamespaces asks for every namespace in which an object is missing.
func (r *runner) findNamespaces(ctx context.Context, inspectors []*inspector) namespaces {
	n := namespaces{absent: map[string]bool{}, unknown: map[string]error{}}
	if r.job.Offline {
		return n // a ledger does not know what else there is
	}
	names := map[string]bool{}
	for _, i := range inspectors {
		for at := range i.missing {
			names[at.namespace] = at.namespace != ""
		}
	}
	var mu sync.Mutex
	each(r, slices.Sorted(maps.Keys(names)), func(name string) {
		if !names[name] {
			return
		}
		_, err := r.job.Cluster.Metadata(ctx, object.ID{Kind: "Namespace", Name: name}, "")
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, apply.ErrNotFound):
			n.absent[name] = true
		case unanswered(within(ctx, err)):
			n.unknown[name] = within(ctx, err)
		}
	})
	return n
}
