package reconcile

import (
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// An app that leaves the configuration may have been renamed, or lost in a slip:
// it takes part in the run as one that wants nothing, so that what other apps want
// of it is handed over to them, and the rest stays. See decisions/0024.

// departed gives the apps of the ledger that the configuration does not name.
func (r *runner) departed(l *ledger, known map[string]bool) []*app {
	var left []*app
	for _, name := range slices.Sorted(maps.Keys(l.head.Apps)) {
		if !known[name] {
			r.warn(fmt.Sprintf("the app %s left the configuration: what no other app wants of it stays", name))
			left = append(left, &app{App: App{Name: name}, left: plan.LeftStays})
		}
	}
	return left
}

// removed gives an app that is to go; none, when it is gone.
func (l *ledger) removed(a App) []*app {
	if _, known := l.head.Apps[a.Name]; !known {
		return nil
	}
	return []*app{{App: App{Name: a.Name, Rules: a.Rules}, left: plan.LeftRemoved}}
}

// leaveAlone finds the departed apps of which nothing is to be decided: every other
// app wants what it wanted before, and their own objects are as they were.
func (r *runner) leaveAlone(l *ledger, apps []*app) {
	if len(r.job.Approve) > 0 || slices.ContainsFunc(apps, func(a *app) bool { return a.left == plan.NotLeft && !a.untouched }) {
		return
	}
	for _, a := range apps {
		a.untouched = a.untouched || a.left == plan.LeftStays && a.err == nil &&
			a.prior.Left && a.prior.Plan == nil && a.prior.Approval == nil && l.allCertain(a)
	}
}

// makeLeft plans for an app that the configuration does not want. The plan that
// deletes everything is carried out when somebody asked for just that.
func (r *runner) makeLeft(a *app, in plan.Input) plan.Plan {
	in.Left = plan.LeftRemoved
	removal := r.make(a, in)
	if a.left == plan.LeftRemoved || !removal.Acts() {
		return removal
	}
	if in.Approved[removal.Hash] {
		removal.Approved = true // it is used up, whether or not a guard asked for it
		return removal
	}
	a.removal = removal.Hash
	in.Left = plan.LeftStays
	return plan.Make(in)
}

// gone says whether nothing is left of an app that nobody wants: it leaves the
// ledger. Of one that was not planned it is not known what it owns.
func (a *app) gone() bool {
	return a.left != plan.NotLeft && a.planned && len(a.owned.Members) == 0
}

// farewell says what became of an app that the configuration does not want.
func (a *app) farewell(last map[object.ID]apply.Outcome) string {
	stay, over := 0, 0
	for member := range a.held() {
		switch o := last[member.ID]; {
		case o.Verdict == apply.HandedOver:
			over++
		case o.Verdict == apply.Pruned && o.Gone, o.Verdict == apply.Forgotten:
		default:
			stay++
		}
	}
	text := "it left the configuration"
	if a.left == plan.LeftRemoved {
		text = "it is to be absent"
	}
	if over > 0 {
		text += fmt.Sprintf(": %s of it handed over", counted(over, "object"))
	}
	if stay > 0 {
		text += fmt.Sprintf(": %s of it stay", counted(stay, "object"))
	}
	if a.removal != "" {
		text += "; the plan that deletes what stays is " + a.removal
	}
	return text
}
