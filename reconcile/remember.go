package reconcile

import (
	"context"
	"maps"
	"slices"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// memo is what a run stores for the next one.
type memo struct {
	observed, reads *state.Ref
}

// remember stores what this run saw and read; nil stands for what is stored
// already.
func (r *runner) remember(ctx context.Context, l *ledger, apps []*app, ends []settled) (memo, error) {
	var m memo
	err := storeAll(2, func(i int) (err error) {
		if i == 0 {
			m.observed, err = r.observed(ctx, l, apps, ends)
		} else {
			m.reads, err = r.keepReads(ctx, l, ends)
		}
		return err
	})
	return m, err
}

// observed stores what this run saw, for the next one to compare with; nil when
// that is what the last run saw.
func (r *runner) observed(ctx context.Context, l *ledger, apps []*app, ends []settled) (*state.Ref, error) {
	if l.lists == nil {
		return nil, nil
	}
	inventories := map[string]string{}
	for name, a := range l.head.Apps {
		if a.Inventory != nil {
			inventories[name] = a.Inventory.SHA256
		}
	}
	for _, end := range ends {
		if end.inventory != nil {
			inventories[end.app.Name] = end.inventory.SHA256
		}
		if end.app.gone() {
			delete(inventories, end.app.Name)
		}
	}
	now, changed := state.Observation{}, false
	fresh := map[string]*app{}
	for _, a := range apps {
		// Of one that the run did not come to plan, the last observation says more.
		if a.err == nil && !a.blocked() && (a.untouched || a.planned) {
			fresh[a.Name] = a
		}
	}
	kinds, last := map[object.GroupKind]bool{}, object.GroupKind{}
	for _, name := range slices.Sorted(maps.Keys(inventories)) {
		seen, known := l.seen.App(name)
		if a := fresh[name]; a != nil && !(known && a.untouched && a.silent && a.recalled != nil) {
			seen, known = state.SeenApp{Name: name, Inventory: inventories[name], Members: a.seen(l)}, true
			changed = true
		}
		if !known {
			continue
		}
		now.Apps = append(now.Apps, seen)
		for _, member := range seen.Members {
			if gk := member.ID.GroupKind(); gk != last {
				kinds[gk], last = true, gk
			}
		}
	}
	now.Kinds = l.seenKinds(kinds)
	if !changed && len(now.Apps) == len(l.seen.Apps) && slices.Equal(now.Kinds, l.seen.Kinds) {
		return nil, nil
	}
	data, err := now.Encode()
	if err != nil {
		return nil, err
	}
	ref, err := r.job.Ledger.Put(ctx, "observed", data)
	return &ref, err
}

// seenKinds gives kinds as the server serves them, sorted.
func (l *ledger) seenKinds(kinds map[object.GroupKind]bool) []state.SeenKind {
	var seen []state.SeenKind
	for _, gk := range slices.SortedFunc(maps.Keys(kinds), object.GroupKind.Compare) {
		kind, served := l.kinds.Served[gk]
		if !served || len(kind.Versions) == 0 {
			seen = append(seen, state.SeenKind{GroupKind: gk})
			continue
		}
		seen = append(seen, state.SeenKind{GroupKind: gk, Version: kind.Versions[0], Resource: kind.Resource, Namespaced: kind.Namespaced})
	}
	return seen
}

// seen lists the objects of an app, those that are as they should be as known.
// Whatever is not is suspect in the next run.
func (a *app) seen(l *ledger) []state.Seen {
	var seen []state.Seen
	if a.untouched {
		for member := range a.held() {
			found, listed := l.lists.get(member.ID)
			old, known := l.lookup(a.Name, member.ID)
			switch {
			case known && (!listed || member.Kept || old.Known && old.UID == found.UID && old.ResourceVersion == found.ResourceVersion):
				member = old
			case listed && !member.Kept:
				if meta, err := found.Meta(); err == nil {
					member = seenOf(member, meta)
				}
			}
			seen = append(seen, member)
		}
		return seen
	}
	last, pending := a.outcomes(), a.pending()
	for _, m := range a.owned.Members {
		member := state.Seen{ID: m.ID, Origin: m.Origin, Kept: m.Kept}
		o, acted := last[m.ID]
		_, wanted := a.want.Get(m.ID)
		wanted = wanted || m.Hook
		live := a.live[m.ID]
		switch {
		case m.InDoubt():
		case a.left == plan.LeftStays && live.State == plan.Present && last[m.ID].Verdict == apply.Kept:
			member = seenOf(member, live.Meta)
		case acted && o.Verdict.Done() && o.Meta.UID != "" && o.Verdict != apply.Pruned:
			member = seenOf(member, o.Meta)
		case acted || pending[m.ID] || !wanted || a.plan.Overlooked[m.ID]:
		case live.State == plan.Present:
			member = seenOf(member, live.Meta)
		case live.State == plan.Absent && m.UID != "":
			// A finished Job that the control plane removed: it may stay away.
			member.Known = true
		}
		seen = append(seen, member)
	}
	return seen
}

// seenOf gives a member as the next run compares with. What goes away, or has a
// controller, is never as it should be.
func seenOf(member state.Seen, meta plan.Meta) state.Seen {
	if meta.Terminating || meta.Controller != "" {
		return member
	}
	member.Known, member.UID, member.ResourceVersion, member.Generation, member.Digest = true, meta.UID, meta.ResourceVersion, meta.Generation, meta.Owned
	return member
}
