package source

import (
	"path"
	"slices"
	"strings"
	"sync"
)

// names are the entries of a tree, as far as they are known. They are safe for
// concurrent use.
type names struct {
	mu       sync.RWMutex
	entries  map[string]Entry
	children map[string][]Entry
	links    []Entry
	// closed are the directories of which it is not known what is in them.
	closed map[string]bool
}

func newNames(entries []Entry) *names {
	n := &names{entries: make(map[string]Entry, len(entries)), children: map[string][]Entry{}, closed: map[string]bool{}}
	n.entries["."] = Entry{Path: ".", Mode: Directory}
	n.add(entries)
	return n
}

// add adds entries below directories of which nothing is known yet. The caller
// holds the lock, or is alone.
func (n *names) add(entries []Entry) {
	var added []string
	put := func(e Entry) {
		if _, known := n.entries[e.Path]; !known {
			added = append(added, e.Path)
		}
		n.entries[e.Path] = e
	}
	for _, e := range entries {
		put(e)
		if e.Mode == Symlink {
			n.links = append(n.links, e)
		}
	}
	for _, e := range entries {
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			if _, known := n.entries[dir]; known {
				break
			}
			put(Entry{Path: dir, Mode: Directory})
		}
	}
	parents := map[string]bool{}
	for _, p := range added {
		parent := path.Dir(p)
		n.children[parent] = append(n.children[parent], n.entries[p])
		parents[parent] = true
	}
	for parent := range parents {
		slices.SortFunc(n.children[parent], func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	}
}

// close notes the directories among entries whose own entries are not there.
func (n *names) close(entries []Entry, has func(Entry) bool) {
	for _, e := range entries {
		if e.Mode == Directory && e.Hash != "" && !has(e) {
			n.closed[e.Path] = true
		}
	}
}

// open makes known what is below a directory that was closed.
func (n *names) open(dir Entry, below []Entry, has func(Entry) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.add(below)
	n.close(below, has)
	delete(n.closed, dir.Path)
}

func (n *names) entry(name string) (Entry, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	e, ok := n.entries[name]
	return e, ok
}

// in gives the entries of a directory that is not closed, sorted. The caller may
// not change them.
func (n *names) in(dir string) []Entry {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.children[dir]
}

func (n *names) isClosed(dir string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.closed[dir]
}

// linked gives the links that are known. The caller may not change them.
func (n *names) linked() []Entry {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.links
}

// isPlain says that below a directory all is known, and no link among it.
func (n *names) isPlain(dir string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for name := range n.closed {
		if name == dir || below(name, dir) {
			return false
		}
	}
	return !slices.ContainsFunc(n.links, func(link Entry) bool { return below(link.Path, dir) })
}
