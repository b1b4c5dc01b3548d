package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// rebases is how often a run that holds nothing tries again on a newer head.
const rebases = 5

// Append ends a run that held nothing and had nothing to do: one write of the
// head brings the record and what edit changes. It gives the head and the record
// as written.
//
// With fold above 0, an unchanged record is only counted (Audit.Folded) while the
// newest record is unchanged too and no older than fold; the record given back
// then has Seq 0.
//
// edit may set Cluster, Config, Committed, Heard, Witnessed, Observed, Reads and Apps, and nil
// changes nothing. It may be called again on a newer head, of the same epoch,
// apps and configuration, so it must be pure.
//
// Errors: *HeldError, ErrRestart, ErrRolledBack, and those of Load.
func (l *Ledger) Append(ctx context.Context, base Head, record Record, fold time.Duration, edit func(*Head)) (Head, Record, error) {
	var written Record
	head, err := l.rebasing(base, func(base Head) (Head, error) {
		next, err := l.revise(base, edit)
		if err != nil {
			return Head{}, err
		}
		if folds(base.Audit, record, fold) {
			next.Audit.Folded = base.Audit.Folded.with(record.Finished)
			written = record
			written.Seq = 0
			return l.write(ctx, base, next)
		}
		if err := l.seal(ctx, base); err != nil {
			return Head{}, err
		}
		if written, err = l.inscribe(ctx, base, &next, record); err != nil {
			return Head{}, err
		}
		if base.Seq == 0 {
			next.Lease = Lease{Free: true, TTL: Duration(l.ttl)}
		}
		head, err := l.write(ctx, base, next)
		return l.orRecorded(ctx, head, err, next.Audit)
	})
	if err != nil {
		return Head{}, Record{}, fmt.Errorf("append record: %w", err)
	}
	return head, written, nil
}

// orRecorded turns a *movedError into success when the chain already holds the
// record that was to be written.
func (l *Ledger) orRecorded(ctx context.Context, head Head, err error, audit Audit) (Head, error) {
	var moved *movedError
	if !errors.As(err, &moved) {
		return head, err
	}
	found, lookErr := l.recorded(ctx, moved.current, audit.Seq, audit.Hash)
	if lookErr != nil {
		return Head{}, lookErr
	}
	if found {
		return moved.current, nil
	}
	return Head{}, err
}

// rebasing runs one write of a run that holds nothing, and runs it again on the
// newer head as long as what the run was decided on stands.
func (l *Ledger) rebasing(base Head, write func(base Head) (Head, error)) (Head, error) {
	if l.run == "" {
		return Head{}, errors.New("the ledger was opened without a run")
	}
	first := base
	for range rebases + 1 {
		if !base.Idle() {
			return Head{}, &HeldError{Head: base}
		}
		head, err := write(base)
		var moved *movedError
		if !errors.As(err, &moved) {
			return head, err
		}
		base = moved.current
		if err := rebasable(first, base); err != nil {
			return Head{}, err
		}
	}
	return Head{}, fmt.Errorf("%w: other runs were faster %d times", ErrRestart, rebases+1)
}

// rebasable says why a run decided on first cannot be written on current.
func rebasable(first, current Head) error {
	if !current.Idle() {
		return &HeldError{Head: current}
	}
	var firstApps, currentApps []byte
	var err error
	if firstApps, err = encode(first.Apps); err != nil {
		return err
	}
	if currentApps, err = encode(current.Apps); err != nil {
		return err
	}
	if first.Lineage != current.Lineage || first.Cluster != current.Cluster || first.Config != current.Config ||
		first.Epoch != current.Epoch || !bytes.Equal(firstApps, currentApps) {
		return fmt.Errorf("%w: %w", ErrRestart, &movedError{current: current})
	}
	return nil
}

// folds says whether a record may be counted instead of written.
func folds(newest Audit, record Record, fold time.Duration) bool {
	age := record.Finished.Sub(newest.Finished)
	return fold > 0 && record.Verdict == Unchanged && newest.Verdict == Unchanged && age >= 0 && age <= fold
}

// with gives the count with one more run.
func (f *Folded) with(finished time.Time) *Folded {
	finished = finished.UTC().Truncate(time.Millisecond)
	if f == nil {
		return &Folded{Runs: 1, First: finished, Last: finished}
	}
	return &Folded{Runs: f.Runs + 1, First: f.First, Last: finished}
}
