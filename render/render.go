// Package render turns the files of a revision into the set of objects that an
// app wants: it picks the engine, decodes, normalises, sorts and refuses
// duplicates.
//
// Laws: the same request gives the same bytes; a Set is never empty without an
// error; nothing is read but the tree, and charts that the request allows to be
// fetched; one bad object spoils the whole set, and all bad ones are named at
// once.
//
// What normalising does to an object:
//   - A namespaced object without a namespace gets the app's, or "default". A
//     namespace written on a cluster-scoped object is dropped, with a warning.
//     Scope is known from the table of built-in kinds, else from the
//     CustomResourceDefinitions in the set, else from the cluster; objects of a
//     kind that none of them knows stay as they are written.
//   - What the API server owns is dropped: uid, resourceVersion, generation,
//     managedFields, selfLink, creationTimestamp and the deletion fields of the
//     metadata, and the status of built-in kinds. Values that say something are
//     named in a warning; empty ones, and the status of
//     CustomResourceDefinitions, which code generators write, are not.
//   - An object that carries Tidemark's own marks is refused: it was copied out
//     of a cluster, and its marks would be lies.
package render

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidemark.dev/tidemark/render/helm"
	"tidemark.dev/tidemark/render/kustomize"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/plain"
	"tidemark.dev/tidemark/render/source"
)

// The engines.
const (
	EnginePlain     = "plain"
	EngineKustomize = "kustomize"
	EngineHelm      = "helm"
)

// DuplicatesMerge lets objects be written more than once, as long as they are
// identical.
const DuplicatesMerge = "merge"

// Spec says how an app is rendered. The zero value detects the engine and takes
// the defaults of that engine.
type Spec struct {
	// Engine is EnginePlain, EngineKustomize, EngineHelm, or empty: then
	// helm.chart or a Chart.yaml means Helm, a kustomization file Kustomize,
	// and anything else plain.
	Engine string `json:"engine,omitempty"`
	// The options of an engine that is not used must be empty.
	Plain     plain.Options     `json:"plain,omitzero"`
	Kustomize kustomize.Options `json:"kustomize,omitzero"`
	Helm      helm.Options      `json:"helm,omitzero"`
	// Duplicates is empty, which refuses any object that is written twice, or
	// DuplicatesMerge.
	Duplicates string `json:"duplicates,omitempty"`
}

// Request is one app to render.
type Request struct {
	// App is the app's name, and the Helm release's unless the Spec has one.
	App string
	// Tree holds the repository. It may be nil for a Helm chart from elsewhere
	// without files in the repository.
	Tree *source.Tree
	// Path is the app's directory or file in the tree; empty means the root.
	Path string
	// Namespace is that of namespaced objects without one; empty means
	// "default".
	Namespace string
	Spec      Spec
	// Scope tells of a kind that the cluster serves whether its objects live in
	// a namespace; nil when no cluster was asked.
	Scope func(object.GroupKind) (namespaced, known bool)
	// Capabilities are what Helm templates see of the cluster.
	Capabilities helm.Capabilities
	// Charts fetches Helm charts from elsewhere; nil means no network.
	Charts *helm.Charts
	// Now is the time that Helm's templates see; the zero value is 1970-01-01.
	// What hangs on it is in Varying.
	Now time.Time
}

// Result is a rendered app.
type Result struct {
	Set object.Set
	// Engine is the one that was used.
	Engine string
	// Warnings are sentences for people, in the order of the objects.
	Warnings []string
	// Inputs are what was read of the tree, sorted by path: see
	// source.Tree.Same.
	Inputs []source.Entry
	// Chart is the Helm chart that was rendered; nil for other engines.
	Chart *helm.ChartVersion
	// Dependencies are the charts that were fetched besides Chart.
	Dependencies []helm.ChartVersion
	// Varying names the fields that differ between two renders of the same
	// inputs, as JSON pointers (RFC 6901); only Helm has any.
	Varying map[object.ID][]string
}

// The cases of a request that gives nothing.
var (
	// ErrNoPath: the path is not in the repository.
	ErrNoPath = errors.New("is not in the repository")
	// ErrEmpty: there is not a single object. Whoever wants an app to own
	// nothing must take it out of the configuration.
	ErrEmpty = errors.New("renders to no objects")
	// ErrMarked: an object carries marks that only Tidemark may set.
	ErrMarked = errors.New("carries Tidemark's own marks, as if it were copied out of a cluster: remove them")
)

// Render renders an app. On an error the result has no Set, but says which
// engine was chosen and what was read, as far as it came.
//
// Errors name the file. Besides those above see object.DuplicateError,
// object.ErrNotObject and the errors of source and of the engines. It is safe
// for concurrent use.
func Render(ctx context.Context, request Request) (Result, error) {
	switch request.Spec.Duplicates {
	case "", DuplicatesMerge:
	default:
		return Result{}, fmt.Errorf("duplicates is %q, not %s", request.Spec.Duplicates, DuplicatesMerge)
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	if request.Tree != nil {
		request.Tree = request.Tree.Within(ctx)
	}
	out, err := run(ctx, request)
	result := Result{Engine: out.engine, Warnings: out.warnings, Inputs: out.inputs, Chart: out.chart, Dependencies: out.dependencies}
	if err != nil {
		return result, err
	}
	if len(out.objects) == 0 {
		return result, fmt.Errorf("%s: %w", out.path, ErrEmpty)
	}
	normal, err := normalise(out.objects, request)
	if err != nil {
		return result, err
	}
	result.Warnings = append(result.Warnings, normal.warnings...)
	result.Varying = normal.rename(out.varying)
	result.Set, err = object.NewSet(normal.objects, request.Spec.Duplicates == DuplicatesMerge)
	return result, err
}
