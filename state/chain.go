package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// inlineLimit is the size from which a record goes into a blob instead of the
// head.
const inlineLimit = 8 << 10

// inscribe makes record the newest one of next, which follows base.
func (l *Ledger) inscribe(ctx context.Context, base Head, next *Head, record Record) (Record, error) {
	record.Format = Format
	record.Seq = base.Audit.Seq + 1
	record.Previous = base.Audit.Hash
	record.Run = l.run
	record.Lineage = next.Lineage
	record.Epoch = next.Epoch
	record.Interrupted = slices.Clone(base.Lease.Interrupted)
	record.Folded = base.Audit.Folded
	record.Started = record.Started.UTC().Truncate(time.Millisecond)
	record.Finished = record.Finished.UTC().Truncate(time.Millisecond)
	newest := Audit{Seq: record.Seq, Verdict: record.Verdict, Finished: record.Finished, Swept: next.Audit.Swept, Oldest: next.Audit.Oldest}
	dropped := next.Audit.Dropped
	next.Audit = Audit{}
	record.Dropped = l.dropped(base, *next, dropped)
	data, err := EncodeRecord(record)
	if err != nil {
		return Record{}, err
	}
	newest.Hash = hash(data)
	if len(data) < inlineLimit {
		newest.Inline = data
	} else {
		ref, err := l.Put(ctx, "record", data)
		if err != nil {
			return Record{}, err
		}
		newest.Path = ref.Path
	}
	next.Audit = newest
	return record, nil
}

// dropped gives the runs whose blobs next does not name, of those that the head
// named since the newest record, of those that were interrupted, and this one.
func (l *Ledger) dropped(base, next Head, already []string) []string {
	runs := slices.Concat(already, base.Runs(), base.Lease.Interrupted)
	l.mu.Lock()
	if len(l.used) > 0 {
		runs = append(runs, l.run)
	}
	l.mu.Unlock()
	slices.Sort(runs)
	named := next.Runs()
	var dropped []string
	for _, run := range slices.Compact(runs) {
		if !slices.Contains(named, run) {
			dropped = append(dropped, run)
		}
	}
	return dropped
}

// seal puts the newest record of a head under its number. It is done before any
// write that raises the number, so that the chain has no gap whatever dies when.
//
// It is also where a head that was rolled back is found out: the number after
// the newest can stand in audit/ only if there once was a newer head.
func (l *Ledger) seal(ctx context.Context, head Head) error {
	seq := head.Audit.Seq
	l.mu.Lock()
	done := seq > 0 && l.sealed >= seq
	l.mu.Unlock()
	if done {
		return nil
	}
	fresh := false
	if seq > 0 {
		data, err := l.newest(ctx, head)
		if err != nil {
			return err
		}
		fresh, err = l.place(ctx, auditName(seq), data)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return fmt.Errorf("write %s: %w", auditName(seq), err)
		}
		if err != nil {
			return l.otherLine(ctx, head)
		}
	}
	if !fresh {
		// Somebody was here before: a run that died or lost a race between this and
		// its write of the head, or a newer head.
		if err := l.CheckRolledBack(ctx, head); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sealed = max(l.sealed, seq)
	return nil
}

// otherLine gives ErrRolledBack for a head whose newest record is not the one
// that stands under its number, unless the head has moved on.
func (l *Ledger) otherLine(ctx context.Context, head Head) error {
	if stood, err := l.stands(ctx, head); err != nil || !stood {
		return err
	}
	return fmt.Errorf("%w: %s is another record than its newest", ErrRolledBack, auditName(head.Audit.Seq))
}

// CheckRolledBack gives ErrRolledBack when the audit chain holds a record that
// is newer than the head, and a second read shows the same head. Append, Claim
// and TakeOver do it by themselves; it costs one request.
func (l *Ledger) CheckRolledBack(ctx context.Context, head Head) error {
	next := auditName(head.Audit.Seq + 1)
	_, err := l.fetch(ctx, next, blobTimeout)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", next, err)
	}
	if stood, err := l.stands(ctx, head); err != nil || !stood {
		return err
	}
	if head.Seq == 0 {
		return fmt.Errorf("%w: there is no head, but %s exists", ErrRolledBack, next)
	}
	return fmt.Errorf("%w: its newest record is %d, but %s exists", ErrRolledBack, head.Audit.Seq, next)
}

// stands says whether the head is still the same in the store.
func (l *Ledger) stands(ctx context.Context, head Head) (bool, error) {
	current, err := l.Load(ctx)
	if err != nil {
		return false, err
	}
	return current.Seq == head.Seq && current.Nonce == head.Nonce, nil
}

// newest gives the bytes of a head's newest record.
func (l *Ledger) newest(ctx context.Context, head Head) ([]byte, error) {
	if head.Audit.Inline != nil {
		return head.Audit.Inline, nil
	}
	return l.Read(ctx, Ref{Path: head.Audit.Path, SHA256: head.Audit.Hash})
}

// recorded says whether a record of this run is in the chain although the head
// shows another write: then that write came after this run's own, whose answer
// was lost.
func (l *Ledger) recorded(ctx context.Context, current Head, seq uint64, sum string) (bool, error) {
	switch {
	case current.Audit.Seq < seq:
		return false, nil
	case current.Audit.Seq == seq:
		return current.Audit.Hash == sum, nil
	}
	blob, err := l.fetch(ctx, auditName(seq), blobTimeout)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", auditName(seq), err)
	}
	return hash(blob.Data) == sum, nil
}
