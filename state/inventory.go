package state

import (
	"fmt"
	"slices"
	"time"

	"tidemark.dev/tidemark/render/object"
)

// Inventory lists the objects of one app that may exist in the cluster and are
// ours. Members are sorted by ID, each ID once. It is a value: the functions
// that change it give another one. The zero value is the empty inventory.
type Inventory struct {
	Format  int      `json:"format"`
	App     string   `json:"app"`
	Members []Member `json:"members"`
}

// Member is one object that may exist.
type Member struct {
	ID object.ID `json:"id"`
	// Version is the API version that was applied last, without its group.
	Version string `json:"version"`
	// UID is empty until an answer of the server named it.
	UID    string `json:"uid,omitempty"`
	Origin Origin `json:"origin"`
	// Kept: the object left the set and opted out of pruning; it stays a member
	// until it is detached.
	Kept bool `json:"kept,omitempty"`
	// Hook: the object was made by a hook.
	Hook bool `json:"hook,omitempty"`
	// Ghost is set, with the time, when a create was sent and never answered; it
	// stays for as long as that create may still arrive.
	Ghost *time.Time `json:"ghost,omitempty"`
	// Unsettled is set, with the time, for a member of a plan that its own run
	// did not settle. Both times are by the store's clock (Stamp.Now).
	Unsettled *time.Time `json:"unsettled,omitempty"`
	// Digest is object.Object.Digest of what was applied last; it says nothing
	// about the values of a Secret.
	Digest string `json:"digest,omitempty"`
}

// Origin is how an object came to be ours.
type Origin string

// The origins.
const (
	Created Origin = "created"
	Adopted Origin = "adopted"
)

// Lookup gives the member with an ID.
func (inv Inventory) Lookup(id object.ID) (Member, bool) {
	at, found := slices.BinarySearchFunc(inv.Members, id, func(m Member, id object.ID) int { return m.ID.Compare(id) })
	if !found {
		return Member{}, false
	}
	return inv.Members[at], true
}

// Widen adds members that are not in the inventory yet; those that are stay
// as they are. It is what a Claim commits before the first write: owned ∪ what
// the plan creates or adopts.
func (inv Inventory) Widen(added ...Member) Inventory {
	return inv.merge(added, false)
}

// Update adds members, and replaces those with the same ID.
func (inv Inventory) Update(members ...Member) Inventory {
	return inv.merge(members, true)
}

func (inv Inventory) merge(members []Member, replace bool) Inventory {
	byID := make(map[object.ID]Member, len(inv.Members)+len(members))
	for _, m := range inv.Members {
		byID[m.ID] = m
	}
	for _, m := range members {
		if _, found := byID[m.ID]; !found || replace {
			byID[m.ID] = m
		}
	}
	inv.Members = make([]Member, 0, len(byID))
	for _, m := range byID {
		inv.Members = append(inv.Members, m)
	}
	slices.SortFunc(inv.Members, func(a, b Member) int { return a.ID.Compare(b.ID) })
	return inv
}

// Narrow removes members. The caller must have proof that each is gone (a 404
// while discovery of its kind is complete, and Member.Forgettable), that another
// owner took it, or that it was detached.
func (inv Inventory) Narrow(gone ...object.ID) Inventory {
	drop := make(map[object.ID]bool, len(gone))
	for _, id := range gone {
		drop[id] = true
	}
	members := make([]Member, 0, len(inv.Members))
	for _, m := range inv.Members {
		if !drop[m.ID] {
			members = append(members, m)
		}
	}
	inv.Members = members
	return inv
}

// Doubt gives the inventory of a run that was taken over: every member that
// pick selects is marked Unsettled since the given time, by the store's clock,
// unless it is marked already.
func (inv Inventory) Doubt(since time.Time, pick func(Member) bool) Inventory {
	inv.Members = slices.Clone(inv.Members)
	for i, m := range inv.Members {
		if m.Unsettled == nil && pick(m) {
			inv.Members[i].Unsettled = &since
		}
	}
	return inv
}

// Haunt gives the inventory with every member that pick selects marked as a Ghost
// since the given time, by the store's clock.
func (inv Inventory) Haunt(since time.Time, pick func(Member) bool) Inventory {
	inv.Members = slices.Clone(inv.Members)
	for i, m := range inv.Members {
		if pick(m) {
			inv.Members[i].Ghost = &since
		}
	}
	return inv
}

// InDoubt says whether it is not known what of the member stands in the cluster.
// A ghost that was found, or made again, is not: no late create writes over it.
func (m Member) InDoubt() bool { return m.Unsettled != nil || m.Ghost != nil && m.UID == "" }

// Forgettable says whether a 404 that was seen at a time, by the store's clock,
// proves that the member is gone. A request of a dead run may still be on its
// way to the server, so a ghost or an unsettled member needs a 404 seen more than
// 2 TTL + 60 s after the doubt began.
func (m Member) Forgettable(seen time.Time, ttl time.Duration) bool {
	for _, since := range []*time.Time{m.Ghost, m.Unsettled} {
		if since != nil && seen.Sub(*since) <= 2*ttl+time.Minute {
			return false
		}
	}
	return true
}

// Encode gives the bytes to store.
func (inv Inventory) Encode() ([]byte, error) {
	inv.Format = Format
	if inv.Members == nil {
		inv.Members = []Member{}
	}
	data, err := encode(inv)
	if err != nil {
		return nil, fmt.Errorf("encode inventory of %s: %w", inv.App, err)
	}
	return data, nil
}

// DecodeInventory reads what Encode gave. Anything else is ErrDamaged, or
// ErrNewer.
func DecodeInventory(data []byte) (Inventory, error) {
	var inv Inventory
	if err := decode(data, &inv); err != nil {
		return Inventory{}, fmt.Errorf("decode inventory: %w", err)
	}
	for i, m := range inv.Members {
		if i > 0 && inv.Members[i-1].ID.Compare(m.ID) >= 0 {
			return Inventory{}, fmt.Errorf("decode inventory: %w: %s is out of order", ErrDamaged, m.ID)
		}
		if m.ID.Kind == "" || m.ID.Name == "" {
			return Inventory{}, fmt.Errorf("decode inventory: %w: member %d has no kind or name", ErrDamaged, i+1)
		}
		if m.Origin != Created && m.Origin != Adopted {
			return Inventory{}, fmt.Errorf("decode inventory: %w: %s has origin %q", ErrDamaged, m.ID, m.Origin)
		}
	}
	return inv, nil
}
