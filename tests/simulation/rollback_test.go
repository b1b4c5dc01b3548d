package simulation

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// keeps is how many sets of each app runs keep to go back to.
const keeps = 3

// waitsBriefly is waits for an app that is to go back soon.
func waitsBriefly() reconcile.Wait {
	wait := waits()
	wait.Timeout = 30 * time.Second
	return wait
}

// readiesGood is readies, but for a value that never gets healthy.
func readiesGood(w *world, id object.ID) {
	if o := w.server.objects[id]; o != nil && o.leaves["data.key"] != "bad" {
		readies(w, id)
	}
}

// takesBack is a person's wish: the set before the present one, until the app changes.
func takesBack(job *reconcile.Job) {
	job.Rollback, job.Reason = &reconcile.Rollback{App: "web"}, "the shop is down"
}

// taken gives the revision of the set that a head keeps an app at; empty when it
// follows git.
func (c *chronicle) taken(app state.App) string {
	var set *state.Kept
	switch {
	case app.Pin != nil:
		set = app.Pin.Set
	case app.Quarantine != nil:
		set = app.Quarantine.Set
	}
	if set == nil {
		return ""
	}
	blob, err := c.store.Get(context.Background(), set.Rest.Path)
	if err != nil {
		c.violate("a head names %s, which is not there", c.short(set.Rest.Path))
		return ""
	}
	kept, err := state.DecodeKeptSet(blob.Data)
	if err != nil {
		c.violate("a head names %s, which cannot be read: %v", c.short(set.Rest.Path), err)
		return ""
	}
	return kept.Revision.Ref
}

// holdsOf gives what a process wants of an app, as a head has it: what its
// revision says or, of an app that was taken back, the set it was taken back to.
func (c *chronicle) holdsOf(p *process, head state.Head, app string) []object.Object {
	if ref := c.taken(head.Apps[app]); ref != "" {
		return c.repo[ref][app]
	}
	return c.repo[p.wants[app]][app]
}

// givesUp says whether a delete is of an object that the set does not have to which
// its run takes the app back.
func (c *chronicle) givesUp(m *message, app string) bool {
	head := c.newest(m.from)
	if head == nil {
		return false
	}
	ref := c.taken(head.Apps[app])
	return ref != "" && !slices.ContainsFunc(c.repo[ref][app], func(o object.Object) bool { return o.ID == m.object.id })
}

// endsAt gives the revision that the cluster is to end at.
func (w *world) endsAt(ends string) string {
	if head := w.head(); head != nil {
		for _, app := range head.Apps {
			if ref := w.taken(app); ref != "" {
				return ref
			}
		}
	}
	return ends
}

// notTriedAgain: what an app went back from is not applied again, whoever dies, as
// long as git names nothing else.
func (c *chronicle) notTriedAgain(m *message) {
	if !c.back || m.object == nil || m.object.verb != "apply" || m.from == c.somebody {
		return
	}
	for app, ref := range m.from.wants {
		live := c.server.objects[m.object.id]
		at := slices.IndexFunc(c.repo[ref][app], func(o object.Object) bool { return o.ID == m.object.id })
		switch {
		case c.gaveUp[app] != ref:
			delete(c.gaveUp, app)
		case at >= 0 && live.leaves["data.key"] == "bad":
			c.violate("not tried again: %s, and the app went back from %s", m, ref)
		}
		if at < 0 || live.leaves["data.key"] != flatten(c.repo[ref][app][at].Content())["data.key"] {
			c.gaveUp[app] = ref
		}
	}
}
