package app

import (
	"context"
	"maps"
	"slices"
	"sync"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/git"
)

// attempt is what one Configure of a session opens: what its apps share, so that
// each repository is looked up once. A run that starts over configures anew, and
// must not see what the attempt before it was told. It is safe for concurrent
// use.
type attempt struct {
	session *Session
	// config is the configuration of the attempt, set before any app uses it.
	config config.Config

	mu      sync.Mutex
	remotes map[string]*remote

	fetching sync.Mutex
	fetchers *chartFetcher
}

// begin begins an attempt in place of the last one; what that asked of
// repositories stays counted, and its faults are forgotten.
func (s *Session) begin() *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		s.spent = sum(s.spent, s.current.cost())
		s.current.close()
	}
	s.current, s.faults = &attempt{session: s, remotes: map[string]*remote{}}, nil
	return s.current
}

// gitCost is what all repositories took, in all attempts.
func (s *Session) gitCost() reconcile.GitCost {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return s.spent
	}
	return sum(s.spent, s.current.cost())
}

// close lets go of the connections to all repositories of the attempt.
func (a *attempt) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.remotes {
		r.close()
	}
}

// cost is what all repositories of the attempt took.
func (a *attempt) cost() reconcile.GitCost {
	a.mu.Lock()
	defer a.mu.Unlock()
	var total reconcile.GitCost
	for _, key := range slices.Sorted(maps.Keys(a.remotes)) {
		total = sum(total, a.remotes[key].cost())
	}
	return total
}

func sum(a, b reconcile.GitCost) reconcile.GitCost {
	return reconcile.GitCost{Requests: a.Requests + b.Requests, Bytes: a.Bytes + b.Bytes, Fetches: slices.Concat(a.Fetches, b.Fetches)}
}

// shared gives the remote with a key, which is the same for equal repositories.
func (a *attempt) shared(key string, open func(context.Context) (*git.Remote, error)) *remote {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.remotes[key] == nil {
		a.remotes[key] = &remote{open: open}
	}
	return a.remotes[key]
}
