package app

import (
	"cmp"
	"context"
	"fmt"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/git"
)

// Configure gives the apps, wired up. A configuration that stands in the
// repository is read at the revision that its apps use, or taken from last when
// that is the same file of the same commit. Each call looks everything up anew.
func (s *Session) Configure(ctx context.Context, last *reconcile.Committed) (reconcile.Config, error) {
	attempt := s.begin()
	c, file, err := attempt.configuration(ctx, last)
	if err != nil {
		return reconcile.Config{}, s.fault(classify(err))
	}
	attempt.config = c
	attempt.expect()
	seal, err := sealTo(c.History)
	if err != nil {
		return reconcile.Config{}, s.fault(classify(err))
	}
	wired := reconcile.Config{
		Committed: file, Partial: s.settings.isSingle(),
		Digest: c.Digest(), FoldUnchanged: c.Audit.Unchanged == "hourly", DeferTimeout: duration(c.DeferTimeout),
		Retention: duration(c.Audit.Retention), Keep: *c.History.Keep, Seal: seal,
	}
	for _, w := range c.SyncWindows {
		opens, err := w.Window()
		if err != nil {
			return reconcile.Config{}, err // It was checked.
		}
		wired.Windows = append(wired.Windows, opens)
	}
	for _, a := range c.Apps {
		if a.IsAbsent() {
			wired.Apps = append(wired.Apps, reconcile.App{Name: a.Name, Absent: true, Rules: rulesOf(a.Policy)})
			continue
		}
		checks, err := a.Checks()
		if err != nil {
			return reconcile.Config{}, fmt.Errorf("app %s: %w", a.Name, err) // It was checked.
		}
		ignored, err := a.Ignored()
		if err != nil {
			return reconcile.Config{}, fmt.Errorf("app %s: %w", a.Name, err) // It was checked.
		}
		wired.Apps = append(wired.Apps, reconcile.App{
			Name: a.Name, Namespace: a.Namespace,
			Source: attempt.sourceOf(a), Paths: []string{cmp.Or(a.Source.Path, ".")}, Renderer: appRenderer{attempt: attempt, app: a}, Rules: rulesOf(a.Policy), Ignore: ignored,
			DependsOn: dependenciesOf(a), CreateNamespace: *a.CreateNamespace, NamespaceLabels: a.NamespaceLabels, SkipValidation: a.Validate == "none",
			AutoRollback: a.Rollback == "auto",
			Wait:         reconcile.Wait{All: *a.Wait, For: a.IDs(), Timeout: duration(a.Timeout), Checks: checks}, Suspend: *a.Suspend,
		})
	}
	return wired, nil
}

func dependenciesOf(a config.App) []reconcile.Dependency {
	var all []reconcile.Dependency
	for _, d := range a.DependsOn {
		all = append(all, reconcile.Dependency{App: d.App, Healthy: d.Until == "healthy"})
	}
	return all
}

func rulesOf(p config.Policy) plan.Rules {
	mode, kinds := p.Drift.Modes()
	return plan.Rules{
		Adopt: p.Adopt, RefuseConflicts: p.Conflicts == "refuse", Drift: mode, Kinds: kinds, Replace: p.Immutable == "replace",
		KeepAll: !*p.Prune, RequireApproval: p.Approval == "required", RefuseRewind: p.Rewind == "refuse", Propagation: p.Propagation,
	}
}

func (a *attempt) configuration(ctx context.Context, last *reconcile.Committed) (config.Config, *reconcile.Committed, error) {
	s := a.session
	switch {
	case s.settings.isCommitted():
		return a.committed(ctx, last)
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
func (a *attempt) committed(ctx context.Context, last *reconcile.Committed) (config.Config, *reconcile.Committed, error) {
	file, err := a.committedFile(ctx, last)
	if err != nil {
		return config.Config{}, nil, err
	}
	c, err := config.Parse(file.Path, file.Text, config.Trust{Committed: true, Namespace: a.session.ownNamespace()})
	if err != nil {
		return config.Config{}, nil, fmt.Errorf("read configuration at %.10s of %s:\n%w", file.Commit, file.Repo, err)
	}
	return c, file, nil
}

// committedFile looks the revision up, and fetches it only when it is another
// than the last run's.
func (a *attempt) committedFile(ctx context.Context, last *reconcile.Committed) (*reconcile.Committed, error) {
	if last != nil && a.session.settings.LastConfig && last.Path == a.session.settings.Config {
		return last, nil
	}
	remote, err := a.flagRemote().get(ctx)
	if err != nil {
		return nil, err
	}
	ref, err := git.ParseRef(a.session.settings.Ref)
	if err != nil {
		return nil, &UsageError{Message: "--ref: " + err.Error()}
	}
	revision, err := remote.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	file := &reconcile.Committed{Repo: revision.Repo, Commit: revision.Commit, Path: a.session.settings.Config}
	if last != nil && last.Repo == file.Repo && last.Commit == file.Commit && last.Path == file.Path {
		return last, nil
	}
	a.expectLike(last)
	if revision, err = remote.Fetch(ctx, revision); err != nil {
		return nil, err
	}
	file.Text, err = revision.Tree.ReadFile(file.Path)
	if err != nil {
		return nil, fmt.Errorf("read configuration at %.10s of %s: %w", file.Commit, file.Repo, err)
	}
	return file, nil
}

// expectLike expects that what the last configuration read of the repositories is
// what will be read of them again: that of the commit is in the commit.
func (a *attempt) expectLike(last *reconcile.Committed) {
	if last == nil || last.Path != a.session.settings.Config {
		return
	}
	c, err := config.Parse(last.Path, last.Text, config.Trust{Committed: true, Namespace: a.session.ownNamespace()})
	if err != nil {
		return
	}
	a.config = c // until the newer one was read
	a.expect()
	a.flagRemote().expect(last.Path)
}
