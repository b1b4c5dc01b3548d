package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Reviewer is a Cluster that tells what we may do in it.
type Reviewer interface {
	Cluster
	// Review says whether we have a permission; a kind that is not served is an
	// apply.ErrNoKind.
	Review(ctx context.Context, p apply.Permission) (granted bool, err error)
}

// configuration reads which apps there are; nil when that is not known.
func (d *doctor) configuration(ctx context.Context) []*app {
	if d.job.Configure == nil {
		d.note("configuration", "apps", Unchecked, "none is given: repositories are not looked at, permissions for what the state holds only")
		return nil
	}
	defer d.warned("configuration", "apps")
	before := *d.ledger
	if d.broken() {
		before.head = state.Head{} // what it names was told of already
	}
	apps, err := d.configure(ctx, &before)
	if err != nil {
		d.fail("configuration", "apps", err)
		return nil
	}
	d.note("configuration", "apps", Fine, "%s", counted(len(apps), "app"))
	return apps
}

// broken says whether an inventory could not be read.
func (d *doctor) broken() bool {
	return slices.ContainsFunc(d.checks, func(c Check) bool { return c.Part == "state" && c.Health == Failed })
}

// apps fetches and renders each app, as a run does.
func (d *doctor) apps(ctx context.Context, apps []*app) {
	d.resolve(ctx, d.ledger, apps)
	if d.reached {
		d.render(ctx, d.ledger, apps)
	}
	for _, a := range apps {
		revision := strings.TrimPrefix(a.revision.Ref, "refs/heads/")
		if len(a.revision.Commit) >= 10 {
			revision = strings.TrimSpace(revision + " " + a.revision.Commit[:10])
		}
		if a.revision.Chart != nil {
			revision = strings.TrimSpace(revision + " chart " + a.revision.Chart.Name + " " + a.revision.Chart.Version)
		}
		switch {
		case a.err != nil:
			d.fail("app", a.Name, a.err)
		case !d.reached:
			d.note("app", a.Name, Unchecked, "%s is there; it is not rendered without a cluster", revision)
		default:
			d.note("app", a.Name, Fine, "%s renders to %s (%s)", revision, counted(a.want.Len(), "object"), a.rendered.Engine)
		}
	}
	d.warnings = nil
}

// permissions asks for everything that runs of these apps send.
func (d *doctor) permissions(ctx context.Context, apps []*app) {
	defer d.stage("permissions")()
	if !d.reached {
		d.note("permissions", "objects", Unchecked, "the cluster does not answer")
		return
	}
	places := usesOf(apps)
	if len(apps) == 0 && d.ledger.loaded {
		for _, holding := range Holdings(ctx, d.job.Ledger, d.ledger.head) {
			for _, member := range holding.Members {
				places[place{member.ID.GroupKind(), member.ID.Namespace}] = use{pruned: true}
			}
		}
	}
	var unserved []string
	for at := range places {
		if _, served := d.ledger.kinds.Served[at.kind]; !served {
			unserved = append(unserved, at.kind.String())
			delete(places, at)
		}
	}
	if len(unserved) > 0 {
		slices.Sort(unserved)
		d.note("permissions", "unknown kinds", Unchecked, "the server does not serve %s yet", strings.Join(slices.Compact(unserved), ", "))
	}
	denied, err := d.reviewPlaces(ctx, places)
	if err != nil {
		d.fail("permissions", "objects", err)
		return
	}
	if len(denied) == 0 {
		d.note("permissions", "objects", Fine, "everything that objects of %s need", counted(len(kindsOf(places)), "kind"))
	}
	for _, kind := range slices.SortedFunc(maps.Keys(kindsOf(places)), object.GroupKind.Compare) {
		ofKind := slices.DeleteFunc(slices.Clone(denied), func(p apply.Permission) bool { return p.Kind != kind })
		if len(ofKind) > 0 {
			d.fail("permissions", kind.String(), fmt.Errorf("%w: %s%s", ErrDenied, denials(ofKind), blindness(ofKind)))
		}
	}
}

func kindsOf(places map[place]use) map[object.GroupKind]bool {
	kinds := map[object.GroupKind]bool{}
	for at := range places {
		kinds[at.kind] = true
	}
	return kinds
}

// reviewPlaces gives the permissions that are missing for objects of kinds in
// namespaces. Listing is asked for over all namespaces first, as runs do.
func (d *doctor) reviewPlaces(ctx context.Context, places map[place]use) ([]apply.Permission, error) {
	var asked []apply.Permission
	everywhere := map[apply.Permission]bool{}
	for at, of := range places {
		for _, verb := range of.verbs() {
			if isWide(verb) {
				everywhere[apply.Permission{Verb: verb, Kind: at.kind}] = true
				continue
			}
			asked = append(asked, apply.Permission{Verb: verb, Kind: at.kind, Namespace: at.namespace})
		}
	}
	narrow, err := d.review(ctx, slices.Collect(maps.Keys(everywhere)))
	if err != nil {
		return nil, err
	}
	for _, p := range narrow {
		for at, of := range places {
			if at.kind == p.Kind && slices.Contains(of.verbs(), p.Verb) {
				asked = append(asked, apply.Permission{Verb: p.Verb, Kind: at.kind, Namespace: at.namespace})
			}
		}
	}
	return d.review(ctx, asked)
}

// review asks for permissions, many at once, and gives those that are missing.
func (d *doctor) review(ctx context.Context, asked []apply.Permission) ([]apply.Permission, error) {
	reviewer, able := d.job.Cluster.(Reviewer)
	if !able {
		return nil, errors.New("this cluster does not tell permissions")
	}
	var mu sync.Mutex
	var denied []apply.Permission
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(width)
	for _, p := range asked {
		group.Go(func() error {
			granted, err := reviewer.Review(ctx, p)
			if err != nil {
				return within(ctx, err)
			}
			if !granted {
				mu.Lock()
				defer mu.Unlock()
				denied = append(denied, p)
			}
			return nil
		})
	}
	return denied, group.Wait()
}

// denials names missing permissions of one kind: "create, patch in shop; delete in
// shop, web".
func denials(denied []apply.Permission) string {
	verbs := map[string][]string{} // by namespace
	for _, p := range denied {
		verbs[p.Namespace] = append(verbs[p.Namespace], p.Verb)
	}
	namespaces := map[string][]string{} // by verbs
	for namespace, list := range verbs {
		slices.Sort(list)
		text := strings.Join(list, ", ")
		namespaces[text] = append(namespaces[text], namespace)
	}
	var parts []string
	for _, text := range slices.Sorted(maps.Keys(namespaces)) {
		slices.Sort(namespaces[text])
		if where := strings.Join(namespaces[text], ", "); where != "" {
			text += " in " + where
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
