package reconcile

import (
	"cmp"
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// width is how many requests to the cluster a run has under way at once, for all
// of its apps together.
const width = 32

// storing is how many blobs are read or written at once.
const storing = 16

// rendering is how many apps are rendered at once: a rendering asks for nothing
// but memory and time.
func rendering() int { return runtime.GOMAXPROCS(0) }

// each does work for every item, width at once of the whole run. The work must
// not call each.
func each[T any](r *runner, items []T, work func(T)) {
	var group errgroup.Group
	group.SetLimit(width)
	for _, item := range items {
		group.Go(func() error {
			r.gate <- struct{}{}
			defer func() { <-r.gate }()
			work(item)
			return nil
		})
	}
	_ = group.Wait()
}

// abreast does work for every item, one a goroutine, at most limit at once; 0 is
// all of them. The work may call each.
func abreast[T any](items []T, limit int, work func(T)) {
	var group errgroup.Group
	if limit > 0 {
		group.SetLimit(limit)
	}
	for _, item := range items {
		group.Go(func() error {
			work(item)
			return nil
		})
	}
	_ = group.Wait()
}

// storeAll does work for as many blobs, storing at once, and gives the first error
// in their order: the same failures give the same words.
func storeAll(blobs int, work func(i int) error) error {
	errs := make([]error, blobs)
	var group errgroup.Group
	group.SetLimit(storing)
	for i := range blobs {
		group.Go(func() error {
			errs[i] = work(i)
			return nil
		})
	}
	_ = group.Wait()
	return cmp.Or(errs...)
}

// foundations lets apps that are applied side by side wait for each other until
// the definitions and namespaces of all of them stand: what one brings, another
// may need.
type foundations struct {
	laying sync.WaitGroup
	laid   chan struct{}
}

func newFoundations(apps int) *foundations {
	f := &foundations{laid: make(chan struct{})}
	f.laying.Add(apps)
	go func() {
		f.laying.Wait()
		close(f.laid)
	}()
	return f
}

// wait says, once for each app, that its own stand or never will, and waits for
// the others'.
func (f *foundations) wait(ctx context.Context) {
	f.laying.Done()
	select {
	case <-f.laid:
	case <-ctx.Done():
	}
}
