package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Name is what people call an object.
type Name struct {
	// Kind as kubectl takes it, in any case: deployment, deployments.apps, deploy.
	Kind string
	// Namespace may be empty: then the object must be the only one of its name.
	Namespace string
	Name      string
}

// Why is the story of one object.
type Why struct {
	ID object.ID `json:"id"`
	// App is whose inventory holds the object; empty when none does.
	App string `json:"app,omitempty"`
	// Writes are what runs did to the object, newest first, back to where it came
	// from or as far as was looked.
	Writes []Write `json:"writes"`
	// Searched is how many records were read, and Whole says that they were all
	// that there are.
	Searched int  `json:"searched"`
	Whole    bool `json:"whole"`
}

// Write is one change of the object by one run.
type Write struct {
	Run
	Trigger string `json:"trigger"`
	Actor   string `json:"actor"`
	App     string `json:"app"`
	// Action, Reason, Outcome and Message are those of the record.
	Action  string `json:"action"`
	Reason  string `json:"reason"`
	Outcome string `json:"outcome"`
	Message string `json:"message,omitempty"`
	// From is the revision that was applied before, Applied the one that the run
	// brought.
	From string `json:"from,omitempty"`
	Applied
	// File and Document are where the object stood in the repository; in the
	// chart, where the app is one.
	File     string `json:"file,omitempty"`
	Document int    `json:"document,omitempty"`
	// Diff is what the run changed, of the newest writes; values of Secrets masked.
	Diff []plan.FieldDiff `json:"diff,omitempty"`
	// Unknown says why File or Diff are not known.
	Unknown string `json:"unknown,omitempty"`

	plan, set *state.Ref
}

// Why tells which runs wrote an object, of what revision and file, and what each
// replaced, the newest limit of them. ErrNoObject says that the ledger knows none
// of that name, or several.
func (b Book) Why(ctx context.Context, name Name, limit int) (Why, error) {
	owners, err := b.owners(ctx, name)
	if err != nil {
		return Why{}, err
	}
	why := Why{Writes: []Write{}}
	if len(owners) > 1 {
		return Why{}, several(slices.SortedFunc(maps.Keys(owners), object.ID.Compare))
	}
	for id, app := range owners {
		why.ID, why.App = id, app
	}
	if err := b.search(ctx, &why, name, limit); err != nil {
		return Why{}, err
	}
	if why.ID == (object.ID{}) {
		return Why{}, &UnknownError{Object: true, Message: "the ledger knows no " + name.String()}
	}
	for i := range why.Writes {
		if err := b.explain(ctx, &why.Writes[i], why.ID); err != nil {
			return Why{}, err
		}
	}
	return why, nil
}

func several(ids []object.ID) error {
	var names []string
	for _, id := range ids {
		names = append(names, id.String())
	}
	return &UnknownError{Object: true, Message: "several objects go by that name: " + strings.Join(names, ", ")}
}

// owners gives the objects of that name which an inventory holds, with their app.
func (b Book) owners(ctx context.Context, name Name) (map[object.ID]string, error) {
	names := slices.Sorted(maps.Keys(b.head.Apps))
	found := make([][]object.ID, len(names))
	var group errgroup.Group
	group.SetLimit(wide)
	for i, app := range names {
		ref := b.head.Apps[app].Inventory
		if ref == nil {
			continue
		}
		group.Go(func() error {
			data, err := b.ledger.Read(ctx, *ref)
			if err != nil {
				return err
			}
			inventory, err := state.DecodeInventory(data)
			for _, m := range inventory.Members {
				if name.names(m.ID) {
					found[i] = append(found[i], m.ID)
				}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("read inventories: %w", err)
	}
	owners := map[object.ID]string{}
	for i, ids := range found {
		for _, id := range ids {
			owners[id] = names[i]
		}
	}
	return owners, nil
}

// farthest is how many records are searched for what became of an object.
const farthest = 2000

// search walks back through the records. Without an ID it takes that of the
// newest change of an object of that name.
func (b Book) search(ctx context.Context, why *Why, name Name, limit int) error {
	waiting := map[string][]int{} // by app, writes whose set is not known yet
	come := false
	for record, err := range b.ledger.Walk(ctx, b.head, b.head.Audit.Seq) {
		if err != nil {
			return err
		}
		why.Searched++
		why.Whole = record.Seq == 1
		for _, app := range record.Apps {
			if app.Set != nil {
				for _, i := range waiting[app.Name] {
					why.Writes[i].set = app.Set
				}
				delete(waiting, app.Name)
			}
			for _, c := range app.Changes {
				if !wrote(c) || len(why.Writes) == limit || come {
					continue
				}
				if why.ID == (object.ID{}) && name.names(c.ID) {
					why.ID = c.ID
				}
				if c.ID != why.ID {
					continue
				}
				write := writeOf(record, app, c)
				if write.set == nil {
					waiting[app.Name] = append(waiting[app.Name], len(why.Writes))
				}
				why.Writes = append(why.Writes, write)
				come = apply.Verdict(c.Outcome) == apply.Created || apply.Verdict(c.Outcome) == apply.Adopted
			}
		}
		done := (come || len(why.Writes) == limit) && len(waiting) == 0
		if done || why.Searched == farthest {
			break
		}
	}
	return nil
}

// wrote says whether a change did anything to its object, or to who owns it.
func wrote(c state.Change) bool {
	switch apply.Verdict(c.Outcome) {
	case apply.Created, apply.Changed, apply.Adopted, apply.Replaced, apply.Pruned, apply.HandedOver, apply.Forgotten:
		return true
	case apply.Ran, apply.Pending:
		return c.Action == string(plan.Run) // else it only waited for what a run before made
	case apply.Spared, apply.Fenced, apply.Kept, apply.Reported, apply.Deferred, apply.Failed, apply.Moved,
		apply.TakenFirst, apply.Unknown, apply.Unsent, apply.Held:
	}
	return strings.HasPrefix(c.Outcome, "detach") || c.Action == "detach"
}

func writeOf(record state.Record, app state.AppRecord, c state.Change) Write {
	return Write{
		Run: runOf(record), Trigger: record.Trigger, Actor: record.Actor, App: app.Name,
		Action: c.Action, Reason: c.Reason, Outcome: c.Outcome, Message: c.Message,
		From: app.From, Applied: Applied{Revision: app.Revision, Chart: app.Chart},
		plan: app.Plan, set: app.Set,
	}
}

// explain reads where the object stood and what the run changed in it. What was
// collected since is told as not known.
func (b Book) explain(ctx context.Context, w *Write, id object.ID) error {
	if w.set != nil && apply.Verdict(w.Outcome) != apply.Pruned {
		set, err := b.set(ctx, *w.set)
		if err := w.missing(err); err != nil {
			return err
		}
		if o, found := set.Lookup(id); found {
			w.File, w.Document = o.File, o.Document
		}
	}
	if w.plan == nil {
		return nil
	}
	data, err := b.ledger.Recover(ctx, *w.plan)
	if err != nil {
		return w.missing(err)
	}
	var carried plan.Plan
	if err := json.Unmarshal(data, &carried); err != nil {
		return fmt.Errorf("%w: decode %s: %w", state.ErrDamaged, w.plan.Path, err)
	}
	for _, c := range carried.Changes {
		if c.ID == id {
			w.Diff = c.Diff
		}
	}
	return nil
}

// missing notes that something was collected; another error it gives back.
func (w *Write) missing(err error) error {
	if errors.Is(err, state.ErrNotFound) {
		w.Unknown = "what that run kept was collected since (audit.retention)"
		return nil
	}
	return err
}
