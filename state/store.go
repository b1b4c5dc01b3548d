package state

import (
	"context"
	"errors"
	"time"
)

// Store holds named objects and moves them by conditional writes. Names are
// slash-separated paths of letters, digits, '.', '_' and '-'; the store keeps
// them below its own prefix. A store is safe for concurrent use, reads its own
// writes, keeps no slice it was given and gives slices that are the caller's.
//
// ErrNotFound, ErrExists and ErrChanged are certain answers of the store about
// one request; ErrRefused says that asking again is useless. After any other
// error of Create and Swap it is unknown whether the write was done. A store
// never repeats a write by itself, unless the store said that it did nothing.
type Store interface {
	// Get gives an object, or ErrNotFound.
	Get(ctx context.Context, name string) (Blob, error)
	// Create writes an object that does not exist, or gives ErrExists.
	Create(ctx context.Context, name string, data []byte) (Stamp, error)
	// Swap overwrites an object whose version is still the given one. Otherwise
	// it gives ErrChanged; when there is no object, ErrNotFound or ErrChanged.
	Swap(ctx context.Context, name string, data []byte, version string) (Stamp, error)
}

// Sweeper is a Store that can also be cleaned up. It is optional.
type Sweeper interface {
	// List gives all objects whose name begins with prefix, sorted by name. A
	// list that did not come whole is an error.
	List(ctx context.Context, prefix string) ([]Entry, error)
	// Delete removes an object; one that does not exist is no error.
	Delete(ctx context.Context, name string) error
}

// Blob is an object as it was read.
type Blob struct {
	Data []byte
	Stamp
}

// Stamp is what a store says about an object beside its data.
type Stamp struct {
	// Version is what Swap compares: an ETag, a generation. It is opaque.
	Version string
	// Modified is when this version was written, by the store's clock. A store
	// that does not say so on a write leaves it zero there.
	Modified time.Time
	// Now is when the store answered, by the same clock. Now less Modified is
	// the version's age, whatever the clocks of the runners say.
	Now time.Time
}

// Entry is one object of a List.
type Entry struct {
	Name     string
	Size     int64
	Modified time.Time
}

// What a store answers for certain.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrChanged  = errors.New("changed in the meantime")
	// ErrRefused is the case of wrong credentials, a missing permission or a
	// missing bucket: configuration, not weather.
	ErrRefused = errors.New("refused by the store")
)
