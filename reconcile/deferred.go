package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// retryDeferred plans and applies what was put off because the server did not
// serve its kind, if it does now. The plan is committed before it is carried
// out, like the first. It says whether anything is still put off.
func (r *runner) retryDeferred(ctx context.Context, l *ledger, apps []*app, options apply.Options) (waiting bool, err error) {
	for _, a := range apps {
		if len(deferred(a)) > 0 {
			waiting = true
		}
	}
	if !waiting {
		return false, nil
	}
	if l.kinds, err = r.job.Cluster.Discover(ctx, true); err != nil {
		return false, fmt.Errorf("discover the server's kinds: %w", within(ctx, err))
	}
	waiting = false
	for _, a := range apps {
		ids := deferred(a)
		served := slices.DeleteFunc(slices.Clone(ids), func(id object.ID) bool {
			_, known := l.kinds.Served[id.GroupKind()]
			return !known
		})
		waiting = waiting || len(served) < len(ids)
		if len(served) > 0 {
			if err := r.again(ctx, l, a, apps, served, options); err != nil {
				return false, err
			}
		}
	}
	return waiting, nil
}

// again plans some objects of an app anew and applies them.
func (r *runner) again(ctx context.Context, l *ledger, a *app, apps []*app, ids []object.ID, options apply.Options) error {
	ids, err := a.relocate(l, ids)
	if err != nil {
		return err
	}
	var objects []object.Object
	for _, id := range ids {
		if o, ok := a.want.Get(id); ok {
			objects = append(objects, o)
		}
	}
	part := *a
	if part.want, err = object.NewSet(objects, false); err != nil {
		return err
	}
	part.owned.Members = nil
	for _, id := range ids {
		if member, ok := a.owned.Lookup(id); ok {
			part.owned = part.owned.Update(member)
		}
	}
	part.results, part.hooks = nil, nil
	i := &inspector{runner: r, ledger: l, of: &part, coming: map[string]bool{}}
	i.listed()
	i.namespaces = r.findNamespaces(ctx, []*inspector{i})
	if part.live, err = i.app(ctx); err != nil {
		return err
	}
	part.plan = plan.Make(r.input(l, &part, gather(l, apps).others(a), nil))
	// The server's objections come late here: the rest is applied already.
	a.plan.Warnings = append(a.plan.Warnings, part.plan.Invalid...)
	for _, refusal := range part.plan.Refusals {
		a.plan.Warnings = append(a.plan.Warnings, "not applied: "+refusal.Message)
	}
	if len(part.plan.Refusals) > 0 || !part.plan.Acts() {
		return nil
	}
	whole := part
	whole.owned = a.owned
	owned := widen(l, &whole)
	// Whoever takes over must know of everything that may be on its way.
	open := part.plan
	open.Changes = slices.Concat(a.plan.Changes, a.later, part.plan.Changes)
	a.later = append(a.later, part.plan.Changes...)
	commit, err := r.commitment(ctx, a.Name, open, owned)
	if err != nil {
		return err
	}
	if err := l.tenure.Commit(ctx, r.edit(l, []committed{commit})); err != nil {
		return err
	}
	a.owned = owned
	maps.Copy(a.live, part.live)
	a.results = append(a.results, r.do(ctx, l, &part, part.plan, options))
	return nil
}

// relocate puts objects into the namespace that their kind's scope demands, now
// that it is known, and gives their IDs. The old ones never existed.
func (a *app) relocate(l *ledger, ids []object.ID) ([]object.ID, error) {
	objects := slices.Clone(a.want.Objects())
	now := slices.Clone(ids)
	for i, o := range objects {
		at := slices.Index(ids, o.ID)
		if at < 0 {
			continue
		}
		if moved := a.rescope(o, l.kinds, nil); moved.ID != o.ID {
			objects[i], now[at] = mark(moved, l.label, a.Name), moved.ID
			if digest, ok := a.digests[o.ID]; ok {
				a.digests[moved.ID] = digest
			}
			if a.relocated == nil {
				a.relocated = map[object.ID]bool{}
			}
			a.relocated[o.ID] = true
		}
	}
	set, err := object.NewSet(objects, false)
	if err == nil {
		a.want = set
	}
	return now, err
}

// deferred lists the objects of an app that are put off because of their kind.
func deferred(a *app) []object.ID {
	var ids []object.ID
	for id, o := range a.outcomes() {
		if o.Verdict == apply.Deferred && (o.Change.Reason == plan.ReasonNoKind || o.Change.Reason == plan.ReasonKindComes) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, object.ID.Compare)
	return ids
}
