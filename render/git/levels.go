package git

import (
	"path"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// expected are the paths that will be read. They are safe for concurrent use.
type expected struct {
	mu    sync.Mutex
	paths []string
}

// Expect says which paths will be read of commits that are fetched later. What is
// read beside them costs further requests.
func (r *Remote) Expect(paths ...string) {
	r.expected.mu.Lock()
	defer r.expected.mu.Unlock()
	r.expected.paths = append(r.expected.paths, paths...)
}

// manyLevels is how far down directories are left out: below it there are few.
const manyLevels = 100

// levels gives how many levels of directories must come so that each path that is
// expected is named by one of them: then it is known whether it is what it was, and
// what to ask for if not. With 0 all must come, and why.
func (r *Remote) levels() (levels int, broad string) {
	r.expected.mu.Lock()
	defer r.expected.mu.Unlock()
	for _, name := range r.expected.paths {
		name = strings.Trim(path.Clean(name), "/")
		if name == "." || name == "" {
			return 0, "all of the repository may be read"
		}
		levels = max(levels, strings.Count(name, "/")+1)
	}
	switch {
	case levels == 0:
		return 0, "it was not known what will be read"
	case levels > manyLevels:
		return 0, "what will be read lies too deep"
	case refusesLevels(r.known):
		return 0, "the server is known to leave out all directories or none"
	}
	return levels, ""
}

// refusesLevels knows a server that announces filters and refuses this one. To be
// refused costs a request for each commit; to be wrong here costs bytes.
func refusesLevels(known *advert) bool {
	for _, agent := range known.caps.Get(capability.Agent) {
		if strings.HasPrefix(agent, "git/github") {
			return true
		}
	}
	return false
}
