package simulation

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// approve begins a person's command after a while: to approve whatever plan waits
// when the command begins. ref is what git names then.
func (w *world) approve(name, ref string, wait time.Duration) *process {
	return w.begin(name, ref, wait, 0, func(p *process, job reconcile.Job) {
		p.approves = true
		head, err := job.Ledger.Load(p.ctx)
		if err != nil {
			return
		}
		for app, entry := range head.Apps {
			if entry.Proposal != nil {
				_, _ = reconcile.Approve(p.ctx, job.Ledger, reconcile.Approval{
					Hash: entry.Proposal.PlanHash, App: app, Reason: "it is fine", Actor: name, Now: p.Wall, LockTimeout: time.Second,
				})
			}
		}
	})
}

// propose lets one run note the plan that waits at a revision.
func propose(ref string) func(*world) {
	return func(w *world) { w.alone("proposer", ref, time.Minute) }
}

// proposeAndApprove is propose, with the approval of that plan.
func proposeAndApprove(ref string) func(*world) {
	return func(w *world) {
		propose(ref)(w)
		w.approve("first person", ref, time.Second)
		w.run()
		w.judge("the approval")
	}
}

// agree has a person approve what waits at a revision, once a run has noted it.
func (w *world) agree(round int, ref string) {
	w.alone(fmt.Sprintf("asks%d", round), ref, time.Minute)
	w.approve(fmt.Sprintf("agrees%d", round), ref, time.Minute)
	w.run()
	w.judge("the word")
}

// Where plans want an approval, only a person gives one, and no plan gets into the
// head but one that the head before held the approval of, which goes off in the
// same write: it is carried out once.
func (c *chronicle) approved(by *process, old, now state.Head) {
	if !c.strict {
		return
	}
	for name, app := range now.Apps {
		before := old.Apps[name]
		if app.Approval != nil && !reflect.DeepEqual(app.Approval, before.Approval) && !by.approves {
			c.violate("approved: %s, who is no person, approves a plan of %s", by.name, name)
		}
		if app.Plan == nil || reflect.DeepEqual(app.Plan, before.Plan) {
			continue
		}
		switch committed := c.planOf(app.Plan); {
		case !committed.Acts():
		case before.Approval == nil || before.Approval.PlanHash != committed.Hash:
			c.violate("approved: %s commits the plan %.8s of %s, and what is approved is %v", by.name, committed.Hash, name, before.Approval)
		case app.Approval != nil:
			c.violate("approved: %s commits the plan %.8s of %s, and its approval stays", by.name, committed.Hash, name)
		}
	}
}

// carriedOut counts how often a plan that acts was committed since a head.
func (c *chronicle) carriedOut(since int) int {
	times := 0
	for i := max(since, 1); i < len(c.heads); i++ {
		for name, app := range c.heads[i].Apps {
			if app.Plan != nil && !reflect.DeepEqual(app.Plan, c.heads[i-1].Apps[name].Plan) && c.planOf(app.Plan).Acts() {
				times++
			}
		}
	}
	return times
}

// TestApprovals lets two runs and a person begin at once while a plan waits, and a
// third run later; each of the three meets every fault at every effect. One word
// lets one plan be carried out once, whoever dies.
func TestApprovals(t *testing.T) {
	t.Parallel()
	past := before(t, find(t, "approval-waits"))
	var all tally
	carried := 0
	for _, of := range []string{"p1", "p2", "person"} {
		for what := range faults {
			t.Run(of+" "+what.String(), func(t *testing.T) {
				for at, met := 0, true; met && !t.Failed(); at++ {
					synctest.Test(t, func(t *testing.T) {
						w := past.after(t, 0)
						policy := &single{what: what, of: of, at: at}
						heads := len(w.heads)
						w.choose = policy
						w.approve("person", "r2", 0)
						w.start("p1", "r2", 0, 0)
						w.start("p2", "r2", 0, 0)
						w.start("p3", "r2", 2*ttl, 0)
						w.run()
						w.judge("the approval")
						times := w.carriedOut(heads)
						if times > 1 {
							w.violate("one word, and %d plans were carried out", times)
						}
						carried += times
						w.choose = plain{}
						s := past.scenario
						s.agrees, s.ends = true, ""
						w.clean(s)
						all.add(w)
						met = policy.met > at && what != none
						if w.report(); t.Failed() {
							t.Logf("effect %d", at)
						}
					})
				}
			})
		}
	}
	if carried == 0 {
		t.Error("no approved plan was ever carried out")
	}
	t.Logf("counts: approvals: %d cases, %d faults, %d runs, %d approved plans carried out", all.cases.Load(), all.faults.Load(), all.runs.Load(), carried)
}

// TestApprovalOfAnotherPlan: what was approved is not what the repository wants any
// more. Nothing is carried out, and the old word is no word for it.
func TestApprovalOfAnotherPlan(t *testing.T) {
	t.Parallel()
	past := before(t, find(t, "approved"))
	synctest.Test(t, func(t *testing.T) {
		w := past.after(t, 0)
		heads := len(w.heads)
		w.start("p1", "r3", 0, 0)
		w.start("p2", "r3", 0, 0)
		w.run()
		w.judge("the other plan")
		if times := w.carriedOut(heads); times != 0 {
			t.Errorf("%d plans were carried out that nobody approved", times)
		}
		if left := w.head().Apps["web"].Approval; left != nil {
			t.Errorf("the stale approval %+v stays, want it gone", left)
		}
		w.converged("r1")
		w.report()
	})
}
