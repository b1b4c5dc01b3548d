package state

import (
	"context"
	"errors"
	"io"
	"time"
)

// The names in a ledger.
const (
	headName    = "head.json"
	runsPrefix  = "runs/"
	auditPrefix = "audit/"
)

// Ledger is one ledger as one run sees it. It is safe for concurrent use.
type Ledger struct {
	store   Store
	options Options
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
}

var errTODO = errors.New("not built yet")

// Open gives the ledger in a store. Nothing is read yet.
func Open(store Store, options Options) (*Ledger, error) { return nil, errTODO }

// NewRunID draws the id of a run: a ULID, so that ids sort by time.
func NewRunID(now time.Time, random io.Reader) (string, error) { return "", errTODO }

// Load reads the head. When there is none, it gives a head with Seq 0 and a
// newly drawn lineage, the same at each Load of this Ledger.
//
// Errors: ErrDamaged, ErrNewer, ErrRefused, ErrNoAnswer.
func (l *Ledger) Load(ctx context.Context) (Head, error) { return Head{}, errTODO }

// Put writes an immutable blob of this run. A name that this Ledger used before
// gets a number ("plan-web-2"), unless the bytes are the same.
func (l *Ledger) Put(ctx context.Context, name string, data []byte) (Ref, error) {
	return Ref{}, errTODO
}

// Read gives a blob that a head names and checks its hash. A blob that is
// missing or another is ErrDamaged when the current head still names it, and
// ErrRestart when the head has moved on.
func (l *Ledger) Read(ctx context.Context, ref Ref) ([]byte, error) { return nil, errTODO }

// Requests counts what was sent to the store so far.
func (l *Ledger) Requests() int64 { return 0 }

// Wait watches a head that is not Idle until its holder shows life, or has
// stood still so long that it can be taken over: 1.25 TTL on this runner's
// monotonic clock and more than one TTL by the store's clock. TTL is the holder's.
// A timeout above 0 bounds the wait.
func (l *Ledger) Wait(ctx context.Context, head Head, timeout time.Duration) (Waited, error) {
	return Waited{}, errTODO
}

// Waited is what came of a Wait.
type Waited struct {
	End WaitEnd
	// Head is the newest one.
	Head Head
}

// WaitEnd is how a Wait ended.
type WaitEnd string

// The ends of a Wait.
const (
	// Moved: the holder lives. The run is skipped.
	Moved WaitEnd = "moved"
	// Freed: it moved, and nobody holds the lease now. A scheduled run is skipped
	// like after Moved; a command that a person waits for may start.
	Freed WaitEnd = "freed"
	// Stale: the holder is dead. TakeOver.
	Stale WaitEnd = "stale"
	// TimedOut: neither was certain when the timeout ended.
	TimedOut WaitEnd = "timed-out"
)

// Append ends a run that held nothing and had nothing to do: one write of the
// head brings the record and what edit changes. It gives the head and the record
// as written.
//
// With fold above 0, an unchanged record is only counted (Audit.Folded) while the
// newest record is unchanged too and no older than fold; the record given back
// then has Seq 0.
//
// edit may set Cluster, Config, Observed and Apps; it may be called again on a
// newer head, of the same epoch, apps and configuration, so it must be pure.
//
// Errors: *HeldError, ErrRestart, and those of Load; ErrRolledBack.
func (l *Ledger) Append(ctx context.Context, base Head, record Record, fold time.Duration, edit func(*Head)) (Head, Record, error) {
	return Head{}, Record{}, errTODO
}

// Claim takes the lease on an Idle head: one write raises the epoch and commits
// what edit changes, the plans and the widened inventories. edit and errors are
// as with Append. After an error the lease may be held in this run's name; nothing
// was sent to the cluster and the lease runs out by itself.
func (l *Ledger) Claim(ctx context.Context, base Head, edit func(*Head)) (*Tenure, error) {
	return nil, errTODO
}

// TakeOver is Claim on a head that a Wait found Stale. Waited may also be made by
// hand, when a person insists. The run that was interrupted is named in the
// record of Settle. When the head moved: *HeldError or ErrRestart.
func (l *Ledger) TakeOver(ctx context.Context, waited Waited, edit func(*Head)) (*Tenure, error) {
	return nil, errTODO
}

// Tenure is the right to act, from Claim to Settle. It is safe for concurrent
// use.
type Tenure struct{}

// Head gives the newest head, as this tenure wrote it.
func (t *Tenure) Head() Head { return Head{} }

// Epoch gives the fence number of this tenure.
func (t *Tenure) Epoch() uint64 { return 0 }

// Interrupted gives the runs that were taken over from, oldest first.
func (t *Tenure) Interrupted() []string { return nil }

// Left gives how long the right to send lasts without a further renewal: two
// thirds of the TTL since the last successful renewal began, by the shorter of
// the monotonic and the wall clock; 0 when it ended. The time-out of a request
// must not be longer.
func (t *Tenure) Left() time.Duration { return 0 }

// Check says whether a request may be sent now: nil, or ErrLost. It must be
// asked before each request to the cluster.
func (t *Tenure) Check() error { return errTODO }

// While runs work and renews the lease every quarter of its TTL meanwhile. When
// the lease is lost or the right to send ends, work's context ends with ErrLost as
// its cause, and While gives ErrLost joined with the error of work, once work has
// returned. Otherwise it gives the error of work as it is.
func (t *Tenure) While(ctx context.Context, work func(context.Context) error) error {
	return errTODO
}

// Commit writes the head once more while holding: a plan made later in the run,
// with its widened inventory. The lease is renewed with it.
//
// Errors: ErrLost, ErrNoAnswer.
func (t *Tenure) Commit(ctx context.Context, edit func(*Head)) error { return errTODO }

// Settle ends the tenure: one write brings the record and what edit changes (the
// narrowed inventories, the revisions, the observation), closes all open plans
// and frees the lease. It may be tried even when the right to send has ended, for
// the write itself is conditional. It gives the record as written.
//
// Errors: ErrLost, ErrNoAnswer; the lease then runs out by itself.
func (t *Tenure) Settle(ctx context.Context, record Record, edit func(*Head)) (Head, Record, error) {
	return Head{}, Record{}, errTODO
}

// History gives the newest n records, newest first.
func (l *Ledger) History(ctx context.Context, n int) ([]Record, error) { return nil, errTODO }

// Verify walks the audit chain from the newest record to the first and gives
// what it found wrong; nothing, when all is well. An error means that the walk
// could not be done.
func (l *Ledger) Verify(ctx context.Context) (Chain, error) { return Chain{}, errTODO }

// Chain is what a Verify saw.
type Chain struct {
	// Records is the number of records whose hash fits the chain.
	Records uint64
	// Newest is the number of the newest record.
	Newest   uint64
	Findings []Finding
}

// Finding is one thing wrong with the audit chain.
type Finding struct {
	Seq     uint64
	Message string
}
