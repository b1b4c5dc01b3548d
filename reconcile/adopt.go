package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// ErrCluster is the case of a ledger whose cluster is not the one that was
// reached (exit 13).
var ErrCluster = errors.New("this ledger is of another cluster")

// AdoptCluster gives a ledger to the cluster that was reached, in place of the
// one that it was of: a cluster that was rebuilt, or restored elsewhere, with
// the same state. The next run of each app applies everything and prunes nothing;
// what it finds live with our marks and not wanted is left to the run after it.
// It is refused when the cluster is the ledger's already. Of the job it needs no
// configuration.
func AdoptCluster(ctx context.Context, job Job) (state.Record, error) {
	r := start(job)
	record, err := r.adoptCluster(ctx)
	if err != nil {
		return record, fmt.Errorf("adopt the cluster: %w", err)
	}
	return record, nil
}

func (r *runner) adoptCluster(ctx context.Context) (state.Record, error) {
	scanner, able := r.job.Cluster.(Scanner)
	if !able {
		return state.Record{}, errors.New("this cluster cannot be searched")
	}
	r.anyCluster = true
	l, err := r.begin(ctx)
	if err == nil {
		err = l.witness.unheard
	}
	if err != nil {
		return state.Record{}, err
	}
	var apps map[string]state.Inventory
	err = l.holding(ctx, func(ctx context.Context) (err error) {
		apps, err = r.moving(ctx, l, scanner)
		return err
	})
	if err == nil && l.tenure == nil {
		lasting, done := lasting(ctx)
		defer done()
		l.tenure, err = r.job.Ledger.Claim(lasting, l.head, hears)
	}
	var edit func(*state.Head)
	if err == nil {
		err = l.holding(ctx, func(ctx context.Context) (err error) {
			if err := r.testify(ctx, l); err != nil {
				return err
			}
			edit, err = r.moved(ctx, l, apps)
			return err
		})
	}
	switch {
	case l.tenure == nil, errors.Is(err, state.ErrLost):
		return state.Record{}, within(ctx, err)
	case err != nil:
		record, settling := r.conclude(ctx, l, state.Record{
			Verdict: verdict(state.Record{}, false, err), Exit: ExitOf(err), Message: "did not adopt the cluster: " + err.Error(),
		}, func(*state.Head) {})
		return record, errors.Join(err, settling)
	}
	objects := 0
	for _, inventory := range apps {
		objects += len(inventory.Members)
	}
	return r.conclude(ctx, l, state.Record{
		Verdict: state.Changed,
		Message: fmt.Sprintf("gave the ledger, with %s of %s, to the cluster %s in place of %s", counted(objects, "object"), counted(len(apps), "app"), l.cluster, l.head.Cluster),
	}, edit)
}

// moving gives the inventories as they are in the new cluster: the same objects,
// of which nothing is known, and what else bears our marks there.
func (r *runner) moving(ctx context.Context, l *ledger, cluster Scanner) (map[string]state.Inventory, error) {
	uid, err := cluster.Identity(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("identify the cluster: %w", err)
	case l.head.Cluster == "":
		return nil, Refused(fmt.Errorf("%w: no run used this state yet", ErrNeedless))
	case l.head.Cluster == uid:
		return nil, Refused(fmt.Errorf("%w: the ledger is of this very cluster, %s", ErrNeedless, uid))
	}
	l.cluster = uid
	apps := map[string]state.Inventory{}
	held := map[object.ID]bool{}
	for _, name := range slices.Sorted(maps.Keys(l.head.Apps)) {
		old, err := inventoryOf(ctx, r.job.Ledger, name, l.head.Apps[name].Inventory)
		if err != nil {
			return nil, err
		}
		inventory := state.Inventory{App: name}
		for _, m := range old.Members {
			held[m.ID] = true
			inventory = inventory.Update(state.Member{ID: m.ID, Version: m.Version, Origin: m.Origin, Kept: m.Kept})
		}
		apps[name] = inventory
	}
	found, err := r.search(ctx, cluster, l.label)
	if err != nil {
		return nil, err
	}
	for _, m := range found {
		if !held[m.ID] {
			// A backup brought it back, which the ledger has forgotten.
			inventory := apps[m.app]
			inventory.App = m.app
			apps[m.app] = inventory.Update(m.Member)
		}
	}
	return apps, nil
}

// moved stores the inventories and gives what the head says from now on.
func (r *runner) moved(ctx context.Context, l *ledger, apps map[string]state.Inventory) (func(*state.Head), error) {
	refs := map[string]*state.Ref{}
	for name, inventory := range apps {
		ref, err := putInventory(ctx, r.job.Ledger, inventory)
		if err != nil {
			return nil, err
		}
		refs[name] = &ref
	}
	return func(head *state.Head) {
		head.Cluster, head.Observed, head.Witnessed = l.cluster, nil, l.witness.written
		for name, ref := range refs {
			old := head.Apps[name]
			head.Apps[name] = state.App{Inventory: ref, NewCluster: true, Pin: old.Pin, Quarantine: old.Quarantine}
		}
	}, nil
}
