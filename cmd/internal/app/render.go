package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/object"
)

// RenderedApp is one app, rendered.
type RenderedApp struct {
	Name     string
	Engine   string
	Set      object.Set
	Warnings []string
}

// Render renders the selected apps. A cluster is asked only for charts that
// want to know it and whose version of Kubernetes is not pinned. All errors are
// given at once, beside what could be rendered.
func (s *Session) Render(ctx context.Context) ([]RenderedApp, error) {
	if err := s.ready(); err != nil && s.localErr == nil {
		return nil, err
	}
	wired, err := s.Configure(ctx, nil)
	if err != nil {
		return nil, err
	}
	selected, err := s.selected(wired.Apps)
	if err != nil {
		return nil, err
	}
	var rendered []RenderedApp
	var errs []error
	for _, a := range selected {
		one, err := s.renderOne(ctx, a)
		if err != nil {
			errs = append(errs, fmt.Errorf("app %s: %w", a.Name, err))
			continue
		}
		rendered = append(rendered, RenderedApp{Name: a.Name, Engine: one.Engine, Set: one.Set, Warnings: one.Warnings})
	}
	return rendered, errors.Join(errs...)
}

func (s *Session) selected(apps []reconcile.App) ([]reconcile.App, error) {
	apps = slices.DeleteFunc(slices.Clone(apps), func(a reconcile.App) bool { return a.Absent })
	if s.settings.isSingle() || len(s.settings.Apps) == 0 {
		return apps, nil
	}
	var names []string
	for _, a := range apps {
		names = append(names, a.Name)
	}
	for _, name := range s.settings.Apps {
		if !slices.Contains(names, name) {
			return nil, &UsageError{Message: fmt.Sprintf("there is no app %q; there are: %s", name, strings.Join(names, ", "))}
		}
	}
	return slices.DeleteFunc(slices.Clone(apps), func(a reconcile.App) bool { return !slices.Contains(s.settings.Apps, a.Name) }), nil
}

func (s *Session) renderOne(ctx context.Context, a reconcile.App) (reconcile.Rendered, error) {
	revision, err := a.Source.Resolve(ctx)
	if err != nil {
		return reconcile.Rendered{}, err
	}
	revision, err = a.Source.Fetch(ctx, revision)
	if err != nil {
		return reconcile.Rendered{}, err
	}
	if revision.Tree != nil {
		revision.Tree.Expect(a.Paths...)
	}
	rendered, err := a.Renderer.Render(ctx, revision, reconcile.Server{Version: s.settings.KubeVersion})
	if !errors.Is(err, helm.ErrNoCapabilities) {
		return rendered, err
	}
	server, err := s.server(ctx)
	if usage, ok := errors.AsType[*UsageError](err); ok {
		return reconcile.Rendered{}, &UsageError{
			Message: "the chart wants to know the version of Kubernetes, and " + usage.Message,
			Hint:    "give the version with --kube-version, or name a cluster with --kubeconfig",
		}
	}
	if err != nil {
		return reconcile.Rendered{}, err
	}
	return a.Renderer.Render(ctx, revision, server)
}

// server asks the cluster what renderers may know of it.
func (s *Session) server(ctx context.Context) (reconcile.Server, error) {
	target, err := s.Cluster(ctx)
	if err != nil {
		return reconcile.Server{}, err
	}
	kinds, err := target.Discover(ctx, false)
	if err != nil {
		return reconcile.Server{}, err
	}
	return reconcile.ServerOf(kinds), nil
}
