package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Put writes an immutable blob of this run. A name that this Ledger used before
// gets a number ("plan-web-2"), unless the bytes are the same. The blob means
// nothing until a head names it.
//
// Errors: ErrRefused, ErrNoAnswer.
func (l *Ledger) Put(ctx context.Context, name string, data []byte) (Ref, error) {
	if l.run == "" {
		return Ref{}, errors.New("write a blob: the ledger was opened without a run")
	}
	if err := errors.Join(CheckName(name), CheckName(l.run)); err != nil || strings.Contains(name, "/") {
		return Ref{}, fmt.Errorf("write blob %q: the name is not one path segment: %w", name, err)
	}
	ref := l.reserve(name, hash(data))
	if _, err := l.place(ctx, ref.Path, data); err != nil {
		return Ref{}, fmt.Errorf("write %s: %w", ref.Path, err)
	}
	return ref, nil
}

// reserve gives the path for a blob: the same for the same bytes, another for
// others.
func (l *Ledger) reserve(name, sum string) Ref {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := l.used[name]
	if at := slices.IndexFunc(used, func(r Ref) bool { return r.SHA256 == sum }); at >= 0 {
		return used[at]
	}
	path := runsPrefix + l.run + "/" + name
	if len(used) > 0 {
		path = fmt.Sprintf("%s-%d", path, len(used)+1)
	}
	ref := Ref{Path: path, SHA256: sum}
	l.used[name] = append(used, ref)
	return ref
}

// place creates an object that nobody else writes with other bytes, and says
// whether it did. An object that is there already with the same bytes is as good:
// it is this very write, whose answer was lost, or another run's of the same
// record. With other bytes it is ErrDamaged.
func (l *Ledger) place(ctx context.Context, name string, data []byte) (fresh bool, err error) {
	again := l.retry()
	for {
		_, err := l.create(ctx, name, data, blobTimeout)
		if err == nil {
			return true, nil
		}
		found, readErr := l.get(ctx, name, blobTimeout)
		switch {
		case readErr == nil && bytes.Equal(found.Data, data):
			return false, nil
		case readErr == nil:
			return false, fmt.Errorf("%w: it exists with other bytes", ErrDamaged)
		case errors.Is(err, ErrRefused):
			return false, err
		}
		if err := again.wait(ctx, err); err != nil {
			return false, err
		}
	}
}

// Read gives a blob that a head names and checks its hash. A blob that is
// missing or another is ErrDamaged when the current head still names it, and
// ErrRestart when the head has moved on.
//
// Other errors: ErrRefused, ErrNoAnswer, and those of Load.
func (l *Ledger) Read(ctx context.Context, ref Ref) ([]byte, error) {
	if err := ref.check(); err != nil {
		return nil, fmt.Errorf("read blob: %w: %w", ErrDamaged, err)
	}
	blob, err := l.fetch(ctx, ref.Path, blobTimeout)
	switch {
	case err == nil && hash(blob.Data) == ref.SHA256:
		return blob.Data, nil
	case err == nil:
		err = errors.New("its bytes are not those that the head names")
	case !errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("read %s: %w", ref.Path, err)
	}
	head, headErr := l.Load(ctx)
	if headErr != nil {
		return nil, fmt.Errorf("read %s: %w", ref.Path, headErr)
	}
	if slices.Contains(head.refs(), ref) {
		return nil, fmt.Errorf("read %s: %w: %w", ref.Path, ErrDamaged, err)
	}
	return nil, fmt.Errorf("read %s: %w: %w", ref.Path, ErrRestart, err)
}
