package history

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Diff is what changed from one run to another.
type Diff struct {
	From Run       `json:"from"`
	To   Run       `json:"to"`
	Apps []AppDiff `json:"apps"`
}

// Run names a run and its record.
type Run struct {
	Seq      uint64    `json:"seq"`
	Run      string    `json:"run"`
	Finished time.Time `json:"finished"`
}

// AppDiff is what changed of one app: from the set that stood carried out after
// the one run to that after the other.
type AppDiff struct {
	App string `json:"app"`
	// From and To are the revisions of these sets, nil when there was none.
	From *Applied `json:"from"`
	To   *Applied `json:"to"`
	// Unknown says why it cannot be told what changed; then Changes is empty.
	Unknown   string         `json:"unknown,omitempty"`
	Changes   []ObjectChange `json:"changes"`
	Unchanged int            `json:"unchanged"`
}

// Applied is what an app was brought to.
type Applied struct {
	Revision *state.Revision `json:"revision,omitempty"`
	Chart    *state.Chart    `json:"chart,omitempty"`
}

// ObjectChange is an object that came into a set (create), left it (prune), or
// changed in it.
type ObjectChange struct {
	ID     object.ID   `json:"id"`
	Action plan.Action `json:"action"`
	// File is where the object stands now or, when it left, stood.
	File string           `json:"file,omitempty"`
	Diff []plan.FieldDiff `json:"diff,omitempty"`
	// Note is told beside the fields: that a Secret was written.
	Note string `json:"note,omitempty"`
}

// backwards is how many records before the older run are searched for the sets
// that stood then.
const backwards = 2000

// side is one of the two runs, with what is known of each app at that time.
type side struct {
	record state.Record
	sets   map[string]state.Ref
	states map[string]*Applied
	// told are the apps that a record up to then says are applied.
	told map[string]bool
}

func newSide(record state.Record) *side {
	return &side{record: record, sets: map[string]state.Ref{}, states: map[string]*Applied{}, told: map[string]bool{}}
}

// learn takes from a record what stood at the time of the side.
func (s *side) learn(record state.Record, app state.AppRecord) {
	if record.Seq > s.record.Seq {
		return
	}
	stood := app.Set != nil || app.Verdict == state.Changed || app.Verdict == state.Unchanged
	if stood && !s.told[app.Name] {
		s.told[app.Name] = true
		s.states[app.Name] = &Applied{Revision: app.Revision, Chart: app.Chart}
	}
	if _, known := s.sets[app.Name]; !known && app.Set != nil {
		s.sets[app.Name] = *app.Set
	}
}

// Diff gives what changed between the sets that stood carried out after two runs,
// of one app or, with "", of all that the records name. It asks the store for the
// records between them and two blobs an app that changed.
func (b Book) Diff(ctx context.Context, from, to state.Record, app string) (Diff, error) {
	diff := Diff{From: runOf(from), To: runOf(to)}
	before, after := newSide(from), newSide(to)
	written, whole, err := b.trace(ctx, before, after, app)
	if err != nil {
		return Diff{}, err
	}
	names := map[string]bool{}
	for _, s := range []*side{before, after} {
		for name := range s.told {
			names[name] = true
		}
	}
	if app != "" && !names[app] {
		return Diff{}, noRun("no record up to these runs tells that the app %q was applied", app)
	}
	diff.Apps = make([]AppDiff, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(wide)
	for i, name := range slices.Sorted(maps.Keys(names)) {
		group.Go(func() (err error) {
			diff.Apps[i], err = b.diffApp(ctx, name, before, after, written[name], whole)
			return err
		})
	}
	return diff, group.Wait()
}

// wide is how many apps are read at once.
const wide = 8

func runOf(r state.Record) Run { return Run{Seq: r.Seq, Run: r.Run, Finished: r.Finished} }

// trace walks back from the newer of two runs until it is known what stood at
// both. It gives the Secrets of each app that were written between them, with the record,
// and whether the walk came to the first record.
func (b Book) trace(ctx context.Context, before, after *side, only string) (written map[string]map[object.ID]uint64, whole bool, err error) {
	older, newer := min(before.record.Seq, after.record.Seq), max(before.record.Seq, after.record.Seq)
	wanted := map[string]bool{}
	for name := range b.head.Apps {
		wanted[name] = true
	}
	for _, record := range []state.Record{before.record, after.record} {
		for _, app := range record.Apps {
			wanted[app.Name] = true
		}
	}
	if only != "" {
		wanted = map[string]bool{only: true}
	}
	written = map[string]map[object.ID]uint64{}
	for record, err := range b.ledger.Walk(ctx, b.head, newer) {
		if err != nil {
			return nil, false, err
		}
		whole = record.Seq == 1
		for _, app := range record.Apps {
			if only != "" && app.Name != only {
				continue
			}
			before.learn(record, app)
			after.learn(record, app)
			if record.Seq <= older {
				continue
			}
			for _, c := range app.Changes {
				if c.ID.GroupKind() != (object.GroupKind{Kind: "Secret"}) || apply.Verdict(c.Outcome) != apply.Changed && apply.Verdict(c.Outcome) != apply.Replaced {
					continue
				}
				if written[app.Name] == nil {
					written[app.Name] = map[object.ID]uint64{}
				}
				if written[app.Name][c.ID] == 0 {
					written[app.Name][c.ID] = record.Seq
				}
			}
		}
		if record.Seq <= older && (settled(wanted, before, after) || older-record.Seq == backwards) {
			break
		}
	}
	return written, whole, nil
}

// settled says whether the set of every app is known at both times.
func settled(wanted map[string]bool, sides ...*side) bool {
	for name := range wanted {
		for _, s := range sides {
			if _, known := s.sets[name]; !known {
				return false
			}
		}
	}
	return true
}

func (b Book) diffApp(ctx context.Context, name string, before, after *side, written map[object.ID]uint64, whole bool) (AppDiff, error) {
	diff := AppDiff{App: name, From: before.states[name], To: after.states[name], Changes: []ObjectChange{}}
	var sets [2]state.StoredSet
	for i, s := range []*side{before, after} {
		ref, known := s.sets[name]
		switch {
		case !known && !s.told[name] && whole:
			continue // it was not there yet
		case !known:
			diff.Unknown = fmt.Sprintf("no record up to %d names a set that was kept", s.record.Seq)
			return diff, nil
		}
		set, err := b.set(ctx, ref)
		if errors.Is(err, state.ErrNotFound) {
			diff.Unknown = fmt.Sprintf("the set that stood after record %d is no longer kept (audit.retention)", s.record.Seq)
			return diff, nil
		}
		if err != nil {
			return diff, err
		}
		sets[i] = set
	}
	var err error
	diff.Changes, diff.Unchanged, err = Compare(sets[0], sets[1])
	diff.written(written, sets[0], sets[1])
	return diff, err
}

func (b Book) set(ctx context.Context, ref state.Ref) (state.StoredSet, error) {
	data, err := b.ledger.Recover(ctx, ref)
	if err != nil {
		return state.StoredSet{}, err
	}
	return state.DecodeSet(data)
}

// written notes which Secrets the runs between wrote: their values are kept
// nowhere, so that the sets alone do not tell.
func (d *AppDiff) written(runs map[object.ID]uint64, from, to state.StoredSet) {
	for id, seq := range runs {
		note := fmt.Sprintf("record %d wrote it; which values changed is kept nowhere", seq)
		if at, listed := slices.BinarySearchFunc(d.Changes, id, func(c ObjectChange, id object.ID) int { return c.ID.Compare(id) }); listed {
			d.Changes[at].Note = note
			continue
		}
		_, before := from.Lookup(id)
		if now, after := to.Lookup(id); before && after {
			d.Changes = append(d.Changes, ObjectChange{ID: id, Action: plan.Update, File: now.File, Note: note})
			d.Unchanged--
			slices.SortFunc(d.Changes, func(a, b ObjectChange) int { return a.ID.Compare(b.ID) })
		}
	}
}

// Compare gives what changed from one set to another, in the order of IDs, and
// how many objects did not.
func Compare(from, to state.StoredSet) (changes []ObjectChange, unchanged int, err error) {
	changes = []ObjectChange{}
	for _, now := range to.Objects {
		old, both := from.Lookup(now.ID)
		if !both {
			changes = append(changes, ObjectChange{ID: now.ID, Action: plan.Create, File: now.File})
			continue
		}
		fields, err := differ(old, now)
		if err != nil {
			return nil, 0, err
		}
		if len(fields) == 0 {
			unchanged++
			continue
		}
		changes = append(changes, ObjectChange{ID: now.ID, Action: plan.Update, File: now.File, Diff: fields})
	}
	for _, old := range from.Objects {
		if _, both := to.Lookup(old.ID); !both {
			changes = append(changes, ObjectChange{ID: old.ID, Action: plan.Prune, File: old.File})
		}
	}
	slices.SortFunc(changes, func(a, b ObjectChange) int { return a.ID.Compare(b.ID) })
	return changes, unchanged, nil
}

// differ lists the fields in which one object differs between two sets.
func differ(old, now state.StoredObject) ([]plan.FieldDiff, error) {
	a, err := old.Object()
	if err != nil {
		return nil, err
	}
	b, err := now.Object()
	if err != nil {
		return nil, err
	}
	var fields []plan.FieldDiff
	if old.Version != now.Version {
		fields = append(fields, plan.FieldDiff{Path: "apiVersion", Old: a.APIVersion(), New: b.APIVersion()})
	}
	return append(fields, plan.Diff(a.Content(), b.Content(), b.IsSecret(), nil)...), nil
}
