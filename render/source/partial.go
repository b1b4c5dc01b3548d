package source

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
)

// Contents keeps what the files and links of a partial Tree hold, and what is in
// those of its directories that come later. It is safe for concurrent use.
type Contents interface {
	// Has says whether the content of a file or link, or the entries of a
	// directory, are there.
	Has(Entry) bool
	// Bring gets what is not there, in one request if it can. A directory comes
	// with all that is below it, but without files and links if it is to be bare.
	// After an error some of it may be there.
	Bring(ctx context.Context, wanted []Entry, bare bool) error
	// Read gives a content that is there. The caller may not change it.
	Read(Entry) ([]byte, error)
	// List gives the entries below a directory that is there, with those of the
	// directories in it that are there too.
	List(context.Context, Entry) ([]Entry, error)
}

// NewPartialTree makes a Tree whose contents come when they are first read, and
// whose directories do so too as far as the Contents do not have them at first:
// see Expect for what comes with what, and Within for how long a read may wait.
// What could not be brought is an error of each read of it; it is not asked for
// again, unless it was the reader who gave up. The Tree is safe for concurrent
// use.
func NewPartialTree(entries []Entry, contents Contents) *Tree {
	t := NewTree(entries, nil)
	t.names.close(entries, contents.Has)
	t.partial = &partial{names: t.names, contents: contents, turn: make(chan struct{}, 1), failed: map[string]error{}}
	return t.Within(context.Background())
}

// Within gives the same tree, with the same contents, whose reads wait for
// what is to come only as long as a context lasts.
func (t *Tree) Within(ctx context.Context) *Tree {
	if t.partial == nil {
		return t
	}
	view := *t
	view.read = func(e Entry) ([]byte, error) { return t.partial.read(ctx, e) }
	view.open = func(e Entry) error { return t.partial.bring(ctx, e) }
	return &view
}

// Expect says that what lies at or below these paths will be read soon. The
// first read of something that is not there yet brings, in one request if it can,
// all that is expected; of a file the other files in its own directory too, not
// those below it. A path that does not exist, or cannot be followed, is ignored.
// On a tree that is wholly there it does nothing.
func (t *Tree) Expect(paths ...string) { t.expect(expectFiles, paths) }

// ExpectDirectories says that everything in these directories will be looked at
// soon, and read where it is not what it was: those of them, or below them, that
// are not there yet come with their files. It is like Expect otherwise.
func (t *Tree) ExpectDirectories(paths ...string) { t.expect(expectDirectories, paths) }

// ExpectQuestions says that questions will be asked soon: see Questions. What it
// takes to answer them comes together, without the files. It is like Expect
// otherwise.
func (t *Tree) ExpectQuestions(questions string) {
	if t.partial == nil {
		return
	}
	for about, name := range asked(questions) {
		t.expect(about, []string{name})
	}
}

func (t *Tree) expect(about byte, paths []string) {
	if t.partial != nil {
		t.partial.expect(about, paths)
	}
}

// partial brings what a tree lacks.
type partial struct {
	names    *names
	contents Contents

	// turn is held by the one read that brings something. It guards failed, by
	// hash, and only its holder opens directories.
	turn   chan struct{}
	failed map[string]error

	mu       sync.Mutex
	expected []expectation
}

// expectation is what is expected of a path: one of those below, or a question.
type expectation struct {
	about byte
	path  string
}

const (
	expectFiles       = 'F'
	expectDirectories = 'D'
)

func (p *partial) expect(about byte, paths []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range paths {
		p.expected = append(p.expected, expectation{about, name})
	}
}

func (p *partial) read(ctx context.Context, e Entry) ([]byte, error) {
	if !p.contents.Has(e) {
		if err := p.bring(ctx, e); err != nil {
			return nil, err
		}
	}
	return p.contents.Read(e)
}

// bring gets a content, or opens a directory, with what is likely to be read next.
func (p *partial) bring(ctx context.Context, e Entry) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if p.isThere(ctx, e) {
		return nil
	}
	if err := p.failed[e.Hash]; err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	batch := p.batch(ctx, e)
	err := batch.bring(ctx, p.contents)
	if err != nil && ctx.Err() != nil {
		return err
	}
	p.settle(batch)
	for _, wanted := range slices.Concat(batch.wanted, batch.bare) {
		switch there := p.isThere(ctx, wanted); {
		case there || p.failed[wanted.Hash] != nil:
		case err != nil:
			p.failed[wanted.Hash] = err
		case ctx.Err() == nil:
			p.failed[wanted.Hash] = errors.New("did not come although it was asked for")
		}
	}
	switch {
	case p.failed[e.Hash] != nil:
		return p.failed[e.Hash]
	case !p.isThere(ctx, e):
		return cmp.Or(context.Cause(ctx), errNotThere)
	}
	return nil
}

// isThere says whether an entry can be read. A directory that came is opened.
func (p *partial) isThere(ctx context.Context, e Entry) bool {
	if e.Mode != Directory {
		return p.contents.Has(e)
	}
	if !p.names.isClosed(e.Path) {
		return true
	}
	if p.failed[e.Hash] != nil || !p.contents.Has(e) {
		return false
	}
	below, err := p.contents.List(ctx, e)
	if err != nil {
		if ctx.Err() == nil {
			p.failed[e.Hash] = err
		}
		return false
	}
	p.names.open(e, below, p.contents.Has)
	return true
}
