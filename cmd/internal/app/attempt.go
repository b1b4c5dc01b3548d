package app

import (
	"context"
	"sync"

	"tidemark.dev/tidemark/cmd/internal/config"
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
		s.spent += s.current.requests()
	}
	s.current, s.faults = &attempt{session: s, remotes: map[string]*remote{}}, nil
	return s.current
}

// gitRequests counts what was sent to all repositories, in all attempts.
func (s *Session) gitRequests() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return 0
	}
	return s.spent + s.current.requests()
}

// requests counts what was sent to all repositories of the attempt.
func (a *attempt) requests() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	var sum int64
	for _, r := range a.remotes {
		sum += r.requests()
	}
	return sum
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
