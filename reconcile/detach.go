package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Releaser is a Cluster that can take our marks off an object.
type Releaser interface {
	Cluster
	// Release takes our marks off exactly the object and state that Target names;
	// everything else of it stays as it is.
	Release(ctx context.Context, id object.ID, version string, at apply.Target) (plan.Meta, error)
}

// ActionDetach is what the record of a Detach says of each object.
const ActionDetach = "detach"

// The outcomes of a detach. What stays in the inventory is apply.Failed, and the
// message says why.
const (
	// Detached: our marks are off, and the object is as it was otherwise.
	Detached apply.Verdict = "detached"
	// Gone: the object does not exist any more.
	Gone apply.Verdict = "gone"
	// NotOurs: the object is not this app's to release: it is somebody else's,
	// bears none of our marks, or another app of the ledger has it.
	NotOurs apply.Verdict = "not-ours"
)

// Detach lets go of an app's objects: they stay in the cluster, without our
// marks, and leave the inventory. objects names some of them, as "Kind.group
// namespace/name" or as object.ID.Mark writes it; none means all, and with the
// last the app leaves the ledger. Of the job it needs no configuration.
//
// What is not proven to be without our marks stays in the inventory; then the
// exit code in the record is ExitPartial, and the same call may be made again.
func Detach(ctx context.Context, job Job, app string, objects []string) (state.Record, error) {
	r := start(job)
	record, err := r.detach(ctx, app, objects)
	if err != nil {
		return record, fmt.Errorf("detach: %w", err)
	}
	return record, nil
}

func (r *runner) detach(ctx context.Context, name string, objects []string) (state.Record, error) {
	cluster, able := r.job.Cluster.(Releaser)
	if !able {
		return state.Record{}, errors.New("this cluster cannot take marks off")
	}
	l, err := r.begin(ctx)
	if err != nil {
		return state.Record{}, err
	}
	d := &detachment{runner: r, ledger: l, cluster: cluster, app: name, all: len(objects) == 0}
	err = l.holding(ctx, func(ctx context.Context) error {
		if err := d.pick(ctx, objects); err != nil {
			return err
		}
		return d.look(ctx)
	})
	if err != nil && l.tenure == nil {
		return state.Record{}, err
	}
	// A lease that was taken over is given back with a record in any case.
	if err == nil {
		if err = r.commit(ctx, l, d.plan(), d.owned); err == nil {
			err = l.holding(ctx, d.release)
		}
	}
	if l.tenure == nil {
		return state.Record{}, err
	}
	if errors.Is(err, state.ErrLost) {
		return state.Record{}, err
	}
	record, settling := d.settle(ctx, err)
	return record, errors.Join(err, settling)
}

// detachment is one Detach under way.
type detachment struct {
	*runner
	ledger  *ledger
	cluster Releaser
	app     string
	all     bool
	owned   state.Inventory
	// others tells which other app of the ledger has an object too.
	others map[object.ID]string
	// partings are the members to let go of, in the inventory's order.
	partings []parting
	// done counts those of which the outcome is known.
	done int
}

// parting is one member on its way out of the inventory.
type parting struct {
	member state.Member
	meta   plan.Meta
	// outcome is what became of it; empty while its marks are still on.
	outcome apply.Verdict
	message string
}

// pick finds the members that are meant.
func (d *detachment) pick(ctx context.Context, objects []string) error {
	apps := d.ledger.head.Apps
	if _, known := apps[d.app]; !known {
		if len(apps) == 0 {
			return fmt.Errorf("the ledger has no app %q; it has none", d.app)
		}
		return fmt.Errorf("the ledger has no app %q; it has: %s", d.app, strings.Join(slices.Sorted(maps.Keys(apps)), ", "))
	}
	if err := d.discover(ctx, d.ledger, nil); err != nil {
		return err
	}
	if err := d.read(ctx); err != nil {
		return err
	}
	found := map[string]bool{}
	for _, member := range d.owned.Members {
		meant := d.all
		for _, name := range objects {
			if name == member.ID.String() || name == member.ID.Mark() {
				meant, found[name] = true, true
			}
		}
		if meant {
			d.partings = append(d.partings, parting{member: member})
		}
	}
	for _, name := range objects {
		if !found[name] {
			return fmt.Errorf("the app %s has no object %q; %s", d.app, name, inventoryText(d.owned))
		}
	}
	return nil
}

// read reads what the app owns, and what the others do.
func (d *detachment) read(ctx context.Context) error {
	d.others = map[object.ID]string{}
	for name, prior := range d.ledger.head.Apps {
		inventory, err := inventoryOf(ctx, d.job.Ledger, name, prior.Inventory)
		if err != nil {
			return within(ctx, err)
		}
		if name == d.app {
			d.owned = inventory
			continue
		}
		for _, member := range inventory.Members {
			d.others[member.ID] = name
		}
	}
	return nil
}

// inventoryText names the members of an inventory, for one who mistyped.
func inventoryText(owned state.Inventory) string {
	const most = 20
	var names []string
	for _, member := range owned.Members {
		names = append(names, member.ID.String())
	}
	switch {
	case len(names) == 0:
		return "it has none"
	case len(names) > most:
		return fmt.Sprintf("it has: %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return "it has: " + strings.Join(names, ", ")
}

// look finds out about each member whether there is anything to take marks off.
func (d *detachment) look(ctx context.Context) error {
	d.eachParting(func(p *parting) {
		meta, err := d.cluster.Metadata(ctx, p.member.ID, p.member.Version)
		d.judge(ctx, p, meta, err)
	})
	return context.Cause(ctx)
}

// eachParting does some work for every member whose marks are still on, and
// tells who watches what came of it.
func (d *detachment) eachParting(work func(*parting)) {
	var mu sync.Mutex
	byID := map[object.ID]*parting{}
	var ids []object.ID
	for i := range d.partings {
		if p := &d.partings[i]; p.outcome == "" {
			byID[p.member.ID] = p
			ids = append(ids, p.member.ID)
		}
	}
	each(d.runner, ids, func(id object.ID) {
		p := byID[id]
		work(p)
		if p.outcome == "" {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		d.done++
		d.tell(Event{
			Stage: "detach", App: d.app, Outcome: string(p.outcome), Message: p.message, Done: d.done, Total: len(d.partings),
			Change: &plan.Change{ID: id, Action: ActionDetach},
		})
	})
}

// judge says what follows from an answer about a member; it stays to be released
// when the object is ours.
func (d *detachment) judge(ctx context.Context, p *parting, meta plan.Meta, err error) {
	p.meta = meta
	switch {
	case errors.Is(err, apply.ErrNotFound), errors.Is(err, apply.ErrNoKind): // no kind, no object
		p.outcome = Gone
		if !p.member.Forgettable(d.ledger.head.Stamp.Now, d.job.Ledger.TTL()) {
			p.outcome = apply.Failed
			p.message = "it is not there, but a request of a run that died may still make it: try again in a few minutes"
		}
		return
	case err != nil:
		p.outcome, p.message = apply.Failed, within(ctx, err).Error()
		return
	}
	if other, has := d.others[p.member.ID]; has {
		p.outcome, p.message = NotOurs, "the app "+other+" has it too"
		return
	}
	switch owner, _, mark := plan.OwnerFor(d.owned, p.member.ID, meta, d.ledger.label); owner {
	case plan.Ours:
	case plan.Foreign:
		p.outcome, p.message = NotOurs, "another owner's: "+mark
	case plan.Copied:
		p.outcome, p.message = NotOurs, "it is a copy that somebody else made, and is left as it is"
	case plan.Free:
		p.outcome, p.message = NotOurs, "it bears none of our marks"
	}
}

// plan gives what is to be released, as other runs read it should this one die.
func (d *detachment) plan() plan.Plan {
	p := plan.Plan{App: d.app}
	for _, one := range d.partings {
		if one.outcome == "" {
			p.Changes = append(p.Changes, plan.Change{
				ID: one.member.ID, Version: one.member.Version, Action: plan.Update, Reason: plan.ReasonDetached,
				UID: one.meta.UID, ResourceVersion: one.meta.ResourceVersion, Generation: one.meta.Generation,
			})
		}
	}
	return p.Sign()
}

// release takes the marks off.
func (d *detachment) release(ctx context.Context) error {
	if err := d.testify(ctx, d.ledger); err != nil {
		return err
	}
	d.eachParting(func(p *parting) {
		for attempt := 1; p.outcome == ""; attempt++ {
			if err := d.releaseOne(ctx, p); err != nil && attempt == looks {
				p.outcome, p.message = apply.Failed, within(ctx, err).Error()
			}
		}
	})
	return context.Cause(ctx)
}

// releaseOne sends one release. After an error without an outcome it may be tried
// again, on what was read anew.
func (d *detachment) releaseOne(ctx context.Context, p *parting) error {
	err := d.ledger.send(ctx, func(ctx context.Context) error {
		_, err := d.cluster.Release(ctx, p.member.ID, p.member.Version, apply.Target{UID: p.meta.UID, ResourceVersion: p.meta.ResourceVersion})
		return err
	})
	var busy *apply.BusyError
	switch {
	case err == nil:
		p.outcome = Detached
		return nil
	case ctx.Err() != nil, errors.Is(err, state.ErrLost):
		p.outcome, p.message = apply.Failed, within(ctx, err).Error()
		return nil
	case errors.As(err, &busy):
		if sleep(ctx, min(max(busy.After, time.Second), 30*time.Second)) != nil {
			p.outcome, p.message = apply.Failed, within(ctx, err).Error()
		}
		return err
	case errors.Is(err, apply.ErrConflict), errors.Is(err, apply.ErrNotFound), errors.Is(err, apply.ErrUnanswered):
		// It moved, or the answer is lost: whatever it is by now is looked at, and
		// an object without our marks needs no second write.
		var meta plan.Meta
		readErr := d.ledger.send(ctx, func(ctx context.Context) (err error) {
			meta, err = d.cluster.Metadata(ctx, p.member.ID, p.member.Version)
			return err
		})
		d.judge(ctx, p, meta, readErr)
		return err
	}
	p.outcome, p.message = apply.Failed, err.Error()
	return nil
}

// settle commits what is left of the app.
func (d *detachment) settle(ctx context.Context, cause error) (state.Record, error) {
	ctx, done := lasting(ctx)
	defer done()
	entry := state.AppRecord{Name: d.app, Verdict: state.Unchanged}
	var gone []object.ID
	stay := 0
	for _, p := range d.partings {
		if p.outcome == "" {
			p.outcome, p.message = apply.Failed, "it was not reached"
		}
		if p.outcome == apply.Failed {
			stay++
		} else {
			gone = append(gone, p.member.ID)
			entry.Verdict = state.Changed
		}
		entry.Changes = append(entry.Changes, state.Change{ID: p.member.ID, Action: ActionDetach, Reason: string(plan.ReasonDetached), Outcome: string(p.outcome), Message: p.message})
	}
	left := d.owned.Narrow(gone...)
	leaves := d.all && len(left.Members) == 0 && cause == nil
	record := state.Record{Message: fmt.Sprintf("detached %s of the app %s", counted(len(gone), "object"), d.app)}
	if stay > 0 {
		entry.Verdict, record.Exit = state.Partial, ExitPartial
		record.Message += fmt.Sprintf(" (%d could not be)", stay)
	}
	if leaves {
		entry.Verdict = state.Changed
		record.Message += ", which left the ledger"
	}
	record.Apps = []state.AppRecord{entry}
	if record.Verdict = entry.Verdict; cause != nil {
		record.Exit, record.Verdict = ExitOf(cause), verdict(record, false, cause)
		record.Warnings = []string{"the command ended early: " + cause.Error()}
	}
	var ref *state.Ref
	if len(gone) > 0 && !leaves {
		stored, err := putInventory(ctx, d.job.Ledger, left)
		if err != nil {
			return state.Record{}, within(ctx, err)
		}
		ref = &stored
	}
	return d.conclude(ctx, d.ledger, record, func(head *state.Head) {
		a, known := head.Apps[d.app]
		switch {
		case leaves:
			delete(head.Apps, d.app)
		case known && ref != nil:
			// The repository may still want what was let go of: the next run looks.
			a.Inventory, a.Inputs = ref, ""
			head.Apps[d.app] = a
		}
	})
}

// counted gives "1 object", "2 objects".
func counted(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
