package reconcile

import (
	"context"
	"errors"
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

// presence tells of every desired and owned object whether it exists. What the
// lists by our label lack may exist without our label.
func (i *inspector) presence(ctx context.Context, a *app) plan.Live {
	live := plan.Live{}
	missing := map[place][]object.ID{}
	for _, id := range wanted(a) {
		meta, listed := i.ledger.lists.objects[id]
		switch {
		case listed:
			seen := present(meta)
			member, _ := a.owned.Lookup(id)
			// A dead run may have applied anything to a member in doubt, and the
			// server's note of our fields tells the time by the second.
			seen.Certain = !member.InDoubt() && i.ledger.certain(a.Name, id, meta, true)
			live[id] = seen
		default:
			missing[place{id.GroupKind(), id.Namespace}] = append(missing[place{id.GroupKind(), id.Namespace}], id)
		}
	}
	i.findNamespaces(ctx, missing)
	var mu sync.Mutex
	note := func(id object.ID, seen plan.Observed) {
		mu.Lock()
		defer mu.Unlock()
		live[id] = seen
	}
	var single []object.ID
	var crowded []place
	for at, ids := range missing {
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
			if meta, exists := found[id]; exists {
				seen = present(meta)
			}
			note(id, seen)
		}
	})
	each(i.runner, single, func(id object.ID) { note(id, i.one(ctx, id)) })
	return live
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
	case at.namespace != "" && i.namespaces.absent(at.namespace):
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

// namespaces tells of the namespaces that were asked for whether they exist. It is
// safe for concurrent use.
type namespaces struct {
	// asking holds one while the server is asked, so that no two apps ask for one.
	asking chan struct{}
	mu     sync.Mutex
	exist  map[string]bool
}

func newNamespaces() *namespaces {
	return &namespaces{asking: make(chan struct{}, 1), exist: map[string]bool{}}
}

// absent says whether a namespace is known not to exist: nothing is in it.
func (n *namespaces) absent(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	exists, known := n.exist[name]
	return known && !exists
}

func (n *namespaces) note(name string, exists bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.exist[name] = exists
}

// findNamespaces learns which namespaces of missing objects are absent.
func (i *inspector) findNamespaces(ctx context.Context, missing map[place][]object.ID) {
	n := i.namespaces
	n.asking <- struct{}{}
	defer func() { <-n.asking }()
	var unknown []object.ID
	for at := range missing {
		if _, known := n.exist[at.namespace]; at.namespace != "" && !known {
			n.note(at.namespace, true)
			unknown = append(unknown, object.ID{Kind: "Namespace", Name: at.namespace})
		}
	}
	each(i.runner, unknown, func(id object.ID) {
		if seen := i.one(ctx, id); seen.State == plan.Absent {
			n.note(id.Name, false)
		}
	})
}
