package reconcile

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// A run in which nothing moved needs neither the inventories nor what the server
// serves: the last observation repeats what it must know of both. Whatever moves
// is looked up before anything is decided about it, so that no app's plan is ever
// made of what was recalled of it.

// held gives the members of the app's inventory, as far as they are known of an
// app of which nothing moved.
func (a *app) held() iter.Seq[state.Seen] {
	return func(yield func(state.Seen) bool) {
		if a.recalled != nil {
			for _, s := range a.recalled.Members {
				if !yield(s) {
					return
				}
			}
			return
		}
		for _, m := range a.owned.Members {
			if !yield(state.Seen{ID: m.ID, Origin: m.Origin, Kept: m.Kept}) {
				return
			}
		}
	}
}

// holds gives the member with an ID, like held.
func (a *app) holds(id object.ID) (state.Seen, bool) {
	if a.recalled != nil {
		return a.recalled.Lookup(id)
	}
	m, found := a.owned.Lookup(id)
	return state.Seen{ID: m.ID, Origin: m.Origin, Kept: m.Kept}, found
}

// inventories learns what each app of the ledger owns; those that take no part
// in this run too, since no object has two owners.
func (r *runner) inventories(ctx context.Context, l *ledger, apps []*app) error {
	l.holdings = map[string]*app{}
	for name, prior := range l.head.Apps {
		l.holdings[name] = &app{App: App{Name: name}, prior: prior}
	}
	for _, a := range apps {
		if prior, known := l.head.Apps[a.Name]; known {
			a.prior = prior
		}
		l.holdings[a.Name] = a
	}
	var unread []*app
	for _, name := range slices.Sorted(maps.Keys(l.holdings)) {
		a := l.holdings[name]
		a.owned.App = name
		seen, repeated := l.seen.App(name)
		switch ref := a.prior.Inventory; {
		case ref == nil:
		case repeated && seen.Inventory == ref.SHA256 && a.prior.Plan == nil:
			a.recalled = &seen
		default:
			unread = append(unread, a)
		}
	}
	return r.readInventories(ctx, unread)
}

// readInventories reads the inventories of apps.
func (r *runner) readInventories(ctx context.Context, apps []*app) error {
	errs := make([]error, len(apps))
	var group errgroup.Group
	group.SetLimit(storing)
	for i, a := range apps {
		group.Go(func() error {
			a.owned, errs[i] = inventoryOf(ctx, r.job.Ledger, a.Name, a.prior.Inventory)
			a.recalled = nil
			return nil
		})
	}
	_ = group.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("load state: %w", within(ctx, err))
		}
	}
	return nil
}

// ownersOf tells which app has an object in its inventory, of all apps of the
// ledger, for the objects that are concerned; nil is all.
func (l *ledger) ownersOf(concerned map[object.ID]bool) map[object.ID]plan.Holder {
	owners := make(map[object.ID]plan.Holder, len(concerned))
	for _, name := range slices.Sorted(maps.Keys(l.holdings)) {
		for member := range l.holdings[name].held() {
			if concerned == nil || concerned[member.ID] {
				owners[member.ID] = plan.Holder{App: name, Origin: member.Origin}
			}
		}
	}
	return owners
}

// recallKinds takes the kinds from the last observation, when the run can tell
// with them whether anything moved in any of the apps.
func (r *runner) recallKinds(l *ledger, apps []*app) bool {
	if len(apps) == 0 {
		return false
	}
	served := map[object.GroupKind]plan.Kind{}
	for _, kind := range l.seen.Kinds {
		if kind.Resource != "" {
			served[kind.GroupKind] = plan.Kind{Versions: []string{kind.Version}, Resource: kind.Resource, Namespaced: kind.Namespaced}
		}
	}
	for _, a := range apps {
		if a.left == plan.NotLeft && a.prior.Inputs == "" || strings.Contains(a.prior.Inputs, "+") {
			return false // it is rendered in any case, or depends on what the server serves
		}
		for member := range a.held() {
			if _, known := served[member.ID.GroupKind()]; !known {
				return false
			}
		}
	}
	l.kinds, l.recalled = plan.Kinds{Served: served}, true
	r.job.Cluster.Recall(served)
	return true
}

// learnKinds asks the server what it serves.
func (r *runner) learnKinds(ctx context.Context, l *ledger) error {
	kinds, err := r.job.Cluster.Discover(ctx, false)
	if err != nil {
		return fmt.Errorf("discover the server's kinds: %w", within(ctx, err))
	}
	l.kinds, l.recalled = kinds, false
	for _, group := range slices.Sorted(maps.Keys(l.kinds.Failing)) {
		r.warn(fmt.Sprintf("the API group %s cannot be discovered, its objects are left alone: %s", group, l.kinds.Failing[group]))
	}
	return nil
}

// learn looks up what was only recalled, of every app of which anything moved.
func (r *runner) learn(ctx context.Context, l *ledger, apps []*app) error {
	var moved []*app
	for _, a := range apps {
		if a.err == nil && !a.untouched {
			moved = append(moved, a)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	defer r.stage("discover")()
	if l.recalled {
		if err := r.learnKinds(ctx, l); err != nil {
			return err
		}
	}
	// It is known what to replace in there before anything is done.
	if _, err := r.recallReads(ctx, l); err != nil {
		return err
	}
	return r.readInventories(ctx, slices.DeleteFunc(moved, func(a *app) bool { return a.recalled == nil }))
}
