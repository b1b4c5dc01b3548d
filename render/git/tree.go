package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"tidemark.dev/tidemark/render/source"
)

// readCommit decodes a commit.
func readCommit(from objects, hash plumbing.Hash) (*object.Commit, error) {
	kind, content, err := from.read(hash)
	if errors.Is(err, errLacking) {
		return nil, &caseError{is: ErrRefNotFound, err: fmt.Errorf("commit %s: %w", hash, ErrRefNotFound)}
	}
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", hash, err)
	}
	if kind != plumbing.CommitObject {
		return nil, invalid("%s is a %s, not a commit", hash, kind)
	}
	var commit object.Commit
	if err := commit.Decode(encoded(kind, content)); err != nil {
		return nil, corrupt("commit %s: %w", hash, err)
	}
	return &commit, nil
}

func encoded(kind plumbing.ObjectType, content []byte) plumbing.EncodedObject {
	o := &plumbing.MemoryObject{}
	o.SetType(kind)
	// A MemoryObject cannot fail to take what is written to it.
	_, _ = o.Write(content)
	return o
}

// describe fills in what a person wants to know about a commit.
func describe(rev source.Revision, commit *object.Commit) source.Revision {
	subject, _, _ := strings.Cut(strings.TrimLeft(commit.Message, "\n"), "\n")
	rev.Author = printable(fmt.Sprintf("%s <%s>", commit.Author.Name, commit.Author.Email), 200)
	rev.Subject = printable(subject, 200)
	rev.Time = commit.Committer.When.UTC()
	return rev
}

// lister collects the entries of a tree with all its directories.
type lister struct {
	limits  Limits
	entries []source.Entry
	// unseen says that files are not looked at: they may come later, or each
	// look costs time.
	unseen bool
	// gaps says that directories which did not come are left as they are: they
	// may come later.
	gaps bool
	// listed counts entries that were listed before.
	listed int64
	// submodules counts those that were followed.
	submodules int
}

// commit adds the entries of a commit, and gives its description and the
// submodules in it.
func (l *lister) commit(ctx context.Context, from objects, rev source.Revision) (source.Revision, []source.Entry, error) {
	commit, err := readCommit(from, plumbing.NewHash(rev.Commit))
	if err != nil {
		return rev, nil, err
	}
	submodules, err := l.list(ctx, from, commit.TreeHash, "")
	return describe(rev, commit), submodules, err
}

// list adds the entries below a tree, each path with a prefix ("" or "dir/"),
// and gives the submodules among them. A tree that git would not check out is
// refused whole.
//
// The number of entries is bounded as well as the number of objects: a few
// dozen directories that name each other can stand for billions of files.
func (l *lister) list(ctx context.Context, from objects, root plumbing.Hash, prefix string) ([]source.Entry, error) {
	type directory struct {
		prefix string
		hash   plumbing.Hash
	}
	var submodules []source.Entry
	// The same directory may be there many times.
	trees := map[plumbing.Hash]*object.Tree{}
	for stack := []directory{{prefix, root}}; len(stack) > 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		dir := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if l.gaps && dir.hash != root && !from.has(dir.hash) {
			continue
		}
		tree, ok := trees[dir.hash]
		if !ok {
			var err error
			if tree, err = readTree(from, dir.hash); err != nil {
				return nil, fmt.Errorf("directory %q: %w", printable(strings.TrimSuffix(dir.prefix, "/"), maxSaid), err)
			}
			trees[dir.hash] = tree
		}
		seen := make(map[string]bool, len(tree.Entries))
		for _, child := range tree.Entries {
			path := dir.prefix + child.Name
			if err := checkEntry(path, child.Name, seen); err != nil {
				return nil, err
			}
			entry := source.Entry{Path: path, Hash: child.Hash.String()}
			switch child.Mode {
			case filemode.Dir:
				entry.Mode = source.Directory
				stack = append(stack, directory{path + "/", child.Hash})
			case filemode.Regular, filemode.Deprecated:
				entry.Mode = source.File
			case filemode.Executable:
				entry.Mode = source.Executable
			case filemode.Symlink:
				entry.Mode = source.Symlink
			case filemode.Submodule:
				entry.Mode = source.Submodule
				submodules = append(submodules, entry)
			default:
				return nil, corrupt("%s: its mode is none that git knows", printable(path, maxSaid))
			}
			if !l.unseen && (entry.Mode == source.File || entry.Mode == source.Executable) {
				if _, err := from.size(child.Hash); err != nil {
					return nil, fmt.Errorf("%s: %w", printable(path, maxSaid), explainLacking(err))
				}
			}
			if l.entries = append(l.entries, entry); l.listed+int64(len(l.entries)) > l.limits.Objects {
				return nil, &LimitError{What: "tree", Limit: l.limits.Objects, Unit: "files and directories"}
			}
		}
	}
	return submodules, nil
}

func explainLacking(err error) error {
	if errors.Is(err, errLacking) {
		return corrupt("%w (is this a partial clone?)", err)
	}
	return err
}

func readTree(from objects, hash plumbing.Hash) (*object.Tree, error) {
	kind, content, err := from.read(hash)
	if err != nil {
		return nil, explainLacking(err)
	}
	var tree object.Tree
	if err := tree.Decode(encoded(kind, content)); err != nil {
		return nil, corrupt("%w", err)
	}
	return &tree, nil
}

// checkEntry refuses the names that git refuses to check out (git-fsck(1)),
// and paths that no system would take.
func checkEntry(path, name string, seen map[string]bool) error {
	switch {
	case name == "", name == ".", name == "..", strings.EqualFold(name, ".git"), strings.ContainsAny(name, "/\x00"):
		return corrupt("%q: no file can have that name", printable(path, maxSaid))
	case seen[name]:
		return corrupt("%q: is there twice", printable(path, maxSaid))
	case len(path) > maxPath, len(name) > maxName:
		return &LimitError{What: "path " + printable(path, 40), Limit: maxPath, Unit: "bytes"}
	}
	seen[name] = true
	return nil
}

// reader gives the read function of a source.Tree. It looks at a file's length
// before it inflates it.
func reader(from objects, limits Limits) func(source.Entry) ([]byte, error) {
	return func(entry source.Entry) ([]byte, error) {
		hash := plumbing.NewHash(entry.Hash)
		limit := limits.FileBytes
		if entry.Mode == source.Symlink {
			limit = maxLink
		}
		size, err := from.size(hash)
		if err != nil {
			return nil, explainLacking(err)
		}
		if size > limit {
			return nil, &LimitError{What: "file", Limit: limit, Unit: "bytes"}
		}
		kind, content, err := from.read(hash)
		if err != nil {
			return nil, explainLacking(err)
		}
		if kind != plumbing.BlobObject {
			return nil, corrupt("is a %s, not a file", kind)
		}
		return content, nil
	}
}

// union looks for an object in several places.
type union []objects

func (u union) has(hash plumbing.Hash) bool {
	return slices.ContainsFunc(u, func(one objects) bool { return one.has(hash) })
}

func (u union) size(hash plumbing.Hash) (int64, error) {
	size, err := int64(0), errLacking
	for _, one := range u {
		// A place that left out large files answers for what it never had; a
		// place that has the file knows better.
		found, foundErr := one.size(hash)
		if foundErr == nil && (err != nil || found < size) {
			size, err = found, nil
		}
	}
	return size, err
}

func (u union) read(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	for _, one := range u {
		kind, content, err := one.read(hash)
		if !errors.Is(err, errLacking) {
			return kind, content, err
		}
	}
	return plumbing.InvalidObject, nil, errLacking
}
