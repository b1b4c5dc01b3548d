package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// committed is what one app brings into the head before it acts.
type committed struct {
	app             string
	plan, inventory state.Ref
	approved        bool
	// hooks names the set that the plan is for; empty when it is for none.
	hooks string
}

// claim commits the plans and the widened inventories in one write of the head,
// before anything is sent to the cluster: whatever this run may create is known
// to the next one, whatever happens (law 1).
func (r *runner) claim(ctx context.Context, l *ledger, apps []*app) error {
	defer r.stage("claim")()
	acting := slices.DeleteFunc(slices.Clone(apps), func(a *app) bool { return !a.acts() })
	owned := map[*app]state.Inventory{}
	for _, a := range acting {
		owned[a] = widen(l, a)
	}
	commits := make([]committed, len(acting))
	err := storeAll(len(acting), func(i int) (err error) {
		a := acting[i]
		commits[i], err = r.commitment(ctx, a.Name, a.plan, owned[a])
		return err
	})
	if err != nil {
		return fmt.Errorf("claim: %w", within(ctx, err))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("claim: %w", context.Cause(ctx))
	}
	ctx, done := lasting(ctx)
	defer done()
	edit := r.pending(apps, r.edit(l, commits))
	if l.tenure != nil {
		if err := l.tenure.Commit(ctx, edit); err != nil {
			return fmt.Errorf("claim: %w", within(ctx, err))
		}
	} else {
		tenure, err := r.job.Ledger.Claim(ctx, l.head, func(head *state.Head) {
			hears(head)
			edit(head)
		})
		if err != nil {
			return fmt.Errorf("claim: %w", within(ctx, err))
		}
		l.tenure = tenure
	}
	// Only now: what is handed over leaves one inventory because of the other.
	for i, a := range acting {
		a.owned, a.carried = owned[a], &commits[i].plan
	}
	return nil
}

// commitment stores a plan and the inventory that goes with it.
func (r *runner) commitment(ctx context.Context, name string, p plan.Plan, inventory state.Inventory) (committed, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return committed{}, fmt.Errorf("encode plan of %s: %w", name, err)
	}
	c := committed{app: name, approved: p.Approved, hooks: hookKeyOf(p.SetDigest)}
	if c.plan, err = r.job.Ledger.Put(ctx, "plan-"+name, r.redact(data)); err != nil {
		return committed{}, err
	}
	c.inventory, err = putInventory(ctx, r.job.Ledger, inventory)
	return c, err
}

// edit gives what a claim changes in the head.
func (r *runner) edit(l *ledger, commits []committed) func(*state.Head) {
	return func(head *state.Head) {
		head.Cluster, head.Config = l.cluster, r.config.Digest
		r.repin(head)
		for _, c := range commits {
			a := head.Apps[c.app]
			a.Plan, a.Inventory = &c.plan, &c.inventory
			if c.approved {
				a.Approval = nil // it holds once
			}
			if a.Hooks != nil && c.hooks != "" && a.Hooks.Key != c.hooks {
				a.Hooks = nil // those of another set; should that come back, they run again
			}
			head.Apps[c.app] = a
		}
	}
}

// widen gives the app's inventory with everything that its plan creates or
// takes over.
func widen(l *ledger, a *app) state.Inventory {
	owned := a.owned
	for _, c := range a.plan.Changes {
		m := state.Member{ID: c.ID, Version: c.Version, UID: c.UID, Origin: c.Origin}
		switch c.Action {
		case plan.Create:
			owned = owned.Widen(m)
		case plan.Adopt:
			// A member that was to be created and is found without our marks was
			// made by somebody else. A late create goes with the object.
			m.Ghost = l.ghostOf(c.ID)
			owned = owned.Update(m)
		case plan.Replace:
			owned = owned.Update(replaced(l, owned, m))
		case plan.Run:
			if old, held := owned.Lookup(c.ID); held {
				m = old
			} else {
				m.UID = ""
			}
			m.Hook, m.Kept = true, false
			owned = owned.Update(m)
		case plan.Update, plan.Prune, plan.HandOver, plan.Keep, plan.Forget, plan.Defer, plan.Report, plan.Await, plan.Fence:
		}
	}
	return owned
}

// ghostOf gives since when an object is a ghost in the inventory of the app that
// holds it; nil when it is none.
func (l *ledger) ghostOf(id object.ID) *time.Time {
	if holder := l.holdings[l.owners[id].App]; holder != nil {
		member, _ := holder.owned.Lookup(id)
		return member.Ghost
	}
	return nil
}

// replaced gives the member of an object that is deleted and made again: without
// UID and digest, so that a run which finds it gone makes it, whatever the app
// says about drift.
func replaced(l *ledger, owned state.Inventory, m state.Member) state.Member {
	if member, known := owned.Lookup(m.ID); known {
		m.Origin, m.Ghost, m.Unsettled = member.Origin, member.Ghost, member.Unsettled
	} else {
		m.Ghost = l.ghostOf(m.ID)
	}
	m.UID = ""
	return m
}
