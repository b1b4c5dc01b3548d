package app

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/state"
)

// remote is a repository that is opened when it is first needed, so that the
// credentials of one app cannot fail another. It is safe for concurrent use.
type remote struct {
	open func(context.Context) (*git.Remote, error)

	mu     sync.Mutex
	opened *git.Remote
	err    error
	// paths are what is expected to be read, told to the repository when it is
	// opened.
	paths []string
}

// expect says which paths will be read.
func (r *remote) expect(paths ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened != nil {
		r.opened.Expect(paths...)
		return
	}
	r.paths = append(r.paths, paths...)
}

func (r *remote) get(ctx context.Context) (*git.Remote, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened == nil && r.err == nil {
		if r.opened, r.err = r.open(ctx); r.err == nil {
			r.opened.Expect(r.paths...)
		}
	}
	return r.opened, r.err
}

// close lets go of its connections.
func (r *remote) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened != nil {
		r.opened.Close()
	}
}

// cost is what the repository took so far.
func (r *remote) cost() reconcile.GitCost {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened == nil {
		return reconcile.GitCost{}
	}
	spent := r.opened.Cost()
	cost := reconcile.GitCost{Requests: spent.Requests, Bytes: spent.Bytes}
	for _, f := range spent.Fetches {
		fetch := state.Fetch{Repo: r.opened.URL(), Commit: f.Commit, Way: state.FetchPartial, Note: f.Broad, Requests: f.Requests, Bytes: f.Bytes}
		if f.Whole != "" {
			fetch.Way, fetch.Note = state.FetchWhole, f.Whole
		}
		cost.Fetches = append(cost.Fetches, fetch)
	}
	return cost
}

// remoteOf gives a repository; equal ones are one, with one look-up.
func (a *attempt) remoteOf(r config.Repository) *remote {
	s := a.session
	if r.Name == config.Flags && s.settings.isSingle() {
		return a.flagRemote()
	}
	r.Name, r.Ref = "", git.Ref{}
	key, _ := json.Marshal(r) // Strings and numbers only.
	return a.shared(string(key), func(ctx context.Context) (*git.Remote, error) {
		auth, err := s.auth(ctx, r.Auth)
		if err != nil {
			return nil, err
		}
		return s.openRemote(r.URL, auth, r)
	})
}

// flagRemote gives the repository of the flags.
func (a *attempt) flagRemote() *remote {
	s := a.session
	return a.shared("", func(ctx context.Context) (*git.Remote, error) {
		s.redactURL(s.settings.Repo)
		auth, err := s.flagAuth(ctx)
		if err != nil {
			return nil, err
		}
		return s.openRemote(s.settings.Repo, auth, config.Repository{})
	})
}

func (s *Session) openRemote(url string, auth git.Auth, r config.Repository) (*git.Remote, error) {
	if len(auth.KnownHosts) == 0 && isSSH(url) {
		known, err := s.knownHosts()
		if err != nil {
			return nil, err
		}
		auth.KnownHosts = known
	}
	return git.NewRemote(git.Options{
		URL: url, Auth: auth, Submodules: r.Submodules,
		Limits: git.Limits{PackBytes: int64(r.Limits.PackSize), Objects: r.Limits.Objects, FileBytes: int64(r.Limits.FileSize)},
		Proxy:  http.ProxyFromEnvironment, Now: s.env.Now,
	})
}

// isSSH tells the two forms of ssh URLs.
func isSSH(url string) bool {
	host, _, _ := strings.Cut(url, "/")
	return strings.HasPrefix(strings.ToLower(url), "ssh://") || strings.Contains(host, ":") && !strings.Contains(url, "://")
}
