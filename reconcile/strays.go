package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// findStrays takes objects into the inventories that bear our marks and are in
// none: a cluster that was restored holds again what was pruned since the
// backup. They count as adopted, so that none is pruned without an approval.
func (r *runner) findStrays(ctx context.Context, l *ledger, apps []*app) {
	found := map[object.ID]plan.Meta{}
	for _, objects := range l.lists.objects {
		for id, listed := range objects {
			if meta, err := listed.Meta(); err == nil { // else it is nobody's stray, as far as can be told
				found[id] = meta
			}
		}
	}
	if scanner, able := r.job.Cluster.(Scanner); able {
		all, err := scanner.Scan(ctx, object.LabelLedger, l.label)
		if err != nil {
			r.warn("the cluster could not be searched for objects that the restore brought back: " + within(ctx, err).Error())
		} else {
			found = all
		}
	}
	l.owners, l.searched = l.ownersOf(nil), true
	strays := map[string][]state.Member{}
	for _, id := range slices.SortedFunc(maps.Keys(found), object.ID.Compare) {
		meta := found[id]
		if owner, _, _ := plan.OwnerOf(id, meta, l.label); owner != plan.Ours {
			continue
		}
		if _, owned := l.owners[id]; !owned {
			name := meta.Labels[object.LabelApp]
			strays[name] = append(strays[name], state.Member{ID: id, UID: meta.UID, Origin: state.Adopted})
		}
	}
	for _, a := range apps {
		members := strays[a.Name]
		if len(members) == 0 || a.err != nil {
			continue
		}
		delete(strays, a.Name)
		a.owned, a.strayed = a.owned.Widen(members...), true
		for _, member := range members {
			l.owners[member.ID] = plan.Holder{App: a.Name, Origin: member.Origin}
			l.lists.put(member.ID, found[member.ID])
		}
		r.warn(fmt.Sprintf("the restore brought back %s of the app %s", counted(len(members), "object"), a.Name))
	}
	for _, name := range slices.Sorted(maps.Keys(strays)) {
		r.warn(fmt.Sprintf("the restore brought back %s of the app %s, which is not in this run: left alone", counted(len(strays[name]), "object"), name))
	}
}
