package reconcile

import (
	"context"
	"strings"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// hookKey names what the app wants, so that no hook is started twice for it.
func (a *app) hookKey() string { return hookKeyOf(a.digest) }

func hookKeyOf(setDigest string) string { return setDigest[:min(16, len(setDigest))] }

// nameHooks gives the hooks that were given only the beginning of a name the rest
// of it: it follows from what the app wants, so that the inventory can hold the
// name before the object exists, and a run that takes over finds it again.
func (a *app) nameHooks(ledger string) {
	for i, h := range a.hooks {
		prefix := h.Object.ID.Name
		o := h.Object.Named(a.hookKey()[:min(8, len(a.hookKey()))])
		if o.ID.Name != prefix {
			a.hooks[i].Prefix = strings.TrimSuffix(prefix, "*")
		}
		a.hooks[i].Object = mark(o, ledger, a.Name)
	}
}

// hookOf gives the object of a hook's change, which says what it runs for.
func (a *app) hookOf(c plan.Change) (object.Object, bool) {
	for _, h := range a.hooks {
		if h.Object.ID == c.ID {
			return h.Object.WithMetadata(nil, map[string]string{plan.AnnotationHook: a.hookKey() + " " + c.Hook}), true
		}
	}
	return object.Object{}, false
}

// dueHooks lists the hooks that did not end well for what the app wants now.
func (a *app) dueHooks() []object.ID {
	var ids []object.ID
	for _, h := range a.hooks {
		for _, stage := range h.Stages {
			if ran, did := a.prior.Hooks.Find(a.hookKey(), h.Object.ID, stage); !did || ran.Failed {
				ids = append(ids, h.Object.ID)
				break
			}
		}
	}
	return ids
}

// isHook says whether an object is one of the app's hooks, and so bears our label.
func (a *app) isHook(id object.ID) bool {
	for _, h := range a.hooks {
		if h.Object.ID == id {
			return true
		}
	}
	return false
}

// hooksEnded tells the head which hooks ended, before their objects, which tell it
// too, are deleted.
func (r *runner) hooksEnded(l *ledger, a *app) func(context.Context, []apply.Outcome) error {
	return func(ctx context.Context, ended []apply.Outcome) error {
		a.ended = append(a.ended, ended...)
		return l.tenure.Commit(ctx, func(head *state.Head) {
			known := head.Apps[a.Name]
			known.Hooks = a.hooked(known.Hooks)
			head.Apps[a.Name] = known
		})
	}
}

// hooked adds the hooks that ended in this run to those that the head knows.
func (a *app) hooked(before *state.Hooks) *state.Hooks {
	if len(a.ended) == 0 {
		return before
	}
	var ran []state.HookRan
	for _, o := range a.ended {
		ran = append(ran, state.HookRan{ID: o.Change.ID, Hook: o.Change.Hook, Failed: o.Verdict != apply.Ran})
	}
	return before.With(a.hookKey(), ran...)
}
