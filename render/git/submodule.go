package git

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"

	"tidemark.dev/tidemark/render/source"
)

// Submodules in submodules are followed this deep, and this many in all.
const (
	maxSubmoduleDepth = 8
	maxSubmodules     = 64
)

// nest is a tree that holds submodules: the repository's own, or that of a
// submodule.
type nest struct {
	remote *Remote
	from   objects
	// prefix is where the tree lies: "", or "dir/".
	prefix     string
	depth      int
	submodules []source.Entry
}

// fetch gets the submodules of a tree at the commits that it names, and lists
// their entries below their paths, which become directories. What .gitmodules
// says is hostile: it can name no place but the repository's own server,
// reached the same way.
func (n nest) fetch(ctx context.Context, into *lister) (union, error) {
	if n.depth > maxSubmoduleDepth {
		return nil, &LimitError{What: "submodules", Limit: maxSubmoduleDepth, Unit: "levels"}
	}
	urls, err := n.urls(into)
	if err != nil {
		return nil, err
	}
	var all union
	for _, entry := range n.submodules {
		if into.submodules++; into.submodules > maxSubmodules {
			return nil, &LimitError{What: "submodules", Limit: maxSubmodules, Unit: "in all"}
		}
		more, err := n.fetchOne(ctx, into, entry, urls[strings.TrimPrefix(entry.Path, n.prefix)])
		if err != nil {
			return nil, fmt.Errorf("submodule %s: %w", printable(entry.Path, maxSaid), err)
		}
		all = append(all, more...)
	}
	return all, nil
}

// urls reads from .gitmodules where the submodules are, by their paths
// (gitmodules(5)).
func (n nest) urls(into *lister) (map[string]string, error) {
	at := into.find(n.prefix + ".gitmodules")
	if at < 0 || into.entries[at].Mode == source.Symlink {
		return nil, nil
	}
	content, err := reader(n.from, n.remote.options.Limits)(into.entries[at])
	if err != nil {
		return nil, fmt.Errorf("%s.gitmodules: %w", n.prefix, err)
	}
	modules := config.NewModules()
	if err := modules.Unmarshal(content); err != nil {
		return nil, invalid("%s.gitmodules: %s", n.prefix, printable(err.Error(), maxSaid))
	}
	urls := map[string]string{}
	for _, module := range modules.Submodules {
		urls[path.Clean(module.Path)] = module.URL
	}
	return urls, nil
}

func (n nest) fetchOne(ctx context.Context, into *lister, entry source.Entry, url string) (union, error) {
	at, err := n.remote.address.submodule(url)
	if err != nil {
		return nil, err
	}
	child, err := newRemote(at, n.remote.options, n.remote.spent)
	if err != nil {
		return nil, err
	}
	defer child.Close()
	// The same server: its connections and a GitHub App's token serve again.
	if ours, ok := n.remote.server.(*httpServer); ok {
		theirs := *ours
		theirs.base = at.String()
		child.server = &theirs
	}
	from, err := child.fetchObjects(ctx, source.Revision{Commit: entry.Hash}, newBudget(child.options.Limits))
	if err != nil {
		return nil, fmt.Errorf("commit %s from %s: %w", entry.Hash, at, err)
	}
	commit, err := readCommit(from, plumbing.NewHash(entry.Hash))
	if err != nil {
		return nil, err
	}
	into.entries[into.find(entry.Path)] = source.Entry{Path: entry.Path, Mode: source.Directory, Hash: commit.TreeHash.String()}
	inner := nest{remote: child, from: from, prefix: entry.Path + "/", depth: n.depth + 1}
	if inner.submodules, err = into.list(ctx, from, commit.TreeHash, inner.prefix); err != nil {
		return nil, err
	}
	all := union{from}
	if len(inner.submodules) > 0 {
		more, err := inner.fetch(ctx, into)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func (l *lister) find(path string) int {
	return slices.IndexFunc(l.entries, func(e source.Entry) bool { return e.Path == path })
}

// submodule gives the address that a URL in .gitmodules stands for: one that
// begins with ./ or ../ is relative to the repository's own.
func (a address) submodule(url string) (address, error) {
	refuse := func(format string, args ...any) (address, error) {
		return address{}, fmt.Errorf("%w: %s", ErrSubmodule, fmt.Sprintf(format, args...))
	}
	if url == "" {
		return refuse(".gitmodules has no URL for it")
	}
	// What lies beside a repository on this machine is none of its business.
	if a.scheme == "file" {
		return refuse("submodules of a local repository are not followed")
	}
	if strings.HasPrefix(url, "./") || strings.HasPrefix(url, "../") {
		to := a
		rooted := strings.HasPrefix(a.path, "/")
		to.path = path.Join("/"+a.path, url)
		if !rooted {
			to.path = to.path[1:]
		}
		if err := to.check(); err != nil {
			return refuse("its relative URL leads nowhere")
		}
		return to, nil
	}
	to, info, err := parseURL(url)
	switch {
	case err != nil:
		return refuse("%v", err)
	case info != nil:
		return refuse("its URL brings credentials of its own")
	case to.scheme == "file":
		return refuse("it names a path on this machine")
	case !a.sameServer(to):
		return refuse("it is on %s://%s, not on %s://%s", to.scheme, to.hostPort(), a.scheme, a.hostPort())
	}
	return to, nil
}
