package reconcile

import (
	"context"
	"maps"
	"slices"

	"tidemark.dev/tidemark/state"
)

// Holding is what a ledger knows of one app.
type Holding struct {
	Name string
	state.App
	Members []state.Member
	// Err says why the inventory cannot be read.
	Err error
}

// Tally counts the members of an inventory. Ghosts and Doubted are members too,
// of either origin.
type Tally struct {
	Objects int `json:"objects"`
	Created int `json:"created"`
	Adopted int `json:"adopted"`
	// Kept left the repository, and may not be pruned.
	Kept int `json:"kept"`
	// Ghosts were sent, and never answered.
	Ghosts int `json:"ghosts"`
	// Doubted may still meet a request of a run that died.
	Doubted int `json:"doubted"`
}

// Holdings reads what a head says of each app, sorted by name.
func Holdings(ctx context.Context, ledger *state.Ledger, head state.Head) []Holding {
	var all []Holding
	for _, name := range slices.Sorted(maps.Keys(head.Apps)) {
		inventory, err := inventoryOf(ctx, ledger, name, head.Apps[name].Inventory)
		all = append(all, Holding{Name: name, App: head.Apps[name], Members: inventory.Members, Err: within(ctx, err)})
	}
	return all
}

// Tally counts the members.
func (h Holding) Tally() Tally {
	t := Tally{Objects: len(h.Members)}
	for _, m := range h.Members {
		switch m.Origin {
		case state.Created:
			t.Created++
		case state.Adopted:
			t.Adopted++
		}
		if m.Kept {
			t.Kept++
		}
		if m.Ghost != nil && m.UID == "" {
			t.Ghosts++
		}
		if m.Unsettled != nil {
			t.Doubted++
		}
	}
	return t
}
