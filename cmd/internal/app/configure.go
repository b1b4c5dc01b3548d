package app

import (
	"context"
	"fmt"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/git"
)

// Configure gives the apps, wired up. A configuration that stands in the
// repository is read at the revision that its apps use, or taken from last when
// that is the same file of the same commit.
func (s *Session) Configure(ctx context.Context, last *reconcile.Committed) (reconcile.Config, error) {
	c, file, err := s.configuration(ctx, last)
	if err != nil {
		return reconcile.Config{}, s.fault(classify(err))
	}
	s.configured = c
	wired := reconcile.Config{
		Committed: file,
		Digest:    c.Digest(), FoldUnchanged: c.Audit.Unchanged == "hourly", DeferTimeout: duration(c.DeferTimeout),
	}
	for _, a := range c.Apps {
		wired.Apps = append(wired.Apps, reconcile.App{
			Name: a.Name, Namespace: a.Namespace,
			Source: s.sourceOf(c, a), Renderer: appRenderer{session: s, app: a}, Rules: rulesOf(a.Policy),
			CreateNamespace: *a.CreateNamespace, NamespaceLabels: a.NamespaceLabels, SkipValidation: a.Validate == "none",
		})
	}
	return wired, nil
}

func rulesOf(p config.Policy) plan.Rules {
	return plan.Rules{
		Adopt: p.Adopt, RefuseConflicts: p.Conflicts == "refuse", ReportDrift: p.Drift == "report",
		KeepAll: !*p.Prune, Propagation: p.Propagation,
	}
}

func (s *Session) configuration(ctx context.Context, last *reconcile.Committed) (config.Config, *reconcile.Committed, error) {
	switch {
	case s.settings.isCommitted():
		return s.committed(ctx, last)
	case s.settings.isLocalFile(), s.settings.isSingle():
		return s.local, nil, s.localErr
	}
	return config.Config{}, nil, errNothing()
}

func errNothing() error {
	return &UsageError{
		Message: "nothing to bring to a cluster is given",
		Hint:    "name a configuration with --config, or describe one app with --app, --repo, --ref and --path",
	}
}

// committed reads the configuration in the repository.
func (s *Session) committed(ctx context.Context, last *reconcile.Committed) (config.Config, *reconcile.Committed, error) {
	file, err := s.committedFile(ctx, last)
	if err != nil {
		return config.Config{}, nil, err
	}
	c, err := config.Parse(file.Path, file.Text, config.Committed)
	if err != nil {
		return config.Config{}, nil, fmt.Errorf("read configuration at %.10s of %s:\n%w", file.Commit, file.Repo, err)
	}
	return c, file, nil
}

// committedFile looks the revision up, and fetches it only when it is another
// than the last run's.
func (s *Session) committedFile(ctx context.Context, last *reconcile.Committed) (*reconcile.Committed, error) {
	remote, err := s.flagRemote().get(ctx)
	if err != nil {
		return nil, err
	}
	ref, err := git.ParseRef(s.settings.Ref)
	if err != nil {
		return nil, &UsageError{Message: "--ref: " + err.Error()}
	}
	revision, err := remote.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	file := &reconcile.Committed{Repo: revision.Repo, Commit: revision.Commit, Path: s.settings.Config}
	if last != nil && last.Repo == file.Repo && last.Commit == file.Commit && last.Path == file.Path {
		return last, nil
	}
	if revision, err = remote.Fetch(ctx, revision); err != nil {
		return nil, err
	}
	file.Text, err = revision.Tree.ReadFile(file.Path)
	if err != nil {
		return nil, fmt.Errorf("read configuration at %.10s of %s: %w", file.Commit, file.Repo, err)
	}
	return file, nil
}
