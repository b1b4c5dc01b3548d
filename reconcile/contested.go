package reconcile

import (
	"cmp"
	"slices"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// mostContests is how many objects of an app are counted, since the head holds
// them: those that are fought over longest.
const mostContests = 50

// contests gives the objects of the app that run after run puts right, this one
// included. A run that puts an object right no more ends its row; one that could
// not do its work does not.
func (a *app) contests(mode Mode) []state.Contest {
	switch {
	case a.untouched:
		return nil
	case a.err != nil, !a.planned, a.blocked(), mode == Sync && a.acts() && a.results == nil:
		return a.prior.Contests
	}
	var now []state.Contest
	last := a.outcomes()
	for _, c := range a.plan.Changes {
		if !c.Drifts() || !c.Action.Writes() {
			continue
		}
		i := slices.IndexFunc(a.prior.Contests, func(before state.Contest) bool { return before.ID == c.ID })
		contest := state.Contest{ID: c.ID, Managers: []string{plan.Manager}}
		if i >= 0 {
			contest.Runs, contest.Managers = a.prior.Contests[i].Runs, slices.Clone(a.prior.Contests[i].Managers)
		}
		for _, d := range c.Diff {
			if d.Manager != "" && !slices.Contains(contest.Managers, d.Manager) {
				contest.Managers = append(contest.Managers, d.Manager)
			}
		}
		switch last[c.ID].Verdict {
		case apply.Created, apply.Changed, apply.Replaced:
			contest.Runs++
		default:
			if mode == PlanOnly {
				contest.Runs++ // it would be
			}
		}
		if contest.Runs > 0 {
			now = append(now, contest)
		}
	}
	slices.SortStableFunc(now, func(x, y state.Contest) int { return cmp.Compare(y.Runs, x.Runs) })
	return now[:min(len(now), mostContests)]
}

// contested gives those that are fought over by now.
func (a *app) contested(mode Mode) []state.Contest {
	return slices.DeleteFunc(slices.Clone(a.contests(mode)), func(c state.Contest) bool { return !c.Contested() })
}
