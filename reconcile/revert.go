package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// An app that is not healthy in its time goes back, in the same run, to the last
// set that was; what made it ill is not tried again until it changes. See
// decisions/0026.

// revert takes back the apps that are unhealthy and asked for it.
func (r *runner) revert(ctx context.Context, l *ledger, apps []*app, options apply.Options) error {
	for _, a := range apps {
		if !a.AutoRollback || a.found == nil || a.found.Verdict != state.Unhealthy || a.found.unseen || a.fixed != nil || a.err != nil || ctx.Err() != nil {
			continue
		}
		at := slices.IndexFunc(a.prior.Kept, func(k state.Kept) bool { return k.Digest != state.KeptDigest(a.digest) })
		if at < 0 {
			a.plan.Warnings = append(a.plan.Warnings, "not rolled back: no other set is kept")
			continue
		}
		if err := r.revertTo(ctx, l, a, apps, a.prior.Kept[at], options); err != nil {
			return fmt.Errorf("roll back %s: %w", a.Name, within(ctx, err))
		}
	}
	return nil
}

// revertTo plans the kept set, commits that plan beside the one that was carried
// out, and carries it out.
func (r *runner) revertTo(ctx context.Context, l *ledger, a *app, apps []*app, to state.Kept, options apply.Options) error {
	base, _, _ := strings.Cut(a.inputs, "+")
	quarantine := &state.Quarantine{
		Commit: a.revision.Commit, Inputs: base, Content: a.content(), Reason: a.found.message,
		Run: r.job.Ledger.Run(), Since: r.job.Now().UTC(), Set: &to,
	}
	back := *a
	back.fixed, back.results, back.found, back.ended, back.reverted = &to, nil, nil, nil, quarantine
	back.owned = narrow(a, l, r.job.Ledger.TTL(), apps)
	back.stay()
	if err := r.planBack(ctx, l, &back, apps); err != nil {
		return err
	}
	if back.blocked() {
		for _, refusal := range back.plan.Refusals {
			a.plan.Warnings = append(a.plan.Warnings, "not rolled back: "+refusal.Message)
		}
		for _, invalid := range back.plan.Invalid {
			a.plan.Warnings = append(a.plan.Warnings, "not rolled back: "+invalid)
		}
		return nil
	}
	owned := widen(l, &back)
	open := back.plan
	open.Changes = slices.Concat(a.plan.Changes, a.later, back.plan.Changes)
	commit, err := r.commitment(ctx, a.Name, open, owned)
	if err != nil {
		return err
	}
	edit := r.edit(l, []committed{commit})
	if err := l.tenure.Commit(ctx, func(head *state.Head) {
		edit(head)
		known := head.Apps[a.Name]
		known.Quarantine = quarantine
		head.Apps[a.Name] = known
	}); err != nil {
		return err
	}
	back.owned = owned
	// What the first plan made may go again, but nothing that another app keeps.
	options.Applied = &apply.Applied{}
	for _, other := range apps {
		changes := other.plan.Changes
		if other == a {
			changes = back.plan.Changes
		}
		for _, c := range changes {
			if c.Action == plan.Update || c.Action == plan.Adopt {
				options.Applied.Add(c.UID)
			}
		}
	}
	options.Pruning = func(ctx context.Context) string { return r.find(ctx, l, &back) }
	options.HooksEnded = r.hooksEnded(l, &back)
	options.Healthy = func(ctx context.Context, ids []object.ID) map[object.ID]apply.Unhealthy {
		return r.heal(ctx, l, &back, ids)
	}
	result := r.do(ctx, l, &back, back.plan, options)
	back.results = []apply.Result{result}
	r.heed(ctx, l, &back)
	a.wentBack(&back, result)
	return nil
}

// planBack plans for the kept set on what is live now.
func (r *runner) planBack(ctx context.Context, l *ledger, back *app, apps []*app) error {
	if err := r.restore(ctx, back); err != nil {
		return err
	}
	if err := back.complete(l, nil); err != nil {
		return err
	}
	kinds := map[object.GroupKind][]string{}
	for _, id := range wanted(back) {
		if at := id.GroupKind(); !slices.Contains(kinds[at], id.Namespace) {
			kinds[at] = append(kinds[at], id.Namespace)
		}
	}
	before := l.lists
	l.lists = r.list(ctx, l, kinds)
	defer func() { l.lists = before }()
	if l.lists.down != nil {
		return l.lists.down
	}
	i := &inspector{runner: r, ledger: l, of: back, coming: map[string]bool{}}
	i.listed()
	i.namespaces = r.findNamespaces(ctx, []*inspector{i})
	var err error
	if back.live, err = i.app(ctx); err != nil {
		return err
	}
	in := r.input(l, back, gather(l, apps).others(back), nil)
	if err := in.CheckOrder(); err != nil {
		return err
	}
	back.plan = plan.Make(in)
	return nil
}

// wentBack gives the app what became of it. How ill it was stays what the record says.
func (a *app) wentBack(back *app, result apply.Result) {
	a.later = append(a.later, back.plan.Changes...)
	a.plan.Warnings = append(a.plan.Warnings, back.rendered.Warnings...)
	a.results = append(a.results, result)
	live := maps.Clone(a.live)
	maps.Copy(live, back.live)
	a.owned, a.live, a.want, a.digest, a.digests, a.optional = back.owned, live, back.want, back.digest, back.digests, back.optional
	a.hooks, a.ended = back.hooks, back.ended
	a.fixed, a.asIs, a.restored, a.inputs, a.rest = back.fixed, back.asIs, back.restored, back.inputs, back.rest
	a.reverted, a.prior.Quarantine = back.reverted, back.reverted
	a.undone = "now as it was in the kept set"
	for _, o := range result.Outcomes {
		if !o.Verdict.Done() {
			a.undone, a.halfway = fmt.Sprintf("%s: %s", o.Change.ID, o.Message), true
		}
	}
	if back.found != nil && back.found.Verdict != state.Healthy {
		a.undone = "the kept set is " + back.found.message
	}
}

// holdsBack says whether what was rendered is what the app was taken away from,
// though its commit is another one. The pin or the quarantine goes over to that, and
// the kept set takes the place of what was rendered; a pin until then ends otherwise.
func (r *runner) holdsBack(a *app) bool {
	base, _, _ := strings.Cut(a.inputs, "+")
	switch pin, q := a.prior.Pin, a.prior.Quarantine; {
	case pin != nil && pin.Set != nil && pin.Content == a.madeOf():
		now := *pin
		now.Inputs, a.fixed = base, pin.Set
		r.repinned(a, &now)
	case pin != nil && pin.Set != nil:
		r.unpin(a)
		return false
	case q != nil && q.Set != nil && a.content() == q.Content:
		now := *q
		now.Inputs = base
		a.prior.Quarantine, a.fixed = &now, q.Set
	default:
		return false
	}
	a.stay()
	return true
}

// madeOf begins the digest of everything that the app's set was rendered from and
// by, its configuration included.
func (a *app) madeOf() string {
	base, _, _ := strings.Cut(a.rest, "+")
	return state.KeptDigest(digestOf(a.content(), base))
}

// quarantine gives what of the app is not tried again from now on: nothing, once
// other inputs were.
func (a *app) quarantine() *state.Quarantine {
	if a.fixed == nil && (a.planned || a.untouched) && a.prior.Pin == nil {
		return nil
	}
	return a.prior.Quarantine
}
