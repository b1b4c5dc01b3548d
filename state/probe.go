package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// defaultRacers is how many writers race in a Probe: enough that a store which
// reads, compares and then writes lets two of them through.
const defaultRacers = 32

// Probed is what a Probe saw.
type Probed struct {
	// Passed says what the store did right, in the order in which it was tried.
	Passed []string
	// Unknown is how many answers left open whether a write was done. They prove
	// nothing, so what the store then held was looked at instead.
	Unknown int
	// Skew is by how much the store's clock is ahead of the runner's, to about a
	// second: the least that explains its answers. It is for people; no deadline
	// compares the two clocks.
	Skew time.Duration
	// Left is the object that could not be removed again, if any.
	Left string
}

// Probe proves that the store honours conditions and reads its own writes: of
// racing creates one wins, of racing swaps from one version one wins, a stale
// version is refused, and each write is read back at once. It works on an object
// of its own below probe/, which it removes again where the store is a Sweeper.
//
// Errors: ErrUnfit says what the store did wrong; ErrNoAnswer means that nothing
// is known; ErrRefused.
func (l *Ledger) Probe(ctx context.Context) (Probed, error) {
	if l.run == "" {
		return Probed{}, errors.New("probe the store: the ledger was opened without a run")
	}
	nonce, err := l.draw()
	if err != nil {
		return Probed{}, fmt.Errorf("probe the store: %w", err)
	}
	p := &probe{Ledger: l, name: probePrefix + l.run + "/" + nonce}
	err = p.try(ctx)
	p.remove(ctx)
	if err != nil {
		return p.seen, fmt.Errorf("probe the store: %w", err)
	}
	return p.seen, nil
}

// probe is one Probe under way.
type probe struct {
	*Ledger
	name string
	seen Probed
}

// try is the probe. Each step goes on from the object as the one before left it.
func (p *probe) try(ctx context.Context) error {
	_, err := p.fetch(ctx, p.name, blobTimeout) // A store that remembers this answer reads stale.
	if err == nil {
		return fmt.Errorf("%w: %s exists, and nobody wrote it", ErrUnfit, p.name)
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	racers := fmt.Sprintf("%d racing ", p.racers)
	created, err := p.step(ctx, racers+"creates: one winner", p.racers, Blob{})
	if err != nil {
		return err
	}
	swapped, err := p.step(ctx, racers+"swaps from one version: one winner", p.racers, created)
	if err != nil {
		return err
	}
	read, err := p.stale(ctx, created.Version, swapped)
	if err != nil {
		return err
	}
	_, err = p.step(ctx, "own writes are read back at once", 1, read)
	return err
}

// step is a race under the name by which people are told of it.
func (p *probe) step(ctx context.Context, what string, racers int, before Blob) (Blob, error) {
	after, err := p.race(ctx, what, racers, before)
	if err != nil {
		return Blob{}, fmt.Errorf("%s: %w", what, err)
	}
	p.seen.Passed = append(p.seen.Passed, what)
	return after, nil
}

// race lets racers write the object as it was before, which has no version when
// it is not there, and gives it as the winner left it, with the version that he
// was told. While nobody won, the same bytes are sent again: a write can be
// refused, or get lost, without fault.
func (p *probe) race(ctx context.Context, what string, racers int, before Blob) (Blob, error) {
	again := p.retry()
	for {
		answers := p.send(ctx, what, racers, before.Version)
		if ctx.Err() != nil {
			return Blob{}, context.Cause(ctx)
		}
		now, err := p.read(ctx)
		if err != nil {
			return Blob{}, err
		}
		var won []int
		var refused, unknown error
		for racer, a := range answers {
			switch {
			case a.err == nil:
				won = append(won, racer)
			case errors.Is(a.err, ErrRefused):
				return Blob{}, a.err
			case isCertain(a.err):
				refused = a.err
			default:
				unknown = a.err
				p.seen.Unknown++
			}
		}
		holder := slices.IndexFunc(p.entries(what, racers), func(entry []byte) bool { return bytes.Equal(entry, now.Data) })
		switch {
		case len(won) > 1:
			return Blob{}, fmt.Errorf("%w: %d of %d were told that they won", ErrUnfit, len(won), racers)
		case len(won) == 1 && holder != won[0]:
			return Blob{}, fmt.Errorf("%w: writer %d was told that it won, but the store then %s", ErrUnfit, won[0]+1, holds(now, before, holder))
		case len(won) == 1:
			now.Version = answers[holder].version
			return now, nil
		case holder >= 0:
			return now, nil
		case !bytes.Equal(now.Data, before.Data):
			return Blob{}, fmt.Errorf("%w: nobody was told that he won, but the store then %s", ErrUnfit, holds(now, before, holder))
		}
		if err := again.wait(ctx, errors.Join(refused, unknown)); errors.Is(err, ErrNoAnswer) && unknown == nil {
			return Blob{}, fmt.Errorf("%w: nobody wins, and the store %s: %w", ErrUnfit, holds(now, before, holder), refused)
		} else if err != nil {
			return Blob{}, err
		}
	}
}

// answer is what one racer was told.
type answer struct {
	version string
	err     error
}

// send lets all racers write at the same time and gives their answers.
func (p *probe) send(ctx context.Context, what string, racers int, version string) []answer {
	answers := make([]answer, racers)
	start := make(chan struct{})
	var wait sync.WaitGroup
	for racer, entry := range p.entries(what, racers) {
		wait.Go(func() {
			<-start
			var stamp Stamp
			var err error
			if version == "" {
				stamp, err = p.create(ctx, p.name, entry, blobTimeout)
			} else {
				stamp, err = p.swap(ctx, p.name, entry, version, blobTimeout)
			}
			answers[racer] = answer{stamp.Version, err}
		})
	}
	close(start)
	wait.Wait()
	return answers
}

// entries are what the racers write, each something else.
func (p *probe) entries(what string, racers int) [][]byte {
	entries := make([][]byte, racers)
	for racer := range entries {
		entries[racer] = fmt.Appendf(nil, `{"probe":%q,"writer":%d}`, what, racer+1)
	}
	return entries
}

// stale proves that a version which was overwritten is refused, and gives the
// object as it is.
func (p *probe) stale(ctx context.Context, version string, current Blob) (Blob, error) {
	const what = "a stale version is refused"
	again := p.retry()
	for {
		_, err := p.swap(ctx, p.name, []byte(`{"probe":"stale"}`), version, blobTimeout)
		if ctx.Err() != nil {
			return Blob{}, context.Cause(ctx)
		}
		now, readErr := p.read(ctx)
		switch {
		case readErr != nil:
			return Blob{}, readErr
		case err == nil:
			return Blob{}, fmt.Errorf("%s: %w: it was accepted", what, ErrUnfit)
		case !bytes.Equal(now.Data, current.Data):
			return Blob{}, fmt.Errorf("%s: %w: the store then %s", what, ErrUnfit, holds(now, current, -1))
		case errors.Is(err, ErrRefused):
			return Blob{}, err
		case isCertain(err):
			p.seen.Passed = append(p.seen.Passed, what)
			return now, nil
		}
		p.seen.Unknown++
		if err := again.wait(ctx, err); err != nil {
			return Blob{}, err
		}
	}
}

// read gives the object, which is empty when there is none, and compares the
// clocks.
func (p *probe) read(ctx context.Context) (Blob, error) {
	asked := p.clock.Wall()
	now, err := p.fetch(ctx, p.name, blobTimeout)
	if errors.Is(err, ErrNotFound) {
		return Blob{}, nil
	}
	if err != nil {
		return Blob{}, err
	}
	if now.Now.IsZero() || now.Modified.IsZero() {
		return Blob{}, fmt.Errorf("%w: it does not say what time it is, or when an object was written, so that a dead run could not be told from a living one", ErrUnfit)
	}
	p.seen.Skew = skew(now.Now, asked, p.clock.Wall())
	return now, nil
}

// skew gives the least by which the store's clock can be ahead of a runner that
// asked and was answered at these times. Stores tell whole seconds, cut off.
func skew(store, asked, answered time.Time) time.Duration {
	least, most := store.Sub(answered), store.Sub(asked)+time.Second
	switch {
	case least > 0:
		return least
	case most < 0:
		return most
	}
	return 0
}

// remove takes the object away again.
func (p *probe) remove(ctx context.Context) {
	p.seen.Left = p.name
	if sweeper, ok := p.store.(Sweeper); ok {
		p.requests.Add(1)
		ctx, cancel := within(ctx, p.clock, blobTimeout)
		defer cancel()
		if sweeper.Delete(ctx, p.name) == nil {
			p.seen.Left = ""
		}
	}
}

// isCertain says whether a write was answered with something that the store
// knows of the object.
func isCertain(err error) bool {
	return errors.Is(err, ErrExists) || errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound)
}

// holds says what was found in place of what should be there.
func holds(now, before Blob, holder int) string {
	switch {
	case now.Version == "":
		return "shows no object"
	case holder >= 0:
		return fmt.Sprintf("holds what writer %d wrote", holder+1)
	case bytes.Equal(now.Data, before.Data):
		return "holds what it held before"
	}
	return fmt.Sprintf("holds %.60q", now.Data)
}
