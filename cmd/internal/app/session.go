// Package app turns what a process was told, by flags, variables and
// configuration, into a run that is wired up. It is the only place that reads
// the environment.
//
// A Session is one invocation. It opens what is asked of it when it is asked,
// once: a command that needs no cluster reaches for none.
//
// Laws: a flag wins over its variable, the variable over the configuration. A
// credential goes from where it is kept to whom it is meant for, and into the
// Redactor, and nowhere else.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/state"
)

// DefaultConfig is the configuration that is read when nothing is said.
const DefaultConfig = "tidemark.yaml"

// Session is one invocation of Tidemark. It is safe for concurrent use.
type Session struct {
	env      Env
	settings Settings
	// Redactor knows every credential that the session read.
	Redactor *term.Redactor
	// Run is the id of the run that the session does.
	Run string

	// local is the configuration that is known before the run: a file, or the
	// one app of the flags. With a configuration in the repository only what the
	// operator said is known.
	local    config.Config
	localErr error

	mu      sync.Mutex
	cluster *cluster.Cluster
	faults  []error
	warned  []string
	// secretsRead are the Secrets of the cluster that hold credentials.
	secretsRead []apply.Permission
	// current is the attempt of the last Configure, and spent what those before
	// it took from repositories.
	current *attempt
	spent   reconcile.GitCost
}

// Open begins a session. It reads the local configuration and nothing else. What
// is wrong with that configuration is told by Configure, since a run leaves a
// record of it; an error here is a UsageError.
func Open(env Env, settings Settings) (*Session, error) {
	s := &Session{env: env, settings: settings, Redactor: &term.Redactor{}}
	if s.settings.Config == "" && s.settings.Repo == "" {
		if _, err := os.Stat(DefaultConfig); err == nil {
			s.settings.Config = DefaultConfig
		}
	}
	if err := s.settings.Check(); err != nil {
		return nil, err
	}
	run, err := state.NewRunID(env.Now(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw a run id: %w", err)
	}
	s.Run = run
	switch {
	case s.settings.isLocalFile():
		s.local, s.localErr = readConfig(s.settings.Config)
	case s.settings.isSingle():
		if s.local, err = s.settings.single(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func readConfig(path string) (config.Config, error) {
	data, err := os.ReadFile(path) //nolint:gosec // The operator names it.
	if errors.Is(err, fs.ErrNotExist) {
		return config.Config{}, fmt.Errorf("read configuration %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return config.Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return config.Parse(path, data, config.Trust{})
}

// Close gives back what the session holds open. Whoever opens many, one after
// the other, must call it.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster != nil {
		s.cluster.Close()
	}
}

// Tool names this program for the record.
func (s *Session) Tool() string { return s.env.Tool() }

// Faults gives the errors that single apps met, for hints; the record has their
// words.
func (s *Session) Faults() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

func (s *Session) fault(err error) error {
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = append(s.faults, err)
	}
	return err
}

// Warnings gives what whoever runs this should know, and no record has.
func (s *Session) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.warned
}

func (s *Session) warn(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warned = append(s.warned, text)
}

// Within bounds a context by the timeout of the run. The function it gives also
// lets go of the connections that the session keeps.
func (s *Session) Within(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := s.settings.Timeout
	if timeout == 0 {
		timeout = duration(s.local.Timeout)
	}
	ctx, cancel := within(ctx, timeout)
	return ctx, func() {
		cancel()
		s.close()
	}
}

func (s *Session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		s.current.close()
	}
}
