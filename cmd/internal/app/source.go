package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/Masterminds/semver/v3"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/source"
)

// appSource is the reconcile.Source of one app: a ref of a repository, a chart
// of a registry, or both.
type appSource struct {
	attempt *attempt
	remote  *remote // nil for an app that is only a chart
	ref     git.Ref
	chart   *helm.ChartRef
}

// Resolve looks up the commit, and the chart's version unless it is exact.
func (a appSource) Resolve(ctx context.Context) (source.Revision, error) {
	revision, err := a.resolve(ctx)
	return revision, a.attempt.session.fault(classify(err))
}

func (a appSource) resolve(ctx context.Context) (source.Revision, error) {
	var revision source.Revision
	if a.remote != nil {
		remote, err := a.remote.get(ctx)
		if err != nil {
			return source.Revision{}, err
		}
		if revision, err = remote.Resolve(ctx, a.ref); err != nil {
			return source.Revision{}, err
		}
	}
	if a.chart == nil {
		return revision, nil
	}
	if _, err := semver.StrictNewVersion(a.chart.Version); err == nil {
		revision.Chart = &source.Chart{Repo: a.chart.Repo, Name: a.chart.Name, Version: a.chart.Version, Digest: a.chart.Digest}
		return revision, nil
	}
	charts, err := a.attempt.chartsFor(ctx, a.chart)
	if err != nil {
		return source.Revision{}, err
	}
	found, err := charts.Resolve(ctx, *a.chart)
	if err != nil {
		return source.Revision{}, fmt.Errorf("look up chart %s: %w", a.chart.Name, err)
	}
	revision.Chart = &source.Chart{Repo: a.chart.Repo, Name: a.chart.Name, Version: found.Version, Digest: found.Digest}
	return revision, nil
}

// Fetch gets the commit's files; a chart is fetched when it is rendered.
func (a appSource) Fetch(ctx context.Context, revision source.Revision) (source.Revision, error) {
	if a.remote == nil {
		return revision, nil
	}
	fetched, err := a.fetch(ctx, revision)
	return fetched, a.attempt.session.fault(classify(err))
}

func (a appSource) fetch(ctx context.Context, revision source.Revision) (source.Revision, error) {
	remote, err := a.remote.get(ctx)
	if err != nil {
		return source.Revision{}, err
	}
	fetched, err := remote.Fetch(ctx, revision)
	if err != nil {
		return source.Revision{}, err
	}
	fetched.Chart = revision.Chart
	return fetched, nil
}

// Log gives what a commit brings that an earlier one has not.
func (a appSource) Log(ctx context.Context, from string, to source.Revision) (source.Log, error) {
	if a.remote == nil {
		return source.Log{Note: "a chart has no commits"}, nil
	}
	remote, err := a.remote.get(ctx)
	if err != nil {
		return source.Log{}, classify(err)
	}
	log, err := remote.Log(ctx, from, to.Commit)
	return log, classify(err)
}

// classify marks the errors of servers that do not answer, or not in full.
func classify(err error) error {
	if errors.Is(err, git.ErrUnreachable) || errors.Is(err, helm.ErrUnreachable) || errors.Is(err, helm.ErrIncomplete) {
		return reconcile.Unreachable(err)
	}
	return err
}

// sourceOf gives the source of an app of the attempt's configuration.
func (a *attempt) sourceOf(wants config.App) appSource {
	src := appSource{attempt: a, ref: wants.Source.Ref, chart: wants.Render.Helm.Chart}
	switch {
	case !wants.NeedsRepository():
		return src
	case wants.Source.Repo == "":
		// The configuration came from this repository.
		src.remote = a.flagRemote()
		if src.ref == (git.Ref{}) {
			src.ref, _ = git.ParseRef(a.session.settings.Ref) // It was checked.
		}
		return src
	}
	repository := a.repositoryOf(wants)
	if src.ref == (git.Ref{}) {
		src.ref = repository.Ref
	}
	src.remote = a.remoteOf(repository)
	return src
}

// expect tells the repositories what the apps of the attempt's configuration will
// read of them.
func (a *attempt) expect() {
	for _, wants := range a.config.Apps {
		if src := a.sourceOf(wants); src.remote != nil && !wants.IsAbsent() {
			src.remote.expect(cmp.Or(wants.Source.Path, "."))
		}
	}
}

// repositoryOf gives the repository that an app names, by its name or its URL.
func (a *attempt) repositoryOf(wants config.App) config.Repository {
	for _, r := range a.config.Repositories {
		if r.Name == wants.Source.Repo {
			return r
		}
	}
	return config.Repository{URL: wants.Source.Repo}
}
