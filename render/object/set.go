package object

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// Set holds the desired objects of one app, sorted by ID, each ID once. The
// zero value is the empty set. A Set is never edited after it was made.
type Set struct {
	objects []Object
}

// DuplicateError says that two manifests give the same object.
type DuplicateError struct {
	ID            ID
	First, Second Origin
	Identical     bool
}

// Error names the object and both places it was read from.
func (e *DuplicateError) Error() string {
	how := "with different contents"
	if e.Identical {
		how = "twice, with identical contents"
	}
	return fmt.Sprintf("%s is given %s: in %s and in %s", e.ID, how, e.First, e.Second)
}

// NewSet sorts objects into a Set. An ID that occurs twice is a DuplicateError;
// with merge, identical ones become one. All duplicates are reported at once.
// The caller's slice stays as it is.
func NewSet(objects []Object, merge bool) (Set, error) {
	sorted := slices.Clone(objects)
	slices.SortStableFunc(sorted, func(a, b Object) int { return a.ID.Compare(b.ID) })
	kept := sorted[:0]
	var errs []error
	for _, o := range sorted {
		if len(kept) == 0 || kept[len(kept)-1].ID != o.ID {
			kept = append(kept, o)
			continue
		}
		first := kept[len(kept)-1]
		identical, err := same(first, o)
		if err != nil {
			return Set{}, err
		}
		if !identical || !merge {
			errs = append(errs, &DuplicateError{ID: o.ID, First: first.Origin, Second: o.Origin, Identical: identical})
		}
	}
	if len(errs) > 0 {
		return Set{}, errors.Join(errs...)
	}
	return Set{objects: kept}, nil
}

func same(a, b Object) (bool, error) {
	first, err := a.JSON()
	if err != nil {
		return false, err
	}
	second, err := b.JSON()
	if err != nil {
		return false, err
	}
	return bytes.Equal(first, second), nil
}

// Objects gives the objects in order. The slice is shared: the caller must not
// edit it.
func (s Set) Objects() []Object { return s.objects }

// Len gives the number of objects.
func (s Set) Len() int { return len(s.objects) }

// Get gives the object with that ID, and whether the set holds it.
func (s Set) Get(id ID) (Object, bool) {
	i := sort.Search(len(s.objects), func(i int) bool { return s.objects[i].ID.Compare(id) >= 0 })
	if i < len(s.objects) && s.objects[i].ID == id {
		return s.objects[i], true
	}
	return Object{}, false
}

// Digest gives the SHA-256, in hexadecimal, over the IDs, versions and digests
// of all objects in order. Like Object.Digest it leaves Secret values out.
func (s Set) Digest() (string, error) {
	hash := sha256.New()
	for _, o := range s.objects {
		digest, err := o.Digest()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %s %s\n", o.ID.Mark(), o.Version, digest)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
