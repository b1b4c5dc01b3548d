package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"runtime/debug"
	"slices"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render"
	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/source"
)

// appRenderer is the reconcile.Renderer of one app.
type appRenderer struct {
	attempt *attempt
	app     config.App
}

// Digest covers the app's rendering options, what its repository adds to the
// files of a commit, and the versions of what renders.
func (a appRenderer) Digest() string {
	data, err := json.Marshal([]any{
		a.app.Name, a.app.Namespace, a.app.Source.Path, a.app.Render, a.attempt.repositoryOf(a.app).Submodules,
		a.attempt.session.env.Version, renderers(),
	})
	if err != nil {
		panic(err) // It was read from YAML.
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// renderers gives the versions of the modules that decide what comes out of a
// rendering.
func renderers() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	modules := []string{"helm.sh/helm/v4", "github.com/Masterminds/sprig/v3", "sigs.k8s.io/kustomize/api", "sigs.k8s.io/kustomize/kyaml", "sigs.k8s.io/yaml"}
	var versions []string
	for _, m := range info.Deps {
		if slices.Contains(modules, m.Path) {
			versions = append(versions, m.Path+"@"+m.Version)
		}
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			versions = append(versions, setting.Value)
		}
	}
	return versions
}

// inputsOf gives the digest of what a rendering read.
func inputsOf(result render.Result) string {
	data, err := json.Marshal([]any{result.Inputs, result.Chart, result.Dependencies})
	if err != nil {
		panic(err) // Names and hashes only.
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// registryChart gives the chart that was rendered, under the name of its
// repository that the configuration has; nil for a chart of the app's own.
func registryChart(wanted *helm.ChartRef, found *helm.ChartVersion) *source.Chart {
	if wanted == nil || found == nil || found.Repo == "" {
		return nil
	}
	return &source.Chart{Repo: wanted.Repo, Name: found.Name, Version: found.Version, Digest: found.Digest}
}

// Render gives the app's objects.
func (a appRenderer) Render(ctx context.Context, revision source.Revision, server reconcile.Server) (reconcile.Rendered, error) {
	rendered, err := a.render(ctx, revision, server)
	return rendered, a.attempt.session.fault(classify(err))
}

func (a appRenderer) render(ctx context.Context, revision source.Revision, server reconcile.Server) (reconcile.Rendered, error) {
	spec := a.app.Render
	if spec.Helm.Chart != nil && revision.Chart != nil {
		pinned := *spec.Helm.Chart
		pinned.Version, pinned.Digest = revision.Chart.Version, revision.Chart.Digest
		spec.Helm.Chart = &pinned
	}
	charts, err := a.attempt.chartsFor(ctx, spec.Helm.Chart)
	if err != nil {
		return reconcile.Rendered{}, err
	}
	request := render.Request{
		App: a.app.Name, Tree: revision.Tree, Path: a.app.Source.Path, Namespace: a.app.Namespace, Spec: spec,
		Scope: server.Scope, Charts: charts,
		Capabilities: helm.Capabilities{KubeVersion: server.Version, APIVersions: server.APIVersions, Failing: server.Failing}, Now: a.attempt.session.env.Now(),
	}
	result, err := render.Render(ctx, request)
	if extra := a.attempt.session.settings.APIVersions; len(extra) > 0 && result.Engine == render.EngineHelm {
		// Only now is it known that the app has a use for them.
		request.Spec.Helm.APIVersions = slices.Concat(spec.Helm.APIVersions, extra)
		result, err = render.Render(ctx, request)
	}
	if err != nil {
		return reconcile.Rendered{}, err
	}
	nondeterministic := string(spec.Helm.Nondeterministic)
	if nondeterministic == "" {
		nondeterministic = string(helm.NondeterministicKeep)
	}
	return reconcile.Rendered{
		Set: result.Set, Engine: result.Engine, Warnings: result.Warnings, Inputs: inputsOf(result), Reads: slices.Concat([]source.Entry{}, result.Inputs), Chart: registryChart(spec.Helm.Chart, result.Chart),
		UsesServer: result.Engine == render.EngineHelm && spec.Helm.KubeVersion == "",
		Varying:    result.Varying, Nondeterministic: nondeterministic,
	}, nil
}
