package config

import (
	"maps"
	"slices"

	"tidemark.dev/tidemark/reconcile/ignore"
	"tidemark.dev/tidemark/render"
	"tidemark.dev/tidemark/render/git"
)

// App is a named unit: where it comes from, how it is rendered, what it may
// touch.
type App struct {
	// Name is unique in the ledger: at most 63 lower-case letters, digits and
	// hyphens.
	Name string `json:"name" required:"true"`
	// State of the app. One that is absent is deleted, with all of its objects,
	// except for those that another app wants, that opted out of pruning, or whose
	// deletion wants an approval; it needs no other field. Default present.
	State string `json:"state,omitempty" oneof:"present absent"`
	// Source is where the app's files are. An app that is only a chart of a
	// registry has none.
	Source Source `json:"source,omitzero"`
	// Namespace is where namespaced objects without one go. Default: default.
	Namespace string `json:"namespace,omitempty"`
	// CreateNamespace makes the namespace when it does not exist. Default
	// false.
	CreateNamespace *bool `json:"createNamespace,omitempty"`
	// NamespaceLabels are put on a namespace that createNamespace makes.
	NamespaceLabels map[string]string `json:"namespaceLabels,omitempty"`
	// Render says how files become objects. Default: as the files tell.
	Render render.Spec `json:"render,omitzero"`
	// DependsOn lists apps that come first. Before they are ready, nothing of this
	// app is applied; the next run takes it up. A name alone stands for an app that
	// must be applied.
	DependsOn []Dependency `json:"dependsOn,omitempty"`
	// Policy says what the app may touch.
	Policy
	// Rollback: when the app is not healthy in its time, the last set that was is
	// applied again in the same run, and what made it ill is not tried again until it
	// changes (auto); or the next run goes on waiting (none). Auto wants wait or
	// healthChecks. Default none.
	Rollback string `json:"rollback,omitempty" oneof:"none auto"`
	// Health says what is waited for.
	Health
}

// Dependency is an app that comes first.
type Dependency struct {
	// App of the same ledger.
	App string `json:"app" required:"true" short:"true"`
	// Until says when it is ready: all of it is applied, or is healthy as well.
	// Default applied.
	Until string `json:"until,omitempty" oneof:"applied healthy"`
}

// Source is where an app's files are.
type Source struct {
	// Repo is the name of a repository of this configuration, or a URL. Default:
	// the only repository there is, or the one that this file was read from.
	Repo string `json:"repo,omitempty"`
	// Ref that is wanted. Default: the repository's.
	Ref git.Ref `json:"ref,omitzero"`
	// Path of a directory or a file in the repository. Default: its root.
	Path string `json:"path,omitempty"`
}

// Defaults hold for each app that does not say otherwise.
type Defaults struct {
	// Source: repo and ref that apps have in common.
	Source Source `json:"source,omitzero"`
	// Namespace is where namespaced objects without one go.
	Namespace string `json:"namespace,omitempty"`
	// CreateNamespace makes the namespace when it does not exist.
	CreateNamespace *bool `json:"createNamespace,omitempty"`
	// NamespaceLabels are added to those of each app.
	NamespaceLabels map[string]string `json:"namespaceLabels,omitempty"`
	// Policy says what apps may touch.
	Policy
	// Health says what is waited for.
	Health
}

// Policy says what an app may touch, and how.
type Policy struct {
	// Adopt lists the tools whose objects the app may take over: addon-manager,
	// applyset, argocd, bootstrap, flux, helm, kapp, tidemark:LEDGER. Objects
	// without a tool's marks are always adopted.
	Adopt []string `json:"adopt,omitempty"`
	// Conflicts: fields that another manager took are taken back (take), or
	// fail the object (refuse). Default take.
	Conflicts string `json:"conflicts,omitempty" oneof:"take refuse"`
	// Drift is what becomes of what others change: correct, report or off.
	Drift Drift `json:"drift,omitzero"`
	// Ignore leaves fields to others once an object exists, in the words of Flux
	// (ignore of a Kustomization, driftDetection.ignore of a HelmRelease): their drift
	// is not told, and they are not applied.
	Ignore []ignore.Rule `json:"ignore,omitempty"`
	// IgnoreDifferences does the same in the words of Argo CD, always with
	// RespectIgnoreDifferences.
	IgnoreDifferences []ignore.Difference `json:"ignoreDifferences,omitempty"`
	// Immutable: an object with a field that cannot be changed is refused unless
	// it carries tidemark.dev/replace: enabled (refuse), or is deleted and made
	// again (replace). Default refuse.
	Immutable string `json:"immutable,omitempty" oneof:"refuse replace"`
	// Approval of plans: none, or required: whatever a run would write waits until
	// somebody approved the plan, by tidemark approve, by sync --confirm, or by a
	// commit with the line "Tidemark-Approve: HASH" in its message. Default none.
	Approval string `json:"approval,omitempty" oneof:"none required"`
	// Rewind: a revision that does not descend from the one that was applied last, as
	// after a force push or a reset of the branch, is applied with a warning in the
	// record (allow), or waits until somebody approved the plan (refuse; so does one
	// of which the git server cannot tell). Default allow.
	Rewind string `json:"rewind,omitempty" oneof:"allow refuse"`
	// Prune deletes objects that left the set. Default true.
	Prune *bool `json:"prune,omitempty"`
	// Propagation of deletes. Default background.
	Propagation string `json:"propagation,omitempty" oneof:"background foreground orphan"`
	// Suspend looks at the app and plans, and does not act on it. Default false.
	Suspend *bool `json:"suspend,omitempty"`
	// Validate each change by a dry run on the server before the first write
	// (server), or leave it out (none). Default server.
	Validate string `json:"validate,omitempty" oneof:"server none"`
}

// IsAbsent says whether the app is to go, or gone.
func (a App) IsAbsent() bool { return a.State == "absent" }

// NeedsRepository says whether the app takes anything from a repository: a chart
// of a registry does so only when it says where its value files are.
func (a App) NeedsRepository() bool {
	if a.IsAbsent() {
		return false
	}
	return a.Render.Helm.Chart == nil || a.Source != (Source{}) || len(a.Render.Helm.ValueFiles) > 0
}

// withDefaults gives the app with what it leaves out filled in.
func (a App) withDefaults(d Defaults) App {
	a.Source.Repo = or(a.Source.Repo, d.Source.Repo)
	a.Source.Ref = or(a.Source.Ref, d.Source.Ref)
	a.Source.Path = or(a.Source.Path, d.Source.Path)
	a.Namespace = or(a.Namespace, d.Namespace, "default")
	a.CreateNamespace = or(a.CreateNamespace, d.CreateNamespace, new(false))
	labels := maps.Clone(d.NamespaceLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, a.NamespaceLabels)
	a.NamespaceLabels = labels
	if a.Adopt == nil {
		a.Adopt = d.Adopt
	}
	a.Conflicts = or(a.Conflicts, d.Conflicts, "take")
	a.Drift = a.Drift.withDefaults(d.Drift)
	a.Ignore = slices.Concat(a.Ignore, d.Ignore)
	a.IgnoreDifferences = slices.Concat(a.IgnoreDifferences, d.IgnoreDifferences)
	a.Immutable = or(a.Immutable, d.Immutable, "refuse")
	a.Approval = or(a.Approval, d.Approval, "none")
	a.Rewind = or(a.Rewind, d.Rewind, "allow")
	a.Prune = or(a.Prune, d.Prune, new(true))
	a.Propagation = or(a.Propagation, d.Propagation, "background")
	a.Suspend = or(a.Suspend, d.Suspend, new(false))
	a.Health = a.Health.withDefaults(d.Health)
	a.Validate = or(a.Validate, d.Validate, "server")
	return a
}

// or gives the first value that is set.
func or[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}
