package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"tidemark.dev/tidemark/render/source"
)

// farthest is how many generations of commits Log looks back.
const farthest = 250

// Log gives the commits that lie between two: those that to descends from, itself
// among them, and from does not, newest first. It looks back 250 generations.
//
// Only commits come, in one request, where the server can leave directories and
// files out; of a server that cannot, and when from is not found among what to
// descends from, Note says why the list is not whole.
func (r *Remote) Log(ctx context.Context, from, to string) (source.Log, error) {
	if !isObjectName(to) || from != "" && !isObjectName(from) {
		return source.Log{}, fmt.Errorf("history of %s: %w", r.URL(), invalid("commit: want all 40 hexadecimal digits"))
	}
	if err := r.take(ctx); err != nil {
		return source.Log{}, err
	}
	defer r.release()
	var log source.Log
	err := within(ctx, r.options.FetchTimeout, func(ctx context.Context) (err error) {
		log, err = r.log(ctx, plumbing.NewHash(from), plumbing.NewHash(to))
		return err
	})
	if err != nil {
		return source.Log{}, fmt.Errorf("history of %s: %w", r.URL(), err)
	}
	return log, nil
}

func (r *Remote) log(ctx context.Context, from, to plumbing.Hash) (source.Log, error) {
	if _, inPlace := r.server.(*localServer); !inPlace {
		known, err := r.lookUp(ctx)
		if err != nil {
			return source.Log{}, err
		}
		if !known.supports(capability.Filter) {
			return source.Log{Note: "the server gives no history without files (uploadpack.allowFilter)"}, nil
		}
	}
	a := ask{wants: []plumbing.Hash{wanted(r.known, to)}, depth: farthest, log: true, have: from}
	got, err := r.server.fetch(ctx, r.known, a, newBudget(r.options.Limits))
	if err == nil && !got.has(to) {
		// What comes before the earlier one does not come; then it is no way forward, and seldom.
		a.have = plumbing.ZeroHash
		got, err = r.server.fetch(ctx, r.known, a, newBudget(r.options.Limits))
	}
	if isRefused(err) {
		return source.Log{Note: "the server refuses to give the history alone: " + err.Error()}, nil
	}
	if err != nil {
		return source.Log{}, err
	}
	return between(ctx, got, from, to)
}

// between walks from one commit back to another.
func between(ctx context.Context, got objects, from, to plumbing.Hash) (source.Log, error) {
	reached, err := ancestors(ctx, got, to)
	if err != nil {
		return source.Log{}, err
	}
	log := source.Log{Descends: comesBy(reached, from)}
	var old map[plumbing.Hash]*object.Commit
	switch {
	case from.IsZero():
		log.Note = "nothing was applied before"
		reached = map[plumbing.Hash]*object.Commit{to: reached[to]}
	case log.Descends:
		if old, err = ancestors(ctx, got, from); err != nil && !errors.Is(err, ErrRefNotFound) { // it need not come
			return source.Log{}, err
		}
	default:
		log.Note = fmt.Sprintf("%.10s is not among the last %d generations of commits before %.10s", from, farthest, to)
		reached = map[plumbing.Hash]*object.Commit{to: reached[to]}
	}
	for hash, commit := range reached {
		if old[hash] == nil {
			log.Commits = append(log.Commits, told(commit))
		}
	}
	tip := to.String()
	slices.SortFunc(log.Commits, func(a, b source.Commit) int {
		switch tip {
		case a.Hash:
			return -1
		case b.Hash:
			return 1
		}
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Hash, b.Hash))
	})
	return log, nil
}

// ancestors gives a commit and those before it, as far as they came.
func ancestors(ctx context.Context, got objects, start plumbing.Hash) (map[plumbing.Hash]*object.Commit, error) {
	found := map[plumbing.Hash]*object.Commit{}
	generation := []plumbing.Hash{start}
	for depth := 0; depth < farthest && len(generation) > 0; depth++ {
		var parents []plumbing.Hash
		for _, hash := range generation {
			if found[hash] != nil {
				continue
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			commit, err := readCommit(got, hash)
			if errors.Is(err, ErrRefNotFound) && hash != start {
				continue // it is older than what came
			}
			if err != nil {
				return nil, err
			}
			found[hash] = commit
			parents = append(parents, commit.ParentHashes...)
		}
		generation = parents
	}
	return found, nil
}

// comesBy says whether a commit, which need not have come itself, is among others or
// before one of them.
func comesBy(reached map[plumbing.Hash]*object.Commit, at plumbing.Hash) bool {
	if at.IsZero() || reached[at] != nil {
		return !at.IsZero()
	}
	for _, commit := range reached {
		if slices.Contains(commit.ParentHashes, at) {
			return true
		}
	}
	return false
}

// told gives of a commit what people are shown.
func told(c *object.Commit) source.Commit {
	rev := describe(source.Revision{}, c)
	return source.Commit{
		Hash: c.Hash.String(), Author: rev.Author, Committer: printable(fmt.Sprintf("%s <%s>", c.Committer.Name, c.Committer.Email), 200), Subject: rev.Subject,
		Message: c.Message, Time: c.Committer.When.UTC(),
	}
}
