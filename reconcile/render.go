package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
)

// ServerOf gives what rendering may know of a server that serves these kinds.
func ServerOf(kinds plan.Kinds) Server {
	return Server{
		Version: kinds.Version, APIVersions: apiVersions(kinds), Failing: slices.Sorted(maps.Keys(kinds.Failing)),
		Scope: func(gk object.GroupKind) (namespaced, known bool) {
			kind, known := kinds.Served[gk]
			return kind.Namespaced, known
		},
	}
}

// apiVersions lists what is served as Helm's .Capabilities.APIVersions has it:
// "apps/v1" and "apps/v1/Deployment", sorted.
func apiVersions(kinds plan.Kinds) []string {
	var versions []string
	for gk, kind := range kinds.Served {
		for _, version := range kind.Versions {
			if gk.Group != "" {
				version = gk.Group + "/" + version
			}
			versions = append(versions, version, version+"/"+gk.Kind)
		}
	}
	slices.Sort(versions)
	return slices.Compact(versions)
}

// render fetches and renders every app of which anything moved.
func (r *runner) render(ctx context.Context, l *ledger, apps []*app) {
	defer r.stage("render")()
	touched := slices.DeleteFunc(slices.Clone(apps), func(a *app) bool { return a.err != nil || a.untouched || a.left != plan.NotLeft })
	for _, a := range touched {
		r.fetch(ctx, l, a)
	}
	abreast(touched, rendering(), func(a *app) {
		if a.err != nil {
			return
		}
		r.tell(Event{Stage: "render", App: a.Name})
		if err := r.renderApp(ctx, l, a); err != nil {
			a.err = within(ctx, err)
		}
	})
	// Only now is it known which kinds the apps bring to each other.
	defined := definedKinds(apps)
	for _, a := range apps {
		if a.err == nil && !a.untouched && a.left == plan.NotLeft {
			a.err = a.complete(l, defined)
		}
	}
}

// fetch gets an app's revision, and says which files rendering will read: those
// of all apps come together.
func (r *runner) fetch(ctx context.Context, l *ledger, a *app) {
	if a.fixed != nil {
		return
	}
	revision, err := a.Source.Fetch(ctx, a.revision)
	if err != nil {
		a.err = fmt.Errorf("fetch: %w", within(ctx, err))
		return
	}
	a.revision = revision
	if revision.Tree == nil {
		return
	}
	if last, known := l.reads[a.Name]; known {
		revision.Tree.ExpectDirectories(a.Paths...)
		revision.Tree.Expect(source.FilesIn(last.Whole.Questions)...)
		return
	}
	revision.Tree.Expect(a.Paths...)
}

func (r *runner) renderApp(ctx context.Context, l *ledger, a *app) (err error) {
	if a.fixed != nil {
		return r.restore(ctx, a)
	}
	r.mu.Lock()
	r.renders++
	r.mu.Unlock()
	a.rendered, err = a.Renderer.Render(ctx, a.revision, ServerOf(l.kinds))
	if err != nil {
		return fmt.Errorf("render: %w", err)
	}
	if a.rendered.Set.Len() == 0 {
		return errors.New("render: nothing to apply: an empty set is never taken for a wish to delete everything")
	}
	a.digestInputs(l.kinds)
	if r.holdsBack(a) {
		return r.restore(ctx, a)
	}
	return nil
}

// complete makes the desired set of the app: each object in a namespace as its
// kind's scope demands, with the app's namespace, if it is to be created, and
// with our marks.
func (a *app) complete(l *ledger, defined map[object.GroupKind]plan.Kind) error {
	objects := slices.Clone(a.rendered.Set.Objects())
	for i, o := range objects {
		objects[i] = a.rescope(o, l.kinds, defined).Stored()
		if fields, varies := a.rendered.Varying[o.ID]; varies {
			a.rendered.Varying[objects[i].ID] = fields
		}
	}
	a.optional = map[object.ID]bool{}
	if id := (object.ID{Kind: "Namespace", Name: a.Namespace}); a.CreateNamespace && a.Namespace != "" {
		if _, given := a.rendered.Set.Get(id); !given {
			namespace, err := object.New(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": a.Namespace}}, object.Origin{File: "createNamespace"})
			if err != nil {
				return err
			}
			objects = append(objects, namespace.WithMetadata(a.NamespaceLabels, nil))
			a.optional[id] = true
		}
	}
	if err := a.digestSet(objects); err != nil {
		return err
	}
	objects, hooks, warnings, err := plan.SplitHooks(objects)
	if err != nil {
		return fmt.Errorf("render: %w", err)
	}
	a.hooks, a.rendered.Warnings = hooks, append(a.rendered.Warnings, warnings...)
	a.nameHooks(l.label)
	for i, o := range objects {
		objects[i] = mark(o, l.label, a.Name)
	}
	set, err := object.NewSet(objects, false)
	a.want = set
	return err
}

// digestSet notes the digests of the objects, before they are marked: what a
// plan shows must not hang on a lineage that is drawn only when it is carried
// out. Fields that vary from one rendering to the next are left out, and so are
// the values of Secrets.
func (a *app) digestSet(objects []object.Object) error {
	steadied := make([]object.Object, len(objects))
	a.digests = make(map[object.ID]string, len(objects))
	for i, o := range objects {
		steadied[i] = steady(o, a.rendered.Varying[o.ID])
		digest, err := steadied[i].Digest()
		if err != nil {
			return err
		}
		if rules := a.Ignore.DigestFor(o); rules != "" {
			digest = digestOf(digest, rules) // other rules are a reason to look at it
		}
		if !o.IsSecret() {
			a.digests[o.ID] = digest
		}
	}
	set, err := object.NewSet(steadied, false)
	if err != nil {
		return err
	}
	if a.digest, err = set.Digest(); err == nil && a.fixed != nil {
		a.digest = a.restored // what was left out of it is part of that
	}
	return err
}
