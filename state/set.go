package state

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"tidemark.dev/tidemark/render/object"
)

// StoredSet is the desired set of one app as a run carried it out: what history
// tells of, and what a plan without a cluster is made against. The objects are as
// they were rendered, without our marks, and Secrets without their values.
type StoredSet struct {
	Format int    `json:"format"`
	App    string `json:"app"`
	// Digest is object.Set.Digest of the set.
	Digest string `json:"digest"`
	// Objects are sorted by ID, each ID once.
	Objects []StoredObject `json:"objects"`
}

// StoredObject is one object of a StoredSet.
type StoredObject struct {
	ID      object.ID `json:"id"`
	Version string    `json:"version"`
	// File and Document are the object's object.Origin.
	File     string          `json:"file,omitempty"`
	Document int             `json:"document,omitempty"`
	Content  json.RawMessage `json:"content"`
}

// largestSet bounds what a stored set may unpack to.
const largestSet = 1 << 30

// StoreSet gives a set as it is stored.
func StoreSet(app, digest string, set object.Set) (StoredSet, error) {
	stored := StoredSet{App: app, Digest: digest}
	for _, o := range set.Objects() {
		content, err := o.Unmarked().Masked().JSON()
		if err != nil {
			return StoredSet{}, fmt.Errorf("store the set of %s: %w", app, err)
		}
		stored.Objects = append(stored.Objects, StoredObject{ID: o.ID, Version: o.Version, File: o.Origin.File, Document: o.Origin.Document, Content: content})
	}
	return stored, nil
}

// Lookup gives the object with an ID.
func (s StoredSet) Lookup(id object.ID) (StoredObject, bool) {
	at, found := slices.BinarySearchFunc(s.Objects, id, func(o StoredObject, id object.ID) int { return o.ID.Compare(id) })
	if !found {
		return StoredObject{}, false
	}
	return s.Objects[at], true
}

// Object gives the object as it was desired; a Secret has no values.
func (o StoredObject) Object() (object.Object, error) {
	objects, err := object.Decode("stored.json", o.Content)
	if err != nil || len(objects) != 1 {
		return object.Object{}, fmt.Errorf("%w: %s is stored as no object: %w", ErrDamaged, o.ID, err)
	}
	found := objects[0]
	found.ID, found.Origin = o.ID, object.Origin{File: o.File, Document: o.Document}
	return found, nil
}

// Encode gives the set as JSON; Pack what is stored of it.
func (s StoredSet) Encode() ([]byte, error) {
	s.Format = Format
	if s.Objects == nil {
		s.Objects = []StoredObject{}
	}
	data, err := encode(s)
	if err != nil {
		return nil, fmt.Errorf("encode the set of %s: %w", s.App, err)
	}
	return data, nil
}

// Pack compresses what Encode gave.
func Pack(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// DecodeSet reads what Encode gave, packed or not. Anything else is ErrDamaged,
// or ErrNewer.
func DecodeSet(data []byte) (StoredSet, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(r, largestSet))
		}
		if err != nil {
			return StoredSet{}, fmt.Errorf("decode set: %w: %w", ErrDamaged, err)
		}
	}
	var s StoredSet
	if err := decode(data, &s); err != nil {
		return StoredSet{}, fmt.Errorf("decode set: %w", err)
	}
	for i, o := range s.Objects {
		if i > 0 && s.Objects[i-1].ID.Compare(o.ID) >= 0 {
			return StoredSet{}, fmt.Errorf("decode set: %w: %s is out of order", ErrDamaged, o.ID)
		}
	}
	return s, nil
}
