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
// repository is read at the revision that its apps use.
func (s *Session) Configure(ctx context.Context) (reconcile.Config, error) {
	c, err := s.configuration(ctx)
	if err != nil {
		return reconcile.Config{}, s.fault(classify(err))
	}
	s.configured = c
	wired := reconcile.Config{
		Digest: c.Digest(), FoldUnchanged: c.Audit.Unchanged == "hourly", DeferTimeout: duration(c.DeferTimeout),
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

func (s *Session) configuration(ctx context.Context) (config.Config, error) {
	switch {
	case s.settings.isCommitted():
		return s.committed(ctx)
	case s.settings.isLocalFile(), s.settings.isSingle():
		return s.local, s.localErr
	}
	return config.Config{}, errNothing()
}

func errNothing() error {
	return &UsageError{Message: "nothing to bring to a cluster is given",
		Hint: "name a configuration with --config, or describe one app with --app, --repo, --ref and --path"}
}

// committed reads the configuration in the repository.
func (s *Session) committed(ctx context.Context) (config.Config, error) {
	remote, err := s.flagRemote().get(ctx)
	if err != nil {
		return config.Config{}, err
	}
	ref, err := git.ParseRef(s.settings.Ref)
	if err != nil {
		return config.Config{}, &UsageError{Message: "--ref: " + err.Error()}
	}
	revision, err := remote.Resolve(ctx, ref)
	if err != nil {
		return config.Config{}, err
	}
	revision, err = remote.Fetch(ctx, revision)
	if err != nil {
		return config.Config{}, err
	}
	data, err := revision.Tree.ReadFile(s.settings.Config)
	if err != nil {
		return config.Config{}, fmt.Errorf("read configuration at %.10s of %s: %w", revision.Commit, revision.Repo, err)
	}
	c, err := config.Parse(s.settings.Config, data, config.Committed)
	if err != nil {
		return config.Config{}, fmt.Errorf("read configuration at %.10s of %s:\n%w", revision.Commit, revision.Repo, err)
	}
	return c, nil
}
