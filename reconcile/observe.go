package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// listing is what the metadata LISTs of one run gave: everything that bears
// this ledger's label, of the kinds that were asked for.
type listing struct {
	objects map[object.GroupKind]map[object.ID]plan.Listed
	// failed holds the kinds whose list did not come, each with the reason:
	// nothing follows from what is missing there.
	failed map[object.GroupKind]string
	// unserved: a kind is not served where it was looked for.
	unserved bool
	// down is the first list that the server did not answer.
	down error
}

// look begins to list what there is of the kinds that the apps own. What it
// gives waits for the end of that.
func (r *runner) look(ctx context.Context, l *ledger, apps []*app) (await func()) {
	at := placesOf(apps)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.stage("observe")()
		l.lists = r.list(ctx, l, at)
	}()
	return func() { <-done }
}

// placesOf gives the namespaces in which the apps own objects, by their kind.
func placesOf(apps []*app) map[object.GroupKind][]string {
	kinds := map[object.GroupKind][]string{}
	known := map[place]bool{}
	var last place
	for _, a := range apps {
		for member := range a.held() {
			at := place{member.ID.GroupKind(), member.ID.Namespace}
			if at != last && !known[at] {
				known[at] = true
				kinds[at.kind] = append(kinds[at.kind], at.namespace)
			}
			last = at
		}
	}
	return kinds
}

// observe finds the apps of which nothing moved, by what was listed.
func (r *runner) observe(ctx context.Context, l *ledger, apps []*app) {
	defer r.stage("observe")()
	if l.recalled && l.lists.unserved {
		// What was recalled is not so any more.
		if err := r.learnKinds(ctx, l); err != nil {
			l.lists.down = err
		} else {
			l.lists = r.list(ctx, l, placesOf(apps))
		}
	}
	if l.witness.behind {
		r.findStrays(ctx, l, apps)
	}
	for _, a := range apps {
		if a.err == nil && l.lists.down != nil {
			a.err = fmt.Errorf("observe: %w", l.lists.down)
		}
		a.untouched = a.left == plan.NotLeft && a.err == nil && a.prior.Plan == nil && a.sameInputs() && l.allCertain(a) && !a.unproven()
	}
	r.leaveAlone(l, apps)
}

// list asks for all objects with our label, one kind a request; where that is
// forbidden over the whole cluster, one kind and namespace a request.
func (r *runner) list(ctx context.Context, l *ledger, kinds map[object.GroupKind][]string) *listing {
	lists := &listing{objects: map[object.GroupKind]map[object.ID]plan.Listed{}, failed: map[object.GroupKind]string{}}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(width)
	for gk, namespaces := range kinds {
		if _, served := l.kinds.Served[gk]; !served {
			continue // classify tells whether that proves anything
		}
		group.Go(func() error {
			found, err := r.job.Cluster.List(ctx, gk, "", object.LabelLedger, l.label)
			if errors.Is(err, apply.ErrRejected) && l.kinds.Served[gk].Namespaced {
				found, err = r.listEach(ctx, l, gk, namespaces)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				err = within(ctx, err)
				lists.failed[gk] = err.Error()
				lists.unserved = lists.unserved || errors.Is(err, apply.ErrNoKind)
				if code := ExitOf(err); lists.down == nil && (code == ExitUnreachable || code == ExitInterrupted) {
					lists.down = err
				}
				return nil
			}
			lists.objects[gk] = found
			return nil
		})
	}
	_ = group.Wait()
	return lists
}

// get gives an object, when it was listed.
func (l *listing) get(id object.ID) (found plan.Listed, listed bool) {
	found, listed = l.objects[id.GroupKind()][id]
	return found, listed
}

func (l *listing) put(id object.ID, meta plan.Meta) {
	if l.objects[id.GroupKind()] == nil {
		l.objects[id.GroupKind()] = map[object.ID]plan.Listed{}
	}
	l.objects[id.GroupKind()][id] = meta.Listed()
}

func (r *runner) listEach(ctx context.Context, l *ledger, gk object.GroupKind, namespaces []string) (map[object.ID]plan.Listed, error) {
	all := map[object.ID]plan.Listed{}
	for _, namespace := range namespaces {
		found, err := r.job.Cluster.List(ctx, gk, namespace, object.LabelLedger, l.label)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, found)
	}
	return all, nil
}

// allCertain says whether every member is as it was last observed. It notes when
// not even noise came in between.
func (l *ledger) allCertain(a *app) bool {
	a.silent = a.recalled != nil
	for _, member := range a.owned.Members {
		if !member.Kept && member.InDoubt() {
			return false
		}
	}
	for member := range a.held() {
		if member.Kept {
			continue
		}
		found, listed := l.lists.get(member.ID)
		if !listed && l.lists.failed[member.ID.GroupKind()] != "" {
			return false
		}
		seen, known := member, true
		if a.recalled == nil {
			seen, known = l.lookup(a.Name, member.ID)
		}
		if !known || !certain(a.Name, seen, found, listed) {
			return false
		}
		a.silent = a.silent && (!listed || seen.ResourceVersion == found.ResourceVersion)
	}
	return true
}

// certain says whether an object of an app is as it was last observed: not
// touched, or touched by nothing but status noise. An object that was observed to
// be gone, and may be, is as it was while it stays away. The server's note of our
// fields tells neither their values nor, within one second, that they were applied
// again: so the marks must be the app's own, and what a run left in doubt is never
// certain. See decisions/0001.
func certain(app string, seen state.Seen, found plan.Listed, listed bool) bool {
	switch {
	case !seen.Known:
		return false
	case !listed:
		return seen.UID == ""
	case seen.UID != found.UID:
		return false
	case seen.ResourceVersion == found.ResourceVersion:
		return true
	}
	meta, err := found.Meta()
	if err != nil || meta.Terminating || meta.Controller != "" {
		return false // of an error, who looks at the app more closely hears too
	}
	return meta.Owned != "" && seen.Digest == meta.Owned &&
		meta.Annotations[object.AnnotationID] == seen.ID.Mark() && meta.Labels[object.LabelApp] == app
}

// lookup gives what was last observed of an object of an app.
func (l *ledger) lookup(app string, id object.ID) (state.Seen, bool) {
	seen, _ := l.seen.App(app)
	return seen.Lookup(id)
}
