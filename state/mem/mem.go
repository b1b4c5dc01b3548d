// Package mem keeps a ledger in memory: for tests, and for trying things out.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tidemark.dev/tidemark/state"
)

// Options say how the store tells the time.
type Options struct {
	// Now is the store's clock; nil is the machine's.
	Now func() time.Time
}

// Store is a state.Store and state.Sweeper in memory.
type Store struct {
	now func() time.Time

	mu      sync.Mutex
	writes  int
	objects map[string]state.Blob
}

var (
	_ state.Store   = (*Store)(nil)
	_ state.Sweeper = (*Store)(nil)
)

// Open gives an empty store.
func Open(options Options) *Store {
	s := &Store{now: options.Now, objects: map[string]state.Blob{}}
	if s.now == nil {
		s.now = state.SystemClock().Wall
	}
	return s
}

// Get is state.Store's.
func (s *Store) Get(ctx context.Context, name string) (state.Blob, error) {
	if err := check(ctx, name); err != nil {
		return state.Blob{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	blob, found := s.objects[name]
	if !found {
		return state.Blob{}, fmt.Errorf("%s: %w", name, state.ErrNotFound)
	}
	blob.Data = bytes.Clone(blob.Data)
	blob.Now = s.now()
	return blob, nil
}

// Create is state.Store's.
func (s *Store) Create(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	if err := check(ctx, name); err != nil {
		return state.Stamp{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.objects[name]; found {
		return state.Stamp{}, fmt.Errorf("%s: %w", name, state.ErrExists)
	}
	return s.put(name, data), nil
}

// Swap is state.Store's.
func (s *Store) Swap(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
	if err := check(ctx, name); err != nil {
		return state.Stamp{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	blob, found := s.objects[name]
	switch {
	case !found:
		return state.Stamp{}, fmt.Errorf("%s: %w", name, state.ErrNotFound)
	case blob.Version != version:
		return state.Stamp{}, fmt.Errorf("%s: %w", name, state.ErrChanged)
	}
	return s.put(name, data), nil
}

func (s *Store) put(name string, data []byte) state.Stamp {
	s.writes++
	now := s.now()
	stamp := state.Stamp{Version: strconv.Itoa(s.writes), Modified: now, Now: now}
	s.objects[name] = state.Blob{Data: append([]byte{}, data...), Stamp: stamp}
	return stamp
}

// List is state.Sweeper's.
func (s *Store) List(ctx context.Context, prefix string) ([]state.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []state.Entry
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		if strings.HasPrefix(name, prefix) {
			blob := s.objects[name]
			entries = append(entries, state.Entry{Name: name, Size: int64(len(blob.Data)), Modified: blob.Modified})
		}
	}
	return entries, nil
}

// Delete is state.Sweeper's.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
	return nil
}

func check(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return state.CheckName(name)
}
