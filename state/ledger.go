package state

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// The names in a ledger.
const (
	headName    = "head.json"
	runsPrefix  = "runs/"
	probePrefix = "probe/"
	auditPrefix = "audit/"
)

const (
	defaultTTL      = time.Minute
	minTTL          = 3 * time.Second
	defaultPatience = 30 * time.Second
	// blobTimeout bounds one request for an immutable blob, which the lease does
	// not guard; those for the head are bounded by a part of the TTL.
	blobTimeout = 30 * time.Second
)

// Ledger is one ledger as one run sees it. It is safe for concurrent use.
type Ledger struct {
	store       Store
	run, holder string
	ttl         time.Duration
	patience    time.Duration
	clock       Clock
	racers      int
	lineage     string // of a ledger that does not exist yet
	requests    atomic.Int64

	mu     sync.Mutex // guards what follows
	random io.Reader
	sealed uint64           // the newest record that is known to stand in audit/
	used   map[string][]Ref // names given to Put, and what became of them
}

// Options say which run works on the ledger, and what it works with.
type Options struct {
	// Run is the id of the run, of NewRunID, and Holder says to people where it
	// runs. A Ledger that is only read needs neither.
	Run    string
	Holder string
	// TTL is how long the lease outlives its last renewal; 0 is a minute. Less
	// than 3 s is refused.
	TTL time.Duration
	// Patience is how long an unanswered request is repeated; 0 is 30 s.
	Patience time.Duration
	// Clock is the runner's clock; nil is the machine's.
	Clock Clock
	// Random is where nonces come from; nil is crypto/rand.
	Random io.Reader
	// Racers is how many writers race in a Probe; 0 is 32.
	Racers int
}

// Open gives the ledger in a store. Nothing is read yet.
func Open(store Store, options Options) (*Ledger, error) {
	l := &Ledger{
		store:    store,
		run:      options.Run,
		holder:   options.Holder,
		ttl:      options.TTL,
		patience: options.Patience,
		clock:    options.Clock,
		random:   options.Random,
		racers:   options.Racers,
		used:     map[string][]Ref{},
	}
	if l.ttl == 0 {
		l.ttl = defaultTTL
	}
	if l.ttl < minTTL {
		return nil, fmt.Errorf("open ledger: a lease of %s is too short: at least %s", l.ttl, minTTL)
	}
	if l.patience == 0 {
		l.patience = defaultPatience
	}
	if l.clock == nil {
		l.clock = SystemClock()
	}
	if l.racers == 0 {
		l.racers = defaultRacers
	}
	if l.random == nil {
		l.random = rand.Reader
	}
	var err error
	if l.lineage, err = l.draw(); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return l, nil
}

// Load reads the head. When there is none, it gives a head with Seq 0 and a
// newly drawn lineage, the same at each Load of this Ledger.
//
// Errors: ErrDamaged, ErrNewer, ErrRefused, ErrNoAnswer.
func (l *Ledger) Load(ctx context.Context) (Head, error) {
	blob, err := l.fetch(ctx, headName, l.headTimeout())
	if errors.Is(err, ErrNotFound) {
		return Head{Format: Format, Lineage: l.lineage, Apps: map[string]App{}}, nil
	}
	if err != nil {
		return Head{}, fmt.Errorf("read %s: %w", headName, err)
	}
	head, err := DecodeHead(blob.Data)
	if err != nil {
		return Head{}, fmt.Errorf("read %s: %w", headName, err)
	}
	head.Stamp = blob.Stamp
	return head, nil
}

// Run gives the id of the run that this ledger was opened for.
func (l *Ledger) Run() string { return l.run }

// TTL gives how long this run's lease outlives its last renewal.
func (l *Ledger) TTL() time.Duration { return l.ttl }

// Requests counts what was sent to the store so far.
func (l *Ledger) Requests() int64 { return l.requests.Load() }

// now gives the wall clock as it is stored.
func (l *Ledger) now() time.Time { return l.clock.Wall().UTC().Truncate(time.Millisecond) }

// draw gives 128 random bits in hexadecimal.
func (l *Ledger) draw() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var bits [16]byte
	if _, err := io.ReadFull(l.random, bits[:]); err != nil {
		return "", fmt.Errorf("draw a random number: %w", err)
	}
	return hex.EncodeToString(bits[:]), nil
}

// headTimeout bounds one request for the head, so that a hanging one leaves a
// holder time for another before its lease ends.
func (l *Ledger) headTimeout() time.Duration {
	return min(l.ttl/4, 10*time.Second)
}

// get asks the store once.
func (l *Ledger) get(ctx context.Context, name string, timeout time.Duration) (Blob, error) {
	l.requests.Add(1)
	ctx, cancel := within(ctx, l.clock, timeout)
	defer cancel()
	return l.store.Get(ctx, name)
}

// create asks the store once.
func (l *Ledger) create(ctx context.Context, name string, data []byte, timeout time.Duration) (Stamp, error) {
	l.requests.Add(1)
	ctx, cancel := within(ctx, l.clock, timeout)
	defer cancel()
	return l.store.Create(ctx, name, data)
}

// swap asks the store once.
func (l *Ledger) swap(ctx context.Context, name string, data []byte, version string, timeout time.Duration) (Stamp, error) {
	l.requests.Add(1)
	ctx, cancel := within(ctx, l.clock, timeout)
	defer cancel()
	return l.store.Swap(ctx, name, data, version)
}

// fetch reads an object, and asks again while there is no answer: ErrNotFound,
// ErrRefused, ErrNoAnswer.
func (l *Ledger) fetch(ctx context.Context, name string, timeout time.Duration) (Blob, error) {
	again := l.retry()
	for {
		blob, err := l.get(ctx, name, timeout)
		if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrRefused) {
			return blob, err
		}
		if err := again.wait(ctx, err); err != nil {
			return Blob{}, err
		}
	}
}
