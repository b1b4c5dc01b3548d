package source

import (
	"context"
	"errors"
	"path"
	"slices"
)

// batch is what is asked for together.
type batch struct {
	// wanted are files, links, and directories that come with their files; bare
	// are directories that come without.
	wanted, bare []Entry
	// directories says that there are some among wanted.
	directories bool
	seen        map[string]bool
	// looked is how many expectations were looked at, later those that must be
	// looked at again, because a link or a directory on their way is only being
	// brought.
	looked int
	later  []expectation
}

// bring gets it all in one request, unless some directories are to come with
// their files and others without.
func (b *batch) bring(ctx context.Context, from Contents) error {
	if !b.directories {
		return from.Bring(ctx, slices.Concat(b.wanted, b.bare), true)
	}
	err := from.Bring(ctx, b.wanted, false)
	if err == nil && len(b.bare) > 0 {
		err = from.Bring(ctx, b.bare, true)
	}
	return err
}

// manyLinks is how many links may come because one of them is followed.
const manyLinks = 1000

// batch collects what to ask for when an entry is needed. A file brings those
// beside it. A link brings the other links of the tree that are known: they are
// short, and whoever follows links to see whether something changed wants no more
// than them. A directory that nobody expected comes bare: there may be much in it.
func (p *partial) batch(ctx context.Context, e Entry) *batch {
	b := &batch{seen: map[string]bool{}}
	p.add(b, e)
	p.addBeside(b, e)
	p.mu.Lock()
	expected := slices.Clone(p.expected)
	p.mu.Unlock()
	b.looked = len(expected)
	// What comes with its files need not come without, so those that come bare
	// are chosen last.
	var bare []Entry
	if e.Mode == Directory {
		bare = append(bare, e)
	}
	for _, x := range expected {
		bare = append(bare, p.addExpected(ctx, b, x)...)
	}
	for _, dir := range bare {
		p.addBare(ctx, b, dir)
	}
	return b
}

func (p *partial) addBeside(b *batch, e Entry) {
	if e.Mode == Directory {
		return
	}
	beside := p.names.in(path.Dir(e.Path))
	if e.Mode == Symlink {
		if links := p.names.linked(); len(links) <= manyLinks {
			beside = links
		}
	}
	for _, other := range beside {
		if e.Mode != Symlink || other.Mode == Symlink {
			p.add(b, other)
		}
	}
}

// addExpected adds what an expectation lacks, as far as its way is known, and
// gives the directories that it takes only to see what is in them.
func (p *partial) addExpected(ctx context.Context, b *batch, x expectation) (bare []Entry) {
	var stuck *Entry
	at, err := p.names.follow(x.path, func(link Entry) ([]byte, error) {
		if p.contents.Has(link) {
			return p.contents.Read(link)
		}
		stuck = &link
		return nil, errNotThere
	}, func(dir Entry) error {
		if p.isThere(ctx, dir) {
			return nil
		}
		stuck = &dir
		return errNotThere
	})
	switch {
	case stuck != nil && p.failed[stuck.Hash] == nil:
		p.add(b, *stuck)
		b.later = append(b.later, x)
		return []Entry{*stuck}
	case err != nil:
	case x.about == expectFiles:
		p.addBelow(ctx, b, at, true)
	case x.about == expectDirectories:
		p.addBelow(ctx, b, at, false)
	case x.about == askList:
		return []Entry{at}
	}
	return nil
}

var errNotThere = errors.New("is not there yet")

// add adds a file or link that is not there.
func (p *partial) add(b *batch, e Entry) {
	switch e.Mode {
	case File, Executable, Symlink:
		if !b.seen[e.Hash] && p.failed[e.Hash] == nil && !p.contents.Has(e) {
			b.seen[e.Hash] = true
			b.wanted = append(b.wanted, e)
		}
	case Directory, Submodule:
	}
}

// addBare adds a directory that is not there, without its files.
func (p *partial) addBare(ctx context.Context, b *batch, e Entry) {
	if e.Mode == Directory && !b.seen[e.Hash] && !p.isThere(ctx, e) && p.failed[e.Hash] == nil {
		b.seen[e.Hash] = true
		b.bare = append(b.bare, e)
	}
}

// addBelow adds the directories at or below an entry that are not there, with
// their files, and if so asked the files that are not there.
func (p *partial) addBelow(ctx context.Context, b *batch, e Entry, files bool) {
	if files {
		p.add(b, e)
	}
	if e.Mode != Directory {
		return
	}
	if !p.isThere(ctx, e) {
		if !b.seen[e.Hash] && p.failed[e.Hash] == nil {
			b.seen[e.Hash], b.directories = true, true
			b.wanted = append(b.wanted, e)
		}
		return
	}
	for _, child := range p.names.in(e.Path) {
		p.addBelow(ctx, b, child, files)
	}
}

// settle forgets the expectations that a batch fulfilled.
func (p *partial) settle(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(b.later, p.expected[b.looked:]...)
}
