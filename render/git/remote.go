// Package git fetches a source.Revision: one commit of a repository, straight
// into memory. It is the only user of go-git.
//
// A Remote asks for the refs once in its life, for each commit once, and for
// each file once. It takes exactly that commit, and of its directories and files
// what is read where the server allows it: no history, no work tree, no temporary file. It
// runs no program and reads no git configuration, no ~/.ssh, no .netrc and no
// environment; whatever it may use is in its Options.
//
// Laws: the repository and its server may be hostile. What they can make the
// reader hold or do is bounded by Limits while it happens, not afterwards.
// Credentials go to the server of the URL and nowhere else, and reach no error,
// no Revision and no record. Every object is found under the hash of its own
// content, so a commit's hash vouches for every file that is read.
//
// Nothing is retried; whether to try again is the caller's business.
package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"tidemark.dev/tidemark/render/source"
)

// Options say how to reach a repository. Only URL must be set.
type Options struct {
	// URL is https://, http://, ssh://, user@host:path, file:// or a path.
	// Credentials in it are used, unless Auth has some, and never shown.
	URL    string
	Auth   Auth
	Limits Limits
	// Submodules fetches the submodules too, at the commits that the tree
	// names, if they are on the same server as the repository. Otherwise they
	// are entries that cannot be read.
	Submodules bool
	// LookupTimeout bounds asking for the refs, default 30 s; FetchTimeout
	// bounds fetching one commit with its submodules, default 5 min.
	LookupTimeout, FetchTimeout time.Duration
	// Proxy chooses a proxy for https and http; nil is none, whatever the
	// environment says. http.ProxyFromEnvironment is one that may be given.
	Proxy func(*http.Request) (*url.URL, error)
	// Now is the clock; only a GitHub App wants one.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	if o.LookupTimeout <= 0 {
		o.LookupTimeout = 30 * time.Second
	}
	if o.FetchTimeout <= 0 {
		o.FetchTimeout = 5 * time.Minute
	}
	return o
}

// Remote is a repository and a way to reach it. It is safe for concurrent use.
type Remote struct {
	address address
	options Options
	server  server
	spent   *meter
	// turn is held by the one call that talks to the server or looks at what
	// follows.
	turn    chan struct{}
	known   *advert
	fetched map[string]source.Revision

	// expected says what of commits will be read.
	expected expected
}

// NewRemote checks the options; it reaches for nothing yet.
func NewRemote(options Options) (*Remote, error) {
	at, info, err := parseURL(options.URL)
	if err != nil {
		return nil, err
	}
	if info != nil && at.scheme == "ssh" {
		return nil, invalid("repository %s: ssh takes a key, not a password in the URL", at)
	}
	options = options.withDefaults()
	options.Auth = options.Auth.withUserinfo(info)
	options.URL = at.String()
	return newRemote(at, options, &meter{})
}

func newRemote(at address, options Options, spent *meter) (*Remote, error) {
	r := &Remote{
		address: at, options: options, spent: spent,
		turn: make(chan struct{}, 1), fetched: map[string]source.Revision{},
	}
	err := options.Auth.check()
	if err == nil {
		switch at.scheme {
		case "file":
			r.server = newLocalServer(at, options)
		case "ssh":
			r.server, err = newSSHServer(at, options, spent)
		default:
			r.server, err = newHTTPServer(at, options, spent)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", at, err)
	}
	return r, nil
}

// URL gives the repository's URL without credentials; a path as file://.
func (r *Remote) URL() string { return r.address.String() }

// Close lets go of the connections that are kept for what may come next. What
// was fetched stays, and a Remote that is used again connects again.
func (r *Remote) Close() { r.server.close() }

// Cost gives what was taken from the server so far.
func (r *Remote) Cost() Cost { return r.spent.cost() }

// Resolve finds the commit that a ref stands for. However many refs are asked
// for, the server is asked once; for a commit, not at all. The Revision has no
// tree yet.
func (r *Remote) Resolve(ctx context.Context, ref Ref) (source.Revision, error) {
	rev, err := r.resolve(ctx, ref)
	if err != nil {
		return source.Revision{}, fmt.Errorf("look up %s in %s: %w", ref, r.URL(), err)
	}
	return rev, nil
}

func (r *Remote) resolve(ctx context.Context, ref Ref) (source.Revision, error) {
	if err := ref.Validate(); err != nil {
		return source.Revision{}, err
	}
	if ref.Commit != "" {
		return source.Revision{Repo: r.URL(), Commit: canonical(ref.Commit)}, nil
	}
	if err := r.take(ctx); err != nil {
		return source.Revision{}, err
	}
	defer r.release()
	known, err := r.lookUp(ctx)
	if err != nil {
		return source.Revision{}, err
	}
	name, commit, err := known.resolve(ref)
	if err != nil {
		return source.Revision{}, err
	}
	return source.Revision{Repo: r.URL(), Ref: name, Commit: commit.String()}, nil
}

// Fetch gets the commit of a Revision, and fills in Tree, Author, Subject and
// Time. A commit is fetched once, however often it is asked for.
//
// Where the server can leave files out and give them by hash, only the commit
// and its directories come now, those on the way to the expected paths if any are,
// and the Tree is a partial one: the rest comes when it is read. An error of such
// a read is one of those of Fetch.
// Otherwise, and with submodules, all files come now; Cost says why.
func (r *Remote) Fetch(ctx context.Context, rev source.Revision) (source.Revision, error) {
	got, err := r.fetch(ctx, rev)
	if err != nil {
		return source.Revision{}, fmt.Errorf("fetch %s from %s: %w", printable(rev.Commit, 64), r.URL(), err)
	}
	return got, nil
}

func (r *Remote) fetch(ctx context.Context, rev source.Revision) (source.Revision, error) {
	if len(rev.Commit) == 64 {
		return source.Revision{}, invalid("SHA-256 object names are not supported")
	}
	if !isObjectName(rev.Commit) {
		return source.Revision{}, invalid("commit: want all 40 hexadecimal digits")
	}
	if rev.Repo != "" && rev.Repo != r.URL() {
		return source.Revision{}, invalid("the revision is one of another repository")
	}
	rev.Repo, rev.Commit = r.URL(), canonical(rev.Commit)
	if err := r.take(ctx); err != nil {
		return source.Revision{}, err
	}
	defer r.release()
	got, ok := r.fetched[rev.Commit]
	if !ok {
		spent, took := r.spent.begin(), &Fetch{Commit: rev.Commit}
		err := within(ctx, r.options.FetchTimeout, func(ctx context.Context) (err error) {
			got, err = r.fetchTree(ctx, rev, took)
			return err
		})
		if err != nil {
			return source.Revision{}, err
		}
		spent(took)
		r.fetched[rev.Commit] = got
	}
	got.Ref = rev.Ref
	return got, nil
}

func canonical(hash string) string { return plumbing.NewHash(hash).String() }

// take waits for the turn.
func (r *Remote) take(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Remote) release() { <-r.turn }

// within bounds work in time. Running out of that time is the server's fault;
// a context that was done before is the caller's own cause.
func within(ctx context.Context, limit time.Duration, work func(context.Context) error) error {
	late := unreachable(fmt.Errorf("%w within %s", ErrUnreachable, limit))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, late)
	defer cancel()
	err := work(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// lookUp asks for the refs, if that was not done.
func (r *Remote) lookUp(ctx context.Context) (*advert, error) {
	if r.known != nil {
		return r.known, nil
	}
	err := within(ctx, r.options.LookupTimeout, func(ctx context.Context) (err error) {
		r.known, err = r.server.lookUp(ctx)
		return err
	})
	return r.known, err
}

// fetchTree fetches the commit's directories only, if it can, else all.
func (r *Remote) fetchTree(ctx context.Context, rev source.Revision, took *Fetch) (source.Revision, error) {
	var err error
	if took.Whole, err = r.whole(ctx); err != nil {
		return source.Revision{}, err
	}
	left := newBudget(r.options.Limits)
	if took.Whole == "" {
		got, err := r.fetchPartial(ctx, rev, left, took)
		if !isRefused(err) {
			return got, err
		}
		took.Whole, took.Broad = "the server refuses to leave files out: "+err.Error(), ""
	}
	from, err := r.fetchObjects(ctx, rev, left)
	if err != nil {
		return source.Revision{}, err
	}
	_, inPlace := r.server.(*localServer)
	entries := &lister{limits: r.options.Limits, unseen: inPlace}
	rev, submodules, err := entries.commit(ctx, from, rev)
	if err != nil {
		return source.Revision{}, err
	}
	all := union{from}
	if r.options.Submodules && len(submodules) > 0 {
		more, err := nest{remote: r, from: from, depth: 1, submodules: submodules}.fetch(ctx, entries)
		if err != nil {
			return source.Revision{}, err
		}
		all = append(all, more...)
	}
	rev.Tree = source.NewTree(entries.entries, reader(all, r.options.Limits))
	return rev, nil
}

// whole says why a commit must be fetched whole; with "" it need not.
func (r *Remote) whole(ctx context.Context) (string, error) {
	if _, ok := r.server.(*localServer); ok {
		return "it is read in place", nil
	}
	known, err := r.lookUp(ctx)
	switch {
	case err != nil:
		return "", err
	case r.options.Submodules:
		return "submodules are fetched with it", nil
	case !known.supports(capability.Filter):
		return "the server cannot leave files out (uploadpack.allowFilter)", nil
	case !known.supports(capability.AllowReachableSHA1InWant):
		return "the server gives out no files by hash (uploadpack.allowAnySHA1InWant)", nil
	}
	return "", nil
}

// Where a server gives out the tips of its refs only, a commit is looked for
// among this many commits of this many branches.
const (
	searchDepth    = 50
	searchBranches = 16
)

// fetchObjects gets the objects of one commit.
func (r *Remote) fetchObjects(ctx context.Context, rev source.Revision, left *budget) (objects, error) {
	commit := plumbing.NewHash(rev.Commit)
	if _, ok := r.server.(*localServer); !ok {
		// It tells what the server can do.
		if _, err := r.lookUp(ctx); err != nil {
			return nil, err
		}
	}
	a := ask{wants: []plumbing.Hash{wanted(r.known, commit)}, depth: 1}
	from, err := r.server.fetch(ctx, r.known, a, left)
	if errors.Is(err, ErrCommitRefused) && r.known != nil && r.known.supports(capability.Filter) {
		// It may be the filter that it refuses, although it announces filters.
		a.all = true
		from, err = r.server.fetch(ctx, r.known, a, left)
	}
	if !errors.Is(err, ErrCommitRefused) {
		return from, err
	}
	known, lookupErr := r.lookUp(ctx)
	if lookupErr != nil {
		return nil, lookupErr
	}
	if known.supports(capability.AllowReachableSHA1InWant) {
		return nil, &caseError{is: ErrRefNotFound, err: fmt.Errorf("%w, or it is in no branch or tag: %w", ErrRefNotFound, err)}
	}
	from, err = r.server.fetch(ctx, known, ask{wants: tips(known, rev.Ref), depth: searchDepth}, left)
	if err == nil {
		if _, _, err = from.read(commit); err == nil {
			return from, nil
		}
	}
	if errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: it is not the tip of a ref, nor among the last %d commits of a branch; name a branch or a tag, "+
		"or set uploadpack.allowReachableSHA1InWant on the server", ErrCommitRefused, searchDepth)
}

// wanted gives the object to ask for: of a commit that only an annotated tag
// leads to, the tag, for servers give out what they advertise.
func wanted(known *advert, commit plumbing.Hash) plumbing.Hash {
	if known == nil || known.head == commit {
		return commit
	}
	for _, hash := range known.refs {
		if hash == commit {
			return commit
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known.peeled)) {
		if known.peeled[name] == commit {
			return known.refs[name]
		}
	}
	return commit
}

// tips gives where to search for a commit: the ref that was looked up, else
// HEAD and the branches.
func tips(known *advert, ref string) []plumbing.Hash {
	if hash, ok := known.refs[ref]; ok {
		return []plumbing.Hash{hash}
	}
	var found []plumbing.Hash
	if !known.head.IsZero() {
		found = append(found, known.head)
	}
	for _, name := range slices.Sorted(maps.Keys(known.refs)) {
		if len(found) < searchBranches && strings.HasPrefix(name, branchPrefix) {
			found = append(found, known.refs[name])
		}
	}
	return found
}
