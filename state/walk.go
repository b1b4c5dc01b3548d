package state

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"
)

const (
	// walkWide is how many records are read at once.
	walkWide = 32
	// walkFirst and walkMost are how many a walk reads ahead at first and later:
	// each time four times as many, since who has not found it yet reads on.
	walkFirst, walkMost = 8, 128
)

// History gives the newest n records, newest first; fewer when the ledger holds
// fewer, or when older ones were removed from the store.
func (l *Ledger) History(ctx context.Context, n int) ([]Record, error) {
	head, err := l.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return l.newestRecords(ctx, head, n)
}

func (l *Ledger) newestRecords(ctx context.Context, head Head, n int) ([]Record, error) {
	var records []Record
	for record, err := range l.walk(ctx, head, head.Audit.Seq, n, n) {
		if err != nil {
			return nil, err
		}
		if records = append(records, record); len(records) == n {
			break
		}
	}
	return records, nil
}

// Walk gives the records from number seq downwards, newest first, until the first
// or one that was removed from the store. It reads ahead, many at once. After an
// error it ends.
func (l *Ledger) Walk(ctx context.Context, head Head, seq uint64) iter.Seq2[Record, error] {
	return l.walk(ctx, head, min(seq, head.Audit.Seq), walkFirst, walkMost)
}

func (l *Ledger) walk(ctx context.Context, head Head, seq uint64, ahead, most int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for seq > 0 && ahead > 0 {
			records, err := l.records(ctx, head, seq, ahead)
			for _, record := range records {
				if !yield(record, nil) {
					return
				}
				seq--
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("read history: %w", err))
				return
			}
			if len(records) < ahead {
				return
			}
			ahead = min(4*ahead, most)
		}
	}
}

// records reads n records side by side, from number seq downwards; fewer when
// there are no more, or when older ones were removed. With an error it gives
// those that come before it.
func (l *Ledger) records(ctx context.Context, head Head, seq uint64, n int) ([]Record, error) {
	read := make([]Record, min(seq, uint64(n))) //nolint:gosec // It is above 0.
	errs := make([]error, len(read))
	var group errgroup.Group
	group.SetLimit(walkWide)
	for i := range read {
		group.Go(func() error {
			read[i], _, errs[i] = l.ReadRecord(ctx, head, seq-uint64(i)) //nolint:gosec // An index is not negative.
			return nil
		})
	}
	_ = group.Wait()
	for i, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, ErrNotFound) && seq-uint64(i) < head.Audit.Seq: //nolint:gosec // An index is not negative.
			return read[:i], nil
		default:
			return read[:i], err
		}
	}
	return read, nil
}

// Recover gives a blob that a record names, and checks its hash. One that was
// collected since is ErrNotFound, other bytes are ErrDamaged.
//
// Other errors: ErrRefused, ErrNoAnswer.
func (l *Ledger) Recover(ctx context.Context, ref Ref) ([]byte, error) {
	if err := ref.check(); err != nil {
		return nil, fmt.Errorf("read blob: %w: %w", ErrDamaged, err)
	}
	blob, err := l.fetch(ctx, ref.Path, blobTimeout)
	if err == nil && hash(blob.Data) != ref.SHA256 {
		err = fmt.Errorf("%w: its bytes are not those that the record names", ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref.Path, err)
	}
	return blob.Data, nil
}
