package git

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"tidemark.dev/tidemark/render/source"
)

// fetchPartial gets a commit and its directories, as far down as they are
// expected to be read. Its files, and the other directories, come when the tree is
// read. Where the server does not leave them out, although it says it can, they
// are there at once, and that does no harm.
func (r *Remote) fetchPartial(ctx context.Context, rev source.Revision, left *budget, took *Fetch) (source.Revision, error) {
	a := ask{wants: []plumbing.Hash{wanted(r.known, plumbing.NewHash(rev.Commit))}, depth: 1, bare: true}
	a.levels, took.Broad = r.levels()
	trees, err := r.server.fetch(ctx, r.known, a, left)
	if a.levels > 0 && isRefused(err) {
		a.levels, took.Broad = 0, "the server refuses to leave directories out: "+err.Error()
		trees, err = r.server.fetch(ctx, r.known, a, left)
	}
	if err != nil {
		return source.Revision{}, err
	}
	entries := &lister{limits: r.options.Limits, unseen: true, gaps: a.levels > 0}
	rev, _, err = entries.commit(ctx, trees, rev)
	if err != nil {
		return source.Revision{}, err
	}
	rev.Tree = source.NewPartialTree(entries.entries, &files{
		remote: r, commit: rev, left: left, took: took, packs: union{trees}, listed: int64(len(entries.entries)), tooLarge: map[plumbing.Hash]bool{},
	})
	return rev, nil
}

// isRefused says whether a server that cannot do one thing may still do another.
func isRefused(err error) bool {
	return errors.Is(err, ErrCommitRefused) || errors.Is(err, ErrCorrupt)
}

// files are what one commit's files hold, and its directories as far as they come
// later: source.Contents. They come in packs, each of which stays as it came.
type files struct {
	remote *Remote
	commit source.Revision
	left   *budget // guarded by the remote's turn
	took   *Fetch
	// listed counts the entries of all directories that were listed.
	listed int64

	mu    sync.RWMutex
	packs union
	// tooLarge are those that came, but are too large to be read.
	tooLarge map[plumbing.Hash]bool
	// whole says that the whole commit came: there is nothing more to ask for.
	whole bool
}

// Has says whether a file or a directory came.
func (f *files) Has(e source.Entry) bool { return f.has(plumbing.NewHash(e.Hash)) }

// Read gives a file that came.
func (f *files) Read(e source.Entry) ([]byte, error) { return reader(f, f.remote.options.Limits)(e) }

// List gives what is in a directory that came. It is called by one at a time.
func (f *files) List(ctx context.Context, dir source.Entry) ([]source.Entry, error) {
	below := &lister{limits: f.remote.options.Limits, unseen: true, gaps: true, listed: f.listed}
	if _, err := below.list(ctx, f, plumbing.NewHash(dir.Hash), dir.Path+"/"); err != nil {
		return nil, fmt.Errorf("directories of %s from %s: %w", f.commit.Commit, f.remote.URL(), err)
	}
	f.listed += int64(len(below.entries))
	return below.entries, nil
}

// Bring asks for files and directories by their hashes, in one request. A server
// that does not give them out like this is asked for the whole commit.
func (f *files) Bring(ctx context.Context, entries []source.Entry, bare bool) error {
	r := f.remote
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.release()
	spent := r.spent.begin()
	defer func() { spent(f.took) }()
	err := within(ctx, r.options.FetchTimeout, func(ctx context.Context) error { return f.bring(ctx, entries, bare) })
	if err != nil {
		return fmt.Errorf("fetch files of %s from %s: %w", f.commit.Commit, r.URL(), err)
	}
	return nil
}

func (f *files) bring(ctx context.Context, entries []source.Entry, bare bool) error {
	wants := make([]plumbing.Hash, len(entries))
	for i, e := range entries {
		wants[i] = plumbing.NewHash(e.Hash)
	}
	got, err := f.remote.server.fetch(ctx, f.remote.known, ask{wants: wants, bare: bare}, f.left)
	if err == nil {
		err = f.keep(got, wants)
	}
	if !isRefused(err) && !errors.Is(err, ErrLimit) {
		return err
	}
	why := "the server does not give out files by hash: " + err.Error()
	if errors.Is(err, ErrLimit) {
		// Files that are too large to be read may lie beside those that are
		// read; in a whole commit they are left out.
		why = "files that were asked for together are too much: " + err.Error()
	}
	if got, err = f.remote.fetchObjects(ctx, f.commit, f.left); err != nil {
		return err
	}
	f.remote.spent.mark(f.took, why)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.packs, f.whole = append(f.packs, got), true
	return nil
}

// keep keeps what came. Of what was wanted all must be there.
func (f *files) keep(got objects, wanted []plumbing.Hash) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.packs = append(f.packs, got)
	for _, hash := range wanted {
		if got.has(hash) {
			continue
		}
		// A pack that holds objects which are too large cannot tell whether this
		// is one of them.
		if _, err := got.size(hash); err != nil {
			return corrupt("the server does not send all that it was asked for")
		}
		f.tooLarge[hash] = true
	}
	return nil
}

func (f *files) has(hash plumbing.Hash) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.whole || f.tooLarge[hash] || f.packs.has(hash)
}

func (f *files) size(hash plumbing.Hash) (int64, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.packs.size(hash)
}

func (f *files) read(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	f.mu.RLock()
	packs := f.packs
	f.mu.RUnlock()
	return packs.read(hash)
}
