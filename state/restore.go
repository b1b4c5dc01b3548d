package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Remains is what is left of a ledger whose head is lost, damaged or older than
// what was written after it.
type Remains struct {
	// Head is the one that is there, with Seq 0 when it cannot be read; then Why
	// says why: ErrNotFound, ErrDamaged or ErrNewer.
	Head Head
	Why  error
	// Newest is the newest record of the chain, and Unreadable says why it cannot
	// be read. Its number is Seq, which is 0 when there is none.
	Seq        uint64
	Newest     Record
	Unreadable error

	version string // of the head's bytes, empty when there are none
	newest  []byte // the newest record's bytes, nil when they are lost
	sum     string // their hash
}

// RolledBack says whether the chain holds a record that is newer than a head
// which can be read.
func (r Remains) RolledBack() bool { return r.Head.Seq > 0 && r.Seq > r.Head.Audit.Seq }

// Remains reads the head as it is, and finds the newest record without its help.
//
// Errors: ErrRestart when another run writes the head meanwhile, ErrRefused,
// ErrNoAnswer.
func (l *Ledger) Remains(ctx context.Context) (Remains, error) {
	var r Remains
	blob, err := l.fetch(ctx, headName, l.headTimeout())
	switch {
	case errors.Is(err, ErrNotFound):
		r.Why = fmt.Errorf("read %s: %w", headName, ErrNotFound)
	case err != nil:
		return Remains{}, fmt.Errorf("read %s: %w", headName, err)
	default:
		r.version = blob.Version
		if r.Head, err = DecodeHead(blob.Data); err != nil {
			r.Head, r.Why = Head{}, fmt.Errorf("read %s: %w", headName, err)
		}
		r.Head.Stamp = blob.Stamp
	}
	if err := l.findNewest(ctx, &r); err != nil {
		return Remains{}, fmt.Errorf("find the newest record: %w", err)
	}
	again, err := l.fetch(ctx, headName, l.headTimeout())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Remains{}, fmt.Errorf("read %s: %w", headName, err)
	}
	if !bytes.Equal(blob.Data, again.Data) {
		return Remains{}, fmt.Errorf("%w: a run wrote %s", ErrRestart, headName)
	}
	r.version = again.Version
	return r, nil
}

// findNewest finds the record with the highest number. Numbers have no gap, but
// the oldest records may have been removed from the store.
func (l *Ledger) findNewest(ctx context.Context, r *Remains) error {
	seq := max(r.Head.Audit.Seq, l.listed(ctx))
	exists := func(seq uint64) (bool, error) {
		_, err := l.fetch(ctx, auditName(seq), blobTimeout)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	// Twice as far at each step, then by halves: below lies the last that is there.
	step := uint64(1)
	for ; ; step *= 2 {
		there, err := exists(seq + step)
		if err != nil {
			return err
		}
		if !there {
			break
		}
		seq += step
	}
	for step /= 2; step > 0; step /= 2 {
		there, err := exists(seq + step)
		if err != nil {
			return err
		}
		if there {
			seq += step
		}
	}
	if r.Seq = seq; seq == 0 {
		return nil
	}
	return l.readNewest(ctx, r)
}

// readNewest reads the record that was found to be the newest, which may stand
// nowhere but in the head. One that the head knows by its hash alone is lost.
func (l *Ledger) readNewest(ctx context.Context, r *Remains) error {
	blob, err := l.fetch(ctx, auditName(r.Seq), blobTimeout)
	r.newest = blob.Data
	if errors.Is(err, ErrNotFound) && r.Seq == r.Head.Audit.Seq {
		r.newest, err = l.newest(ctx, r.Head)
	}
	switch {
	case err == nil:
		r.sum = hash(r.newest)
		r.Newest, r.Unreadable = DecodeRecord(r.newest)
	case errors.Is(err, ErrDamaged):
		r.newest, r.sum, r.Unreadable = nil, r.Head.Audit.Hash, err
	default:
		return fmt.Errorf("read %s: %w", auditName(r.Seq), err)
	}
	return nil
}

// listed gives the highest number in the chain as the store lists it, 0 when it
// lists nothing: only a place to begin the search at.
func (l *Ledger) listed(ctx context.Context) uint64 {
	sweeper, ok := l.store.(Sweeper)
	if !ok {
		return 0
	}
	l.requests.Add(1)
	entries, err := sweeper.List(ctx, auditPrefix)
	if err != nil {
		return 0
	}
	for _, entry := range slices.Backward(entries) {
		var seq uint64
		name := strings.TrimSuffix(strings.TrimPrefix(entry.Name, auditPrefix), ".json")
		if _, err := fmt.Sscanf(name, "%d", &seq); err == nil && auditName(seq) == entry.Name {
			return seq
		}
	}
	return 0
}

// StoreTime gives what time it is by the store's clock, which it learns by
// writing a blob of this run.
func (l *Ledger) StoreTime(ctx context.Context) (time.Time, error) {
	ref, err := l.Put(ctx, "time", []byte("{}"))
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the store for the time: %w", err)
	}
	blob, err := l.fetch(ctx, ref.Path, blobTimeout)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the store for the time: %w", err)
	}
	return blob.Now, nil
}

// Restore writes a head in place of exactly what Remains found, in one write: the
// lineage, cluster, epochs and apps of made, a free lease, and the record, with
// which the chain goes on after the newest. It gives the head and the record as
// written.
//
// Errors: ErrRestart when the head is another by now, ErrRefused, ErrNoAnswer.
func (l *Ledger) Restore(ctx context.Context, remains Remains, made Head, record Record) (Head, Record, error) {
	head, record, err := l.restore(ctx, remains, made, record)
	if err != nil {
		return Head{}, Record{}, fmt.Errorf("restore %s: %w", headName, err)
	}
	return head, record, nil
}

func (l *Ledger) restore(ctx context.Context, remains Remains, made Head, record Record) (Head, Record, error) {
	if l.run == "" {
		return Head{}, Record{}, errors.New("the ledger was opened without a run")
	}
	if remains.newest != nil {
		// As before every write that raises the number: the chain has no gap.
		if _, err := l.place(ctx, auditName(remains.Seq), remains.newest); err != nil {
			return Head{}, Record{}, fmt.Errorf("write %s: %w", auditName(remains.Seq), err)
		}
	}
	base := remains.Head.clone()
	base.Audit = Audit{Seq: remains.Seq, Hash: remains.sum, Dropped: base.Audit.Dropped, Swept: base.Audit.Swept, Oldest: base.Audit.Oldest, Folded: base.Audit.Folded}
	if remains.RolledBack() {
		base.Audit.Folded = nil // those were counted in a later record
	}
	if !base.Idle() {
		base.Lease.Interrupted = append(base.Lease.Interrupted, base.Lease.Run)
	}
	nonce, err := l.draw()
	if err != nil {
		return Head{}, Record{}, err
	}
	next := Head{
		Format: Format, Lineage: made.Lineage, Cluster: made.Cluster, Seq: max(base.Seq, remains.Seq) + 1, Nonce: nonce,
		Epoch: made.Epoch, Heard: made.Epoch, Witnessed: made.Witnessed, Apps: made.Apps,
		Lease: Lease{Run: l.run, Holder: l.holder, TTL: Duration(l.ttl), Renewed: l.now(), Free: true},
		Audit: base.Audit,
	}
	if record, err = l.inscribe(ctx, base, &next, record); err != nil {
		return Head{}, Record{}, err
	}
	data, err := EncodeHead(next)
	if err != nil {
		return Head{}, Record{}, err
	}
	if next, err = DecodeHead(data); err != nil {
		return Head{}, Record{}, err
	}
	next.Stamp, err = l.replace(ctx, remains.version, data)
	next, err = l.orRecorded(ctx, next, err, next.Audit)
	if moved, ok := errors.AsType[*movedError](err); ok {
		err = fmt.Errorf("%w: %w", ErrRestart, moved)
	}
	return next, record, err
}

// replace writes the head over bytes that need not be a head. As with any write
// of the head, an answer other than yes leaves it open what was done, and is
// followed by a look.
func (l *Ledger) replace(ctx context.Context, version string, data []byte) (Stamp, error) {
	again := l.retry()
	for {
		var stamp Stamp
		var err error
		if version == "" {
			stamp, err = l.create(ctx, headName, data, l.headTimeout())
		} else {
			stamp, err = l.swap(ctx, headName, data, version, l.headTimeout())
		}
		if err == nil {
			return stamp, nil
		}
		found, readErr := l.fetch(ctx, headName, l.headTimeout())
		switch {
		case readErr == nil && bytes.Equal(found.Data, data):
			return found.Stamp, nil
		case readErr != nil && !errors.Is(readErr, ErrNotFound):
			return Stamp{}, fmt.Errorf("outcome unknown: %w: %w", readErr, err)
		case found.Version != version:
			current, _ := DecodeHead(found.Data) // Of other bytes nothing follows but that.
			return Stamp{}, &movedError{current: current}
		case errors.Is(err, ErrRefused):
			return Stamp{}, err
		}
		if err := again.wait(ctx, err); err != nil {
			return Stamp{}, fmt.Errorf("outcome unknown: %w", err)
		}
	}
}
