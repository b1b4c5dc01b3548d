package reconcile

import (
	"fmt"
	"slices"

	"tidemark.dev/tidemark/reconcile/plan"
)

// exactly refuses everything unless what the run would do is the saved plan that
// it was given: that is carried out as a whole or not at all, so that nobody gets
// half of what was agreed on.
func (r *runner) exactly(l *ledger, apps []*app) {
	if r.job.Exactly == nil {
		return
	}
	var moved []string
	if made := r.job.Exactly.Lineage; made != "" && made != l.head.Lineage {
		moved = append(moved, "it was made for another ledger")
	}
	if made := r.job.Exactly.Cluster; made != l.cluster {
		moved = append(moved, "it was made for another cluster")
	}
	was := map[string]SavedApp{}
	for _, a := range r.job.Exactly.Apps {
		was[a.Name] = a
	}
	differs := map[string]bool{}
	for _, a := range apps {
		if why := departs(was[a.Name], a); why != "" {
			differs[a.Name] = true
			moved = append(moved, a.Name+": "+why)
		}
		delete(was, a.Name)
	}
	for _, a := range r.job.Exactly.Apps {
		if _, missing := was[a.Name]; missing && acting(a.Plan) {
			moved = append(moved, a.Name+": it is no app of this run")
		}
	}
	if len(moved) == 0 {
		return
	}
	said := false
	for _, a := range apps {
		if a.err == nil && (differs[a.Name] || a.acts()) {
			said = true
			a.plan.Refusals = append(a.plan.Refusals, plan.Refusal{Reason: plan.RefusedStale, Message: stalePlan(moved)})
		}
	}
	if !said {
		r.warn(stalePlan(moved))
	}
}

func stalePlan(moved []string) string {
	return fmt.Sprintf("the saved plan is stale, and nothing of it is carried out: %s", join(moved...))
}

func acting(p *plan.Plan) bool { return p != nil && p.Acts() }

// departs says how what the run would do for an app differs from what was saved;
// empty when it does not.
func departs(was SavedApp, a *app) string {
	now := a.planned && a.err == nil && a.plan.Acts()
	switch {
	case !acting(was.Plan) && !now:
		return ""
	case a.err != nil:
		return "it cannot be planned any more"
	case !now:
		return "nothing is to be done there any more"
	case !acting(was.Plan):
		return fmt.Sprintf("nothing was to be done there, and now %s is", first(nil, a.plan.Changes))
	case was.Plan.Hash == a.plan.Hash:
		return ""
	case was.Plan.Inputs != a.plan.Inputs:
		from := ""
		if was.Revision != nil {
			from = was.Revision.Commit
		}
		if from == a.revision.Commit {
			return "its configuration changed, or what renders it"
		}
		return fmt.Sprintf("what it is rendered from is not that of %.10s any more, but of %.10s", from, a.revision.Commit)
	case was.Plan.SetDigest != a.plan.SetDigest:
		return "it renders to something else"
	}
	return fmt.Sprintf("the cluster moved: %s", first(was.Plan.Changes, a.plan.Changes))
}

// first names the first change that only one of two plans holds.
func first(was, now []plan.Change) string {
	for _, pair := range [][2][]plan.Change{{now, was}, {was, now}} {
		for _, c := range pair[0] {
			if !slices.ContainsFunc(pair[1], func(other plan.Change) bool {
				return plan.Plan{Changes: []plan.Change{c}}.Sign().Hash == plan.Plan{Changes: []plan.Change{other}}.Sign().Hash
			}) {
				return fmt.Sprintf("%s (%s, %s)", c.ID, c.Action, c.Reason)
			}
		}
	}
	return "its changes come in another order"
}
