// Package history tells what runs did, from the ledger alone: neither a cluster
// nor a repository is asked.
//
// Its words: a Book is a ledger open for reading; a run is named by the number of
// its record, by its id or the beginning of it, or as latest and latest~N. What
// was collected since is told as not known, never guessed. Values of Secrets are
// in nothing that it reads, so it shows none.
package history

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/tidemark/state"
)

// UnknownError says that the ledger knows nothing of a name, or more than one.
type UnknownError struct {
	// Object: the name is an object's, not a run's.
	Object  bool
	Message string
}

// Error says what is not known, and what is.
func (e *UnknownError) Error() string { return e.Message }

func noRun(format string, args ...any) error {
	return &UnknownError{Message: fmt.Sprintf(format, args...)}
}

// Book is a ledger as it stood when it was opened.
type Book struct {
	ledger *state.Ledger
	head   state.Head
}

// Open reads the head.
func Open(ctx context.Context, ledger *state.Ledger) (Book, error) {
	head, err := ledger.Load(ctx)
	if err != nil {
		return Book{}, fmt.Errorf("read history: %w", err)
	}
	return Book{ledger: ledger, head: head}, nil
}

// Query selects records.
type Query struct {
	// App selects the records that tell of an app; empty selects all.
	App string
	// Limit is how many records are given; 0 gives all.
	Limit int
	// Since selects records of runs that finished then or later.
	Since time.Time
}

// Records gives the records that a query selects, newest first. With an App they
// tell of that app alone.
func (b Book) Records(ctx context.Context, q Query) ([]state.Record, error) {
	if q.App == "" && q.Limit > 0 && q.Since.IsZero() {
		return b.ledger.History(ctx, q.Limit)
	}
	var found []state.Record
	for record, err := range b.ledger.Walk(ctx, b.head, b.head.Audit.Seq) {
		if err != nil {
			return nil, err
		}
		if record.Finished.Before(q.Since) || q.Limit > 0 && len(found) == q.Limit {
			break
		}
		if q.App != "" {
			app, told := appOf(record, q.App)
			if !told {
				continue
			}
			record.Apps = []state.AppRecord{app}
		}
		found = append(found, record)
	}
	return found, nil
}

func appOf(record state.Record, name string) (state.AppRecord, bool) {
	for _, app := range record.Apps {
		if app.Name == name {
			return app, true
		}
	}
	return state.AppRecord{}, false
}

var (
	latest  = regexp.MustCompile(`^latest(?:~(\d{1,18}))?$`)
	runName = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{6,26}$`)
)

// unlike is how many records in a row must be of runs before a name until no
// older one is looked at: ids of runs sort by when they began, and records stand
// in the order in which runs ended.
const unlike = 100

// Find gives the record of a run by its number, its id or the beginning of it (6
// characters at least), or as "latest" and, N records before it, "latest~N".
// An *UnknownError says that there is none, or more than one.
func (b Book) Find(ctx context.Context, name string) (state.Record, error) {
	newest := b.head.Audit.Seq
	if match := latest.FindStringSubmatch(name); match != nil {
		back, _ := strconv.ParseUint("0"+match[1], 10, 64)
		if back >= newest {
			return state.Record{}, noRun("there is no record %s: the ledger has %d", name, newest)
		}
		return b.numbered(ctx, newest-back)
	}
	if seq, err := strconv.ParseUint(name, 10, 64); err == nil && len(name) < len("01JZ0000000000000000000000") {
		return b.numbered(ctx, seq)
	}
	if !runName.MatchString(name) {
		return state.Record{}, noRun("%q names no run: give the number of a record, 6 characters of a run's id at least, latest or latest~1", name)
	}
	return b.named(ctx, strings.ToUpper(name))
}

func (b Book) numbered(ctx context.Context, seq uint64) (state.Record, error) {
	record, _, err := b.ledger.ReadRecord(ctx, b.head, seq)
	if errors.Is(err, state.ErrNotFound) {
		return state.Record{}, noRun("there is no record %d; the newest is %d", seq, b.head.Audit.Seq)
	}
	return record, err
}

func (b Book) named(ctx context.Context, prefix string) (state.Record, error) {
	var found []state.Record
	before := 0
	for record, err := range b.ledger.Walk(ctx, b.head, b.head.Audit.Seq) {
		if err != nil {
			return state.Record{}, err
		}
		switch {
		case strings.HasPrefix(record.Run, prefix):
			found = append(found, record)
			before = 0
		case record.Run < prefix:
			before++
		}
		if before == unlike || len(found) > 0 && len(prefix) == len(record.Run) {
			break
		}
	}
	switch len(found) {
	case 0:
		return state.Record{}, noRun("there is no record of a run %s", prefix)
	case 1:
		return found[0], nil
	}
	return state.Record{}, noRun("%d runs begin with %s, as %s and %s do", len(found), prefix, found[0].Run, found[1].Run)
}
