package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// ErrNoLineage is the case of a state that is lost together with everything that
// could tell which ledger it was (exit 13).
var ErrNoLineage = errors.New("nothing tells which ledger this was")

// Rebuild makes the head of a ledger anew, from our marks in the cluster, when it
// is lost, damaged, or older than what the witness or the records know. It is
// refused when the head is as it should be. Of the job it needs no configuration.
//
// How the objects came is lost, so that all of them count as adopted: no run
// prunes one of them without an approval. What a run may have sent before the
// state was lost may still be on its way, so that all of them are in doubt.
func Rebuild(ctx context.Context, job Job) (state.Record, error) {
	r := start(job)
	record, err := r.rebuild(ctx)
	if err != nil {
		return record, fmt.Errorf("rebuild: %w", err)
	}
	return record, nil
}

func (r *runner) rebuild(ctx context.Context) (state.Record, error) {
	if err := r.reason(); err != nil {
		return state.Record{}, err
	}
	scanner, able := r.job.Cluster.(Scanner)
	if !able {
		return state.Record{}, errors.New("this cluster cannot be searched")
	}
	b := &rebuilding{runner: r, cluster: scanner, owned: map[string]state.Inventory{}}
	for _, step := range []func(context.Context) error{
		b.survey,   // what is left of the state, and what the witness knows
		b.needed,   // whether that is worse than the head
		b.identify, // which ledger and cluster it is
		b.scan,     // what of ours there is
	} {
		if err := step(ctx); err != nil {
			return state.Record{}, within(ctx, err)
		}
	}
	return b.restore(ctx)
}

// rebuilding is one Rebuild under way.
type rebuilding struct {
	*runner
	cluster Scanner
	remains state.Remains
	witness apply.Witness
	lineage string
	// uid is that of the cluster.
	uid string
	// owned is what each app owns, as the old head says and, from scan on, with
	// what was found.
	owned map[string]state.Inventory
	found int
}

// damage marks an error as that of a state which cannot be used.
func damage(format string, args ...any) error {
	return &Fault{Exit: ExitState, Err: fmt.Errorf(format, args...)}
}

func (b *rebuilding) survey(ctx context.Context) (err error) {
	defer b.stage("survey")()
	if b.remains, err = b.job.Ledger.Remains(ctx); err != nil {
		return err
	}
	if errors.Is(b.remains.Why, state.ErrNewer) {
		return b.remains.Why
	}
	if b.job.Witness == nil {
		return nil
	}
	b.witness, err = b.job.Witness.ReadWitness(ctx)
	switch {
	case err == nil, errors.Is(err, apply.ErrNotFound):
	case errors.Is(err, apply.ErrRejected):
		b.warn("the witness cannot be read: " + err.Error())
	default:
		return fmt.Errorf("read the witness: %w", err)
	}
	return nil
}

// needed says why nothing is to be rebuilt, and reads what a head that can be
// read still knows.
func (b *rebuilding) needed(ctx context.Context) error {
	head := b.remains.Head
	if head.Seq == 0 {
		return nil
	}
	if known := b.witness.Lineage; known != "" && known != head.Lineage {
		return damage("the head is of the lineage %s, and the cluster knows this ledger as %s: one of them is not this ledger's, and none is taken for granted", head.Lineage, known)
	}
	whole := true
	for name, old := range head.Apps {
		inventory, err := inventoryOf(ctx, b.job.Ledger, name, old.Inventory)
		if err == nil && old.Plan != nil {
			_, err = openPlan(ctx, b.job.Ledger, *old.Plan)
		}
		switch {
		case err == nil:
		case errors.Is(err, state.ErrDamaged):
			whole = false
			b.warn("what the head names is damaged: " + err.Error())
		default:
			return err
		}
		b.owned[name] = inventory
	}
	switch {
	case b.remains.RolledBack(), b.witness.Epoch > head.Heard:
		return nil // who holds the lease in an old head lost it long ago
	case whole:
		return Refused(fmt.Errorf("%w: the head is whole, and nothing is newer", ErrNeedless))
	case head.Idle():
		return nil
	}
	waited, err := b.job.Ledger.Wait(ctx, head, b.job.LockTimeout)
	if err == nil && waited.End != state.Stale {
		return &state.HeldError{Head: waited.Head}
	}
	return err
}

// identify finds out which ledger it is, and makes sure that this is its cluster.
func (b *rebuilding) identify(ctx context.Context) (err error) {
	defer b.stage("identify")()
	if b.uid, err = b.cluster.Identity(ctx); err != nil {
		return fmt.Errorf("identify the cluster: %w", err)
	}
	head, record := b.remains.Head, b.remains.Newest
	if head.Cluster != "" && head.Cluster != b.uid {
		return damage("%w: it belongs to %s, and this is %s", ErrCluster, head.Cluster, b.uid)
	}
	if b.remains.Unreadable != nil {
		b.warn(fmt.Sprintf("record %d cannot be read: %s", b.remains.Seq, b.remains.Unreadable))
		record = state.Record{}
	}
	for _, known := range []string{head.Lineage, b.witness.Lineage, record.Lineage} {
		switch {
		case b.lineage == "":
			b.lineage = known
		case known != "" && known != b.lineage:
			return damage("it is of the lineage %s, but its records are of %s: they are another ledger's", b.lineage, known)
		}
	}
	if b.lineage == "" {
		return b.unknown(ctx)
	}
	return nil
}

// unknown says which ledgers left objects in the cluster.
func (b *rebuilding) unknown(ctx context.Context) error {
	found, err := scan(ctx, b.cluster, "")
	if err != nil {
		return damage("%w, neither the head nor the witness nor a record; and the cluster cannot be searched: %w", ErrNoLineage, err)
	}
	objects, apps := map[string]int{}, map[string][]string{}
	for id, meta := range found {
		label := meta.Labels[object.LabelLedger]
		if owner, _, _ := plan.OwnerOf(id, meta, label); owner == plan.Ours {
			objects[label]++
			apps[label] = append(apps[label], meta.Labels[object.LabelApp])
		}
	}
	var marks []string
	for _, label := range slices.Sorted(maps.Keys(objects)) {
		slices.Sort(apps[label])
		marks = append(marks, fmt.Sprintf("%s (%s of %s)", label, counted(objects[label], "object"), strings.Join(slices.Compact(apps[label]), ", ")))
	}
	text := "no object in the cluster bears our marks"
	if len(marks) > 0 {
		text = "the cluster holds objects with the marks " + strings.Join(marks, ", ")
	}
	return damage("%w, neither the head nor the witness nor a record; %s", ErrNoLineage, text)
}

// scan finds our objects, and makes the inventories of them and of what the old
// head knows.
func (b *rebuilding) scan(ctx context.Context) error {
	found, err := b.search(ctx, b.cluster, LedgerLabel(b.lineage))
	if err != nil {
		return err
	}
	since, err := b.job.Ledger.StoreTime(ctx)
	if err != nil {
		return err
	}
	if b.found = len(found); b.found == 0 {
		b.warn("no object of this ledger was found in the cluster: make sure that it is the right one")
	}
	b.merge(found, since)
	return nil
}

// merge gives each app what was found of it, and what the old head knows of it
// and was not found elsewhere.
func (b *rebuilding) merge(found []marked, since time.Time) {
	all := map[string][]state.Member{}
	where := map[object.ID]bool{}
	for _, m := range found {
		where[m.ID] = true
		if old, known := b.owned[m.app].Lookup(m.ID); known && old.UID == m.UID {
			m.Kept = old.Kept
		}
		all[m.app] = append(all[m.app], m.Member)
	}
	for name, old := range b.owned {
		all[name] = append(all[name], slices.DeleteFunc(slices.Clone(old.Members), func(m state.Member) bool { return where[m.ID] })...)
	}
	for name, members := range all {
		for i := range members {
			members[i].Origin = state.Adopted
		}
		b.owned[name] = state.Inventory{App: name}.Update(members...).Doubt(since, func(state.Member) bool { return true })
	}
}

// restore writes the head, and then the witness.
func (b *rebuilding) restore(ctx context.Context) (state.Record, error) {
	defer b.stage("restore")()
	made := state.Head{
		Lineage: b.lineage, Cluster: b.uid, Witnessed: b.witness.Epoch, Apps: map[string]state.App{},
		Epoch: 1 + max(b.remains.Head.Epoch, b.witness.Epoch, b.remains.Newest.Epoch),
	}
	record := state.Record{
		Verdict: state.Changed,
		Message: fmt.Sprintf("rebuilt the state with %s of %s", counted(b.found, "object"), counted(len(b.owned), "app")),
	}
	for _, name := range slices.Sorted(maps.Keys(b.owned)) {
		ref, err := putInventory(ctx, b.job.Ledger, b.owned[name])
		if err != nil {
			return state.Record{}, within(ctx, err)
		}
		old := b.remains.Head.Apps[name]
		made.Apps[name] = state.App{Inventory: &ref, Pin: old.Pin, Quarantine: old.Quarantine}
		record.Apps = append(record.Apps, state.AppRecord{
			Name: name, Verdict: state.Changed, Counts: state.Counts{Adopted: len(b.owned[name].Members)},
		})
	}
	if ctx.Err() != nil {
		return state.Record{}, context.Cause(ctx)
	}
	ctx, done := lasting(ctx)
	defer done()
	head, record, err := b.job.Ledger.Restore(ctx, b.remains, made, b.signed(record, ""))
	if err != nil {
		return state.Record{}, within(ctx, err)
	}
	if err := b.remember(ctx, head); err != nil {
		record.Warnings = append(record.Warnings, "the state is rebuilt, but the cluster could not be told; the next run does it: "+err.Error())
	}
	return record, nil
}

// remember tells the witness of the new head.
func (b *rebuilding) remember(ctx context.Context, head state.Head) error {
	if b.job.Witness == nil {
		return nil
	}
	know := apply.Witness{Lineage: head.Lineage, Epoch: head.Epoch, Holder: head.Lease.Holder, Version: b.witness.Version}
	for attempt := 1; ; attempt++ {
		err := b.job.Witness.WriteWitness(ctx, know)
		if err == nil || attempt == witnessing || errors.Is(err, apply.ErrRejected) || ctx.Err() != nil {
			return err
		}
		// It was written meanwhile, or the answer is lost.
		known, readErr := b.job.Witness.ReadWitness(ctx)
		if readErr == nil && known.Epoch >= know.Epoch {
			return nil
		}
		know.Version = known.Version
	}
}
