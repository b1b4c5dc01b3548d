package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/ignore"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// inspect looks closely at what planning must know and the lists do not tell:
// whether an object that is about to be created exists already, what happened
// to a suspect, and what the server would make of each change.
func (r *runner) inspect(ctx context.Context, l *ledger, apps []*app) {
	defer r.stage("inspect")()
	coming := comingNamespaces(apps)
	var inspectors []*inspector
	for _, a := range apps {
		if a.err == nil && !a.untouched {
			i := &inspector{runner: r, ledger: l, of: a, coming: coming}
			i.listed()
			inspectors = append(inspectors, i)
		}
	}
	spaces := r.findNamespaces(ctx, inspectors)
	abreast(inspectors, inspecting, func(i *inspector) {
		r.tell(Event{Stage: "inspect", App: i.of.Name})
		i.namespaces = spaces
		i.of.live, i.of.err = i.app(ctx)
	})
}

// inspecting is how many apps are looked at side by side, so that a small one
// leaves no room unused.
const inspecting = 8

// comingNamespaces are the namespaces that some app of this run wants.
func comingNamespaces(apps []*app) map[string]bool {
	coming := map[string]bool{}
	for _, a := range apps {
		for _, o := range a.want.Objects() {
			if o.ID.GroupKind() == (object.GroupKind{Kind: "Namespace"}) {
				coming[o.ID.Name] = true
			}
		}
	}
	return coming
}

// inspector looks at the objects of one app.
type inspector struct {
	*runner
	ledger *ledger
	of     *app
	coming map[string]bool
	// namespaces is shared by the apps of a run.
	namespaces namespaces

	live    plan.Live
	missing map[place][]object.ID

	mu sync.Mutex
	// failure is the first answer that did not come.
	failure error
}

// app gives everything that is observed of an app's desired and owned objects,
// and puts live values where its rendering varies.
func (i *inspector) app(ctx context.Context) (plan.Live, error) {
	if i.failure == nil {
		i.presence(ctx)
	}
	if i.failure != nil {
		return nil, fmt.Errorf("inspect: %w", i.failure)
	}
	a, live := i.of, i.live
	var mu sync.Mutex
	kept := map[object.ID]object.Object{}
	each(i.runner, wanted(a), func(id object.ID) {
		mu.Lock()
		seen := live[id]
		mu.Unlock()
		o, wanted := a.want.Get(id)
		if wanted {
			o, seen = i.look(ctx, a, o, seen)
		} else {
			seen = i.lookAtLeft(ctx, seen, id)
		}
		mu.Lock()
		defer mu.Unlock()
		live[id] = seen
		if wanted && len(a.rendered.Varying[id]) > 0 {
			kept[id] = o
		}
	})
	if len(kept) > 0 {
		objects := slices.Clone(a.want.Objects())
		for n, o := range objects {
			if with, ok := kept[o.ID]; ok {
				objects[n] = with
			}
		}
		if set, err := object.NewSet(objects, false); err == nil {
			a.want = set
		}
	}
	if i.failure != nil {
		return nil, fmt.Errorf("inspect: %w", i.failure)
	}
	return live, nil
}

// wanted lists the IDs of an app's desired and owned objects, each once.
func wanted(a *app) []object.ID {
	var ids []object.ID
	for _, o := range a.want.Objects() {
		ids = append(ids, o.ID)
	}
	due := a.dueHooks()
	ids = append(ids, due...)
	for _, member := range a.owned.Members {
		if slices.Contains(due, member.ID) {
			continue
		}
		if _, both := a.want.Get(member.ID); !both {
			ids = append(ids, member.ID)
		}
	}
	return ids
}

// look finds out what applying a desired object would do.
func (i *inspector) look(ctx context.Context, a *app, o object.Object, seen plan.Observed) (object.Object, plan.Observed) {
	if a.asIs[o.ID] {
		return o, seen
	}
	member, owned := a.owned.Lookup(o.ID)
	varying := a.rendered.Varying[o.ID]
	switch seen.State {
	case plan.Unknown, plan.Terminating:
		return o, seen
	case plan.Absent:
		if a.SkipValidation {
			return o, seen
		}
		seen.DryRun = i.dryRunCreate(ctx, o)
		return o, seen
	case plan.Present:
	}
	digest := a.digests[o.ID]
	same := owned && seen.Certain && digest == member.Digest && o.Version == member.Version
	if same && (digest != "" || a.sameInputs()) {
		return o, seen
	}
	if owner, tool, _ := plan.OwnerFor(a.owned, o.ID, seen.Meta, i.ledger.label); owner == plan.Copied || owner == plan.Foreign && !slices.Contains(a.Rules.Adopt, tool) {
		return o, seen // refused whatever it holds
	}
	if a.SkipValidation && len(varying) == 0 && !a.Ignore.Bear(o) && digest != "" && seen.Certain {
		return o, seen
	}
	for attempt := 1; ; attempt++ {
		looked, found, err := i.lookClosely(ctx, a, o, seen)
		// Somebody wrote it between the two looks: look again.
		if !errors.Is(err, apply.ErrConflict) || attempt == looks {
			if err != nil {
				found = i.unknown(ctx, err)
			}
			return looked, found
		}
	}
}

// looks is how often an object is looked at that others write meanwhile.
const looks = 5

// unknown turns an error into an observation from which nothing follows. A
// server that does not answer fails the app as a whole: what it would have said
// about one object must not decide about the others.
func (i *inspector) unknown(ctx context.Context, err error) plan.Observed {
	err = within(ctx, err)
	if unanswered(err) || errors.Is(err, ignore.ErrEndless) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.failure == nil {
			i.failure = err
		}
	}
	return plan.Observed{State: plan.Unknown, Why: err.Error()}
}

// unanswered says whether an error is the server's silence, or the end of the run.
func unanswered(err error) bool {
	code := ExitOf(err)
	return err != nil && (code == ExitUnreachable || code == ExitInterrupted)
}

// lookClosely reads the whole object and asks what the server would make of the
// desired one. apply.ErrConflict means that it changed in between.
func (i *inspector) lookClosely(ctx context.Context, a *app, o object.Object, seen plan.Observed) (object.Object, plan.Observed, error) {
	content, meta, err := i.job.Cluster.Read(ctx, o.ID, o.Version)
	switch {
	case errors.Is(err, apply.ErrNotFound):
		return o, plan.Observed{State: plan.Absent}, nil
	case errors.Is(err, apply.ErrNoKind):
		return o, plan.Observed{State: plan.Unknown, NoKind: true}, nil
	case err != nil:
		return o, plan.Observed{}, err
	}
	if a.rendered.Nondeterministic != "apply" {
		o = keepLive(o, a.rendered.Varying[o.ID], content)
	}
	certain := seen.Certain && meta.UID == seen.UID
	seen = present(meta)
	seen.Certain, seen.Content = certain, content
	sent := o
	if a.Ignore.Bear(o) {
		if sent, err = i.share(ctx, a, o, content); err != nil {
			return o, seen, err
		}
		seen.Shared = &sent
	}
	dry, err := i.dryRun(ctx, a, sent, apply.Target{UID: meta.UID, ResourceVersion: meta.ResourceVersion})
	seen.DryRun = &dry
	return o, seen, err
}

// share leaves fields to others that the app's rules name. When a rule took too
// long once, no other object waits for it.
func (i *inspector) share(ctx context.Context, a *app, o object.Object, live map[string]any) (object.Object, error) {
	i.mu.Lock()
	failure := i.failure
	i.mu.Unlock()
	if errors.Is(failure, ignore.ErrEndless) {
		return o, failure
	}
	return a.Ignore.Leave(ctx, o, live)
}

// dryRun asks first without force, to learn who would lose a field to us.
func (i *inspector) dryRun(ctx context.Context, a *app, o object.Object, at apply.Target) (plan.DryRun, error) {
	dry, err := i.job.Cluster.DryRun(ctx, o, at, false)
	if err != nil || len(dry.Conflicts) == 0 || a.Rules.RefuseConflicts {
		return dry, err
	}
	forced, err := i.job.Cluster.DryRun(ctx, o, at, true)
	forced.Conflicts = dry.Conflicts
	return forced, err
}

// dryRunCreate asks what the server would make of a new object.
func (i *inspector) dryRunCreate(ctx context.Context, o object.Object) *plan.DryRun {
	if i.coming[o.ID.Namespace] && i.namespaces.absent[o.ID.Namespace] {
		return &plan.DryRun{NotValidated: "its namespace comes with this run"}
	}
	if o.ID.Namespace != "" && i.namespaces.absent[o.ID.Namespace] {
		return &plan.DryRun{Rejected: fmt.Sprintf("the namespace %q does not exist: add it to the repository or set createNamespace: true", o.ID.Namespace)}
	}
	dry, err := i.job.Cluster.DryRun(ctx, o, apply.Target{}, false)
	if err != nil {
		return &plan.DryRun{NotValidated: i.unknown(ctx, err).Why}
	}
	return &dry
}

// lookAtLeft looks at a member that left the set: a StatefulSet's volume claims
// decide whether it is protected.
func (i *inspector) lookAtLeft(ctx context.Context, seen plan.Observed, id object.ID) plan.Observed {
	if seen.State != plan.Present || id.GroupKind() != (object.GroupKind{Group: "apps", Kind: "StatefulSet"}) {
		return seen
	}
	if content, meta, err := i.job.Cluster.Read(ctx, id, ""); err == nil {
		seen = present(meta)
		seen.Content = content
	}
	return seen
}

func present(meta plan.Meta) plan.Observed {
	state := plan.Present
	if meta.Terminating {
		state = plan.Terminating
	}
	return plan.Observed{State: state, Meta: meta}
}
