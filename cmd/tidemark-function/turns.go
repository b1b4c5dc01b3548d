package main

import (
	"context"
	"errors"
)

var (
	// errWaits: a whole run waits for its turn already, and will see whatever this
	// one would see.
	errWaits = errors.New("another one waits")
	// errBusy: a run is under way, and an order for some apps is not kept.
	errBusy = errors.New("a run is under way")
)

// turns lets one run at a time go on, and one wait: more of them would see nothing
// new.
type turns struct {
	running, waiting chan struct{}
}

func newTurns() turns {
	return turns{running: make(chan struct{}, 1), waiting: make(chan struct{}, 1)}
}

// take gives the turn, to be given back by done. A whole run waits for it, unless
// another one does.
func (t turns) take(ctx context.Context, whole bool) (done func(), err error) {
	done = func() { <-t.running }
	select {
	case t.running <- struct{}{}:
		return done, nil
	default:
	}
	if !whole {
		return nil, errBusy
	}
	select {
	case t.waiting <- struct{}{}:
	default:
		return nil, errWaits
	}
	defer func() { <-t.waiting }()
	select {
	case t.running <- struct{}{}:
		return done, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
