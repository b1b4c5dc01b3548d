package state

import (
	"fmt"
	"slices"

	"tidemark.dev/tidemark/render/object"
)

// Observation is what was seen of the ledger's objects last: a cache, one per
// ledger, that may be lost without harm.
type Observation struct {
	Format  int    `json:"format"`
	Objects []Seen `json:"objects"`
}

// Seen is what was seen of one object.
type Seen struct {
	ID              object.ID `json:"id"`
	UID             string    `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
	Generation      int64     `json:"generation,omitempty"`
	// Digest covers labels, annotations, finalizers, ownerReferences and
	// deletionTimestamp.
	Digest string `json:"digest"`
}

// NewObservation sorts what was seen into an Observation. Of two with the same
// ID the last counts.
func NewObservation(seen []Seen) Observation {
	sorted := slices.Clone(seen)
	slices.SortStableFunc(sorted, func(a, b Seen) int { return a.ID.Compare(b.ID) })
	kept := make([]Seen, 0, len(sorted))
	for _, s := range sorted {
		if n := len(kept); n > 0 && kept[n-1].ID == s.ID {
			kept[n-1] = s
			continue
		}
		kept = append(kept, s)
	}
	return Observation{Format: Format, Objects: kept}
}

// Lookup gives what was seen of an object.
func (o Observation) Lookup(id object.ID) (Seen, bool) {
	at, found := slices.BinarySearchFunc(o.Objects, id, func(s Seen, id object.ID) int { return s.ID.Compare(id) })
	if !found {
		return Seen{}, false
	}
	return o.Objects[at], true
}

// Encode gives the bytes to store.
func (o Observation) Encode() ([]byte, error) {
	o.Format = Format
	if o.Objects == nil {
		o.Objects = []Seen{}
	}
	data, err := encode(o)
	if err != nil {
		return nil, fmt.Errorf("encode observation: %w", err)
	}
	return data, nil
}

// DecodeObservation reads what Encode gave. Anything else is ErrDamaged, or
// ErrNewer; the caller may then go on without an observation.
func DecodeObservation(data []byte) (Observation, error) {
	var o Observation
	if err := decode(data, &o); err != nil {
		return Observation{}, fmt.Errorf("decode observation: %w", err)
	}
	for i := 1; i < len(o.Objects); i++ {
		if o.Objects[i-1].ID.Compare(o.Objects[i].ID) >= 0 {
			return Observation{}, fmt.Errorf("decode observation: %w: %s is out of order", ErrDamaged, o.Objects[i].ID)
		}
	}
	return o, nil
}
