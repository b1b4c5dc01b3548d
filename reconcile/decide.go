package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// decide plans every app. What the apps want of each other's objects is known
// only now, when all of them are rendered.
func (r *runner) decide(l *ledger, apps []*app) {
	defer r.stage("plan")()
	coming := map[object.GroupKind]bool{}
	for gk := range definedKinds(apps) {
		coming[gk] = true
	}
	all := gather(l, apps)
	for _, a := range apps {
		waits := r.waits(l, a)
		if a.err != nil || a.untouched {
			a.plan.Waits = waits
			continue
		}
		in := r.input(l, a, all.others(a), coming)
		if a.err = in.CheckOrder(); a.err != nil {
			continue
		}
		a.plan, a.planned = r.planFor(a, in), true
		a.plan.Engine = a.rendered.Engine
		a.plan.Warnings = append(a.plan.Warnings, a.rendered.Warnings...)
		a.plan.Waits = join(waits, r.outside(a), r.consent(a))
		r.judgeVarying(a)
		forget(a.live)
	}
	contest(apps)
	r.depend(l, apps, all)
	r.exactly(l, apps)
	r.checkConfirmed(apps)
}

// planFor plans for an app of the configuration, or for one that left it.
func (r *runner) planFor(a *app, in plan.Input) plan.Plan {
	if a.left != plan.NotLeft {
		return r.makeLeft(a, in)
	}
	return r.make(a, in)
}

// make plans; a plan that is approved by the beginning of its hash is approved.
func (r *runner) make(a *app, in plan.Input) plan.Plan {
	p := plan.Make(in)
	if r.approval(a, p.Hash) != nil {
		in.Approved[p.Hash] = true // in.Approved is this plan's own
		p = plan.Make(in)
	}
	return p
}

// confirmed gives what the plan's hash was confirmed by.
func (r *runner) confirmed(hash string) (prefix string, confirmed bool) {
	for _, prefix := range r.job.Approve {
		if len(prefix) >= shortestHash && strings.HasPrefix(hash, prefix) {
			return prefix, true
		}
	}
	return "", false
}

// checkConfirmed says so when nothing that was confirmed is planned.
func (r *runner) checkConfirmed(apps []*app) {
	for _, prefix := range r.job.Approve {
		if !slices.ContainsFunc(apps, func(a *app) bool {
			return a.planned && len(prefix) >= shortestHash && strings.HasPrefix(a.plan.Hash, prefix)
		}) {
			r.warn(fmt.Sprintf("the plan %s, which was confirmed, is not what this run would do", prefix))
		}
	}
}

// contest refuses an app of which nothing moved, when another app wants one of
// its objects too: the quarrel is both's.
func contest(apps []*app) {
	for _, a := range apps {
		if !a.untouched {
			continue
		}
		for _, other := range apps {
			for _, refusal := range other.plan.Refusals {
				if owned, twice := a.holds(refusal.ID); twice && refusal.Reason == plan.RefusedWantedTwice && !owned.Kept {
					a.plan.Refusals = append(a.plan.Refusals, refusal)
				}
			}
		}
	}
}

// content is the digest of everything that the app's set was rendered from.
func (a *app) content() string {
	if a.Renderer == nil {
		return ""
	}
	return digestOf(a.rendered.Inputs, a.Renderer.Digest())
}

func (r *runner) input(l *ledger, a *app, o plan.Others, coming map[object.GroupKind]bool) plan.Input {
	self := map[object.ID]bool{}
	for _, id := range r.job.Self {
		self[id] = true
	}
	approved := map[string]bool{}
	if a.prior.Approval != nil {
		approved[a.prior.Approval.PlanHash] = true
	}
	rules := a.Rules
	if back := r.job.Rollback; back != nil && back.App == a.Name {
		rules.RequireApproval = false // that somebody goes back, and why, is the approval
	}
	return plan.Input{
		App: a.Name, Ledger: l.label, Inputs: a.content(),
		AsIs: a.asIs, SameInputs: a.sameInputs(),
		Hooks: a.hooks, HookKey: a.hookKey(), Hooked: a.prior.Hooks,
		Want: a.want, SetDigest: a.digest, Digests: a.digests, CreateOnly: a.optional,
		Owned: a.owned, Live: a.live, Rules: rules, NewCluster: a.prior.NewCluster,
		Others: o, Coming: coming, Self: self, Approved: approved, Descent: a.descent,
	}
}

// judgeVarying says what happens to fields that differ from one rendering to
// the next.
func (r *runner) judgeVarying(a *app) {
	var fields []string
	for _, id := range slices.SortedFunc(maps.Keys(a.rendered.Varying), object.ID.Compare) {
		fields = append(fields, fmt.Sprintf("%s %s", id, strings.Join(a.rendered.Varying[id], " ")))
	}
	if len(fields) == 0 {
		return
	}
	text := "the chart renders differently each time: " + strings.Join(fields, "; ")
	switch a.rendered.Nondeterministic {
	case "refuse":
		a.plan.Refusals = append(a.plan.Refusals, plan.Refusal{Reason: plan.RefusedNondeterministic, Message: text})
	case "apply":
		a.plan.Warnings = append(a.plan.Warnings, text+": applied anew at each change of its inputs")
	default:
		a.plan.Warnings = append(a.plan.Warnings, text+": what is live is kept")
	}
}

// acts says whether any app has something to write to the cluster, and may.
func acts(apps []*app) bool {
	return slices.ContainsFunc(apps, (*app).acts)
}

// awaits says whether the run is to wait for kinds that an operator installs.
func (r *runner) awaits(apps []*app) bool {
	return r.config.DeferTimeout > 0 && slices.ContainsFunc(apps, func(a *app) bool {
		return a.err == nil && len(deferred(a)) > 0
	})
}

func (a *app) acts() bool {
	return a.err == nil && a.planned && !a.blocked() && a.plan.Acts()
}

// forget drops the whole objects that were observed, which only planning compares.
func forget(live plan.Live) {
	for id, seen := range live {
		seen.Content, seen.DryRun = nil, nil
		live[id] = seen
	}
}
