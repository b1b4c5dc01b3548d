package source

import (
	"context"
	"errors"
	"path"
	"slices"
	"sync"
)

// Contents keeps what the files and links of a partial Tree hold. It is safe
// for concurrent use.
type Contents interface {
	// Has says whether the content of a file or link is there.
	Has(Entry) bool
	// Bring gets contents that are not there, in one request if it can. After
	// an error some of them may be there.
	Bring(ctx context.Context, files []Entry) error
	// Read gives a content that is there. The caller may not change it.
	Read(Entry) ([]byte, error)
}

// NewPartialTree makes a Tree that is complete in names, modes and hashes, and
// whose contents come when they are first read: see Expect for what comes with
// what, and Within for how long a read may wait. A content that could not be
// brought is an error of each read of it; it is not asked for again, unless it
// was the reader who gave up. The Tree is safe for concurrent use.
func NewPartialTree(entries []Entry, contents Contents) *Tree {
	t := NewTree(entries, nil)
	t.partial = &partial{tree: t, contents: contents, turn: make(chan struct{}, 1), failed: map[string]error{}}
	return t.Within(context.Background())
}

// Within gives the same tree, with the same contents, whose reads wait for
// contents only as long as a context lasts.
func (t *Tree) Within(ctx context.Context) *Tree {
	if t.partial == nil {
		return t
	}
	view := *t
	view.read = func(e Entry) ([]byte, error) { return t.partial.read(ctx, e) }
	return &view
}

// Expect says that what lies at or below these paths will be read soon. The
// first read of a file that is not there yet brings, in one request, all that is
// expected and the other files in that file's own directory, not those below it.
// A path that does not exist, or cannot be followed, is ignored. On a tree that
// is wholly there it does nothing.
func (t *Tree) Expect(paths ...string) {
	if t.partial != nil {
		t.partial.expect(paths)
	}
}

// partial brings the contents of a tree.
type partial struct {
	tree     *Tree
	contents Contents

	// turn is held by the one read that brings contents. It guards failed, by
	// hash.
	turn   chan struct{}
	failed map[string]error

	mu       sync.Mutex
	expected []string
}

func (p *partial) expect(paths []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, paths...)
}

func (p *partial) read(ctx context.Context, e Entry) ([]byte, error) {
	if !p.contents.Has(e) {
		if err := p.bring(ctx, e); err != nil {
			return nil, err
		}
	}
	return p.contents.Read(e)
}

// bring gets a content and what is likely to be read next.
func (p *partial) bring(ctx context.Context, e Entry) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if p.contents.Has(e) {
		return nil
	}
	if err := p.failed[e.Hash]; err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	batch := p.batch(e)
	err := p.contents.Bring(ctx, batch.files)
	if err != nil && ctx.Err() != nil {
		return err
	}
	p.settle(batch)
	for _, file := range batch.files {
		if err != nil && !p.contents.Has(file) {
			p.failed[file.Hash] = err
		}
	}
	return p.failed[e.Hash]
}

// batch is what one request asks for.
type batch struct {
	files []Entry
	seen  map[string]bool
	// looked is how many expectations were looked at, later those that must be
	// looked at again, because a link on their way is only being brought.
	looked int
	later  []string
}

func (p *partial) add(b *batch, e Entry) {
	switch e.Mode {
	case File, Executable, Symlink:
		if !b.seen[e.Hash] && p.failed[e.Hash] == nil && !p.contents.Has(e) {
			b.seen[e.Hash] = true
			b.files = append(b.files, e)
		}
	case Directory, Submodule:
	}
}

func (p *partial) addBelow(b *batch, e Entry) {
	p.add(b, e)
	for _, child := range p.tree.children[e.Path] {
		p.addBelow(b, child)
	}
}

// manyLinks is how many links may come because one of them is followed.
const manyLinks = 1000

// batch collects what to ask for when the content of an entry is needed. A file
// brings those beside it. A link brings the other links of the tree: they are
// short, and whoever follows links to see whether something changed wants no
// more than them.
func (p *partial) batch(e Entry) *batch {
	b := &batch{seen: map[string]bool{}}
	p.add(b, e)
	beside := p.tree.children[path.Dir(e.Path)]
	if e.Mode == Symlink {
		if len(p.tree.links) <= manyLinks {
			beside = p.tree.links
		}
		beside = slices.DeleteFunc(slices.Clone(beside), func(e Entry) bool { return e.Mode != Symlink })
	}
	for _, other := range beside {
		p.add(b, other)
	}
	p.mu.Lock()
	expected := slices.Clone(p.expected)
	p.mu.Unlock()
	b.looked = len(expected)
	for _, name := range expected {
		var stuck *Entry
		at, err := p.tree.follow(name, func(link Entry) ([]byte, error) {
			if p.contents.Has(link) {
				return p.contents.Read(link)
			}
			stuck = &link
			return nil, errNotThere
		})
		switch {
		case stuck != nil && p.failed[stuck.Hash] == nil:
			p.add(b, *stuck)
			b.later = append(b.later, name)
		case err == nil:
			p.addBelow(b, at)
		}
	}
	return b
}

var errNotThere = errors.New("is not there yet")

// settle forgets the expectations that a batch fulfilled.
func (p *partial) settle(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(b.later, p.expected[b.looked:]...)
}
