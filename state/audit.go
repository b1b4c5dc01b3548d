package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Chain is what a Verify saw.
type Chain struct {
	// Records is the number of records that the chain should hold: the number of
	// the newest.
	Records uint64
	// Findings is empty when all of them are there and fit together.
	Findings []Finding
}

// Finding is one thing wrong with the audit chain.
type Finding struct {
	// Seq is the number of the record.
	Seq     uint64
	Message string
}

// ReadRecord gives one record and its exact bytes, whether it is the newest, in
// the head, or an older one. One that does not exist is ErrNotFound.
func (l *Ledger) ReadRecord(ctx context.Context, head Head, seq uint64) (Record, []byte, error) {
	if seq == 0 || seq > head.Audit.Seq {
		return Record{}, nil, fmt.Errorf("read record %d: %w", seq, ErrNotFound)
	}
	var data []byte
	if seq == head.Audit.Seq {
		var err error
		if data, err = l.newest(ctx, head); err != nil {
			return Record{}, nil, fmt.Errorf("read record %d: %w", seq, err)
		}
	} else {
		blob, err := l.fetch(ctx, auditName(seq), blobTimeout)
		if err != nil {
			return Record{}, nil, fmt.Errorf("read record %d: %w", seq, err)
		}
		data = blob.Data
	}
	record, err := DecodeRecord(data)
	if err != nil {
		return Record{}, nil, fmt.Errorf("read record %d: %w", seq, err)
	}
	return record, data, nil
}

// EncodeRecord gives the bytes of a record, those that the chain's hashes cover.
func EncodeRecord(record Record) ([]byte, error) {
	if record.Apps == nil {
		record.Apps = []AppRecord{}
	}
	data, err := encode(record)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return data, nil
}

// DecodeRecord reads a record. Fields that this version does not know are left
// out; other bytes are ErrDamaged, a newer format ErrNewer.
func DecodeRecord(data []byte) (Record, error) {
	var record Record
	if err := checkFormat(data); err != nil {
		return Record{}, fmt.Errorf("decode record: %w", err)
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return Record{}, fmt.Errorf("decode record: %w: %w", ErrDamaged, err)
	}
	return record, nil
}

// verifyWide is how many records a Verify reads at once.
const verifyWide = 16

// Verify reads the audit chain from the newest record to the first and gives
// what is wrong with it: records that are missing, that do not have the hash that
// the next one names, or that are newer than the head. An error means that the
// walk could not be done.
func (l *Ledger) Verify(ctx context.Context) (Chain, error) {
	head, err := l.Load(ctx)
	if err != nil {
		return Chain{}, fmt.Errorf("verify the audit chain: %w", err)
	}
	chain := Chain{Records: head.Audit.Seq}
	find := func(seq uint64, format string, args ...any) {
		chain.Findings = append(chain.Findings, Finding{Seq: seq, Message: fmt.Sprintf(format, args...)})
	}
	if err := l.CheckRolledBack(ctx, head); errors.Is(err, ErrRolledBack) {
		find(head.Audit.Seq+1, "it exists, although the head ends with record %d", head.Audit.Seq)
	} else if err != nil {
		return Chain{}, fmt.Errorf("verify the audit chain: %w", err)
	}

	want := head.Audit.Hash // what the record after says of this one; empty when that is missing
	for newest := head.Audit.Seq; newest > 0; {
		links, err := l.links(ctx, head, newest)
		if err != nil {
			return Chain{}, fmt.Errorf("verify the audit chain: %w", err)
		}
		for i, link := range links {
			seq := newest - uint64(i) //nolint:gosec // An index is not negative.
			switch {
			case link.missing:
				find(seq, "it is missing")
			case want != "" && link.sum != want:
				find(seq, "its SHA-256 is %s, but what came after it names %s", link.sum, want)
			case link.err != nil:
				find(seq, "%s", link.err)
			case link.record.Seq != seq:
				find(seq, "it says that it is record %d", link.record.Seq)
			case link.record.Lineage != head.Lineage:
				find(seq, "it belongs to another ledger, %s", link.record.Lineage)
			case seq == 1 && link.record.Previous != "":
				find(seq, "it is the first, but names one before")
			}
			want = link.record.Previous
		}
		newest -= uint64(len(links))
	}
	return chain, nil
}

// link is one record as Verify sees it.
type link struct {
	missing bool
	sum     string
	record  Record
	err     error // it could not be decoded
}

// links reads some records at once, from newest downwards.
func (l *Ledger) links(ctx context.Context, head Head, newest uint64) ([]link, error) {
	links := make([]link, min(newest, verifyWide))
	group, ctx := errgroup.WithContext(ctx)
	for i := range links {
		group.Go(func() error {
			seq := newest - uint64(i) //nolint:gosec // An index is not negative.
			data := []byte(head.Audit.Inline)
			if seq < head.Audit.Seq || data == nil {
				name := auditName(seq)
				if seq == head.Audit.Seq {
					name = head.Audit.Path
				}
				blob, err := l.fetch(ctx, name, blobTimeout)
				if errors.Is(err, ErrNotFound) {
					links[i].missing = true
					return nil
				}
				if err != nil {
					return fmt.Errorf("read %s: %w", name, err)
				}
				data = blob.Data
			}
			links[i].sum = hash(data)
			links[i].record, links[i].err = DecodeRecord(data)
			return nil
		})
	}
	return links, group.Wait()
}
