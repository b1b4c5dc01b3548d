package reconcile

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// Chronicler is a Source that can tell which commits lie between two.
type Chronicler interface {
	// Log gives what the commit of a revision brings that an earlier commit has
	// not; "" for from gives the commit alone.
	Log(ctx context.Context, from string, to source.Revision) (source.Log, error)
}

// trailer is how a commit's message approves a plan.
var trailer = regexp.MustCompile(`(?mi)^Tidemark-Approve:[ \t]*([0-9a-f]{8,64})[ \t]*$`)

// hearCommits learns which commits the wanted revisions bring: those that approve
// a plan of an app which wants approval, and those that a plan tells of. It asks
// the repository once for each commit.
func (r *runner) hearCommits(ctx context.Context, apps []*app) {
	type span struct{ repo, from, to string }
	asked := map[span]*source.Log{}
	for _, a := range apps {
		chronicler, able := a.Source.(Chronicler)
		if !able || !r.job.Commits && !a.Rules.RequireApproval || a.err != nil || a.untouched || a.revision.Commit == "" {
			continue
		}
		before := ""
		if a.prior.Revision != nil {
			before = a.prior.Revision.Commit
		}
		heard := !a.Rules.RequireApproval || a.prior.Proposal != nil && a.prior.Proposal.Looked == a.revision.Commit
		if before == a.revision.Commit || heard && !r.job.Commits {
			continue
		}
		at := span{a.revision.Repo, before, a.revision.Commit}
		if _, known := asked[at]; !known {
			log, err := chronicler.Log(ctx, before, a.revision)
			if asked[at] = &log; err != nil {
				asked[at] = nil
				r.warn(fmt.Sprintf("%s: it is not known which commits come: %s", a.Name, err))
			}
		}
		if a.log = asked[at]; a.log != nil && a.Rules.RequireApproval {
			a.looked = a.revision.Commit
			a.consents = consents(*a.log)
		}
	}
}

// consents gives the approvals that commits speak, newest first.
func consents(log source.Log) []state.Approval {
	var found []state.Approval
	for _, c := range log.Commits {
		for _, match := range trailer.FindAllStringSubmatch(strings.ReplaceAll(c.Message, "\r\n", "\n"), -1) {
			found = append(found, state.Approval{
				PlanHash: strings.ToLower(match[1]), Reason: c.Subject, Actor: c.Author, Committer: c.Committer, Commit: c.Hash, Since: c.Time,
			})
		}
	}
	return found
}

// approval gives who approved the app's plan, and why; nil when nobody did.
func (r *runner) approval(a *app, hash string) *state.Approval {
	if _, confirmed := r.confirmed(hash); confirmed {
		return &state.Approval{PlanHash: hash, Reason: r.job.Reason, Actor: r.job.Actor, Since: r.began.UTC()}
	}
	if before := a.prior.Approval; before != nil && before.PlanHash == hash {
		return before
	}
	for _, spoken := range a.consents {
		if strings.HasPrefix(hash, spoken.PlanHash) {
			spoken.PlanHash = hash
			return &spoken
		}
	}
	return nil
}

// approvalOf says who let the plan pass.
func approvalOf(a *state.Approval, confirmed bool) string {
	verb := "approved"
	if confirmed {
		verb = "confirmed"
	}
	text := fmt.Sprintf("%s %s the plan %s: %s", a.Actor, verb, a.PlanHash, a.Reason)
	if a.Commit != "" {
		text += fmt.Sprintf(" (commit %.10s)", a.Commit)
		if a.Committer != "" && a.Committer != a.Actor {
			text += ", committed by " + a.Committer
		}
	}
	return text
}

// consent notes who approved the app's plan, says when what was approved is
// another plan than this one, and gives why an unapproved plan is not carried
// out.
func (r *runner) consent(a *app) (waits string) {
	if a.plan.Approved {
		a.approved = r.approval(a, a.plan.Hash)
	}
	if a.approved != nil {
		_, confirmed := r.confirmed(a.plan.Hash)
		a.plan.Warnings = append(a.plan.Warnings, approvalOf(a.approved, confirmed))
	}
	if a.left != plan.NotLeft {
		return ""
	}
	if before := a.prior.Approval; before != nil && before.PlanHash != a.plan.Hash {
		a.stale = true
		r.stale(a, *before)
	}
	for _, spoken := range a.consents {
		if !strings.HasPrefix(a.plan.Hash, spoken.PlanHash) {
			r.stale(a, spoken)
		}
	}
	if a.plan.NeedsApproval {
		return "the plan " + a.plan.Hash + " waits for approval"
	}
	return ""
}

func (r *runner) stale(a *app, approval state.Approval) {
	a.plan.Warnings = append(a.plan.Warnings, fmt.Sprintf(
		"%s is stale: the repository or the cluster moved on, and the plan is %s now", approvalOf(&approval, false), a.plan.Hash))
}

// proposed gives what the head holds of a plan that waits for approval; nil when
// none does.
func (r *runner) proposed(ctx context.Context, a *app) (*state.Proposal, error) {
	before := a.prior.Proposal
	switch {
	case a.err != nil || !a.planned && !a.untouched:
		return before, nil
	case a.untouched || !a.plan.NeedsApproval || len(a.plan.Invalid) > 0:
		return nil, nil
	case before != nil && before.PlanHash == a.plan.Hash:
		if a.looked == "" || before.Looked == a.looked {
			return before, nil
		}
		now := *before
		now.Looked = a.looked
		return &now, nil
	}
	data, err := r.save(a).Encode()
	if err != nil {
		return nil, err
	}
	ref, err := r.job.Ledger.Put(ctx, "proposal-"+a.Name, r.redact(data))
	if err != nil {
		return nil, err
	}
	return &state.Proposal{PlanHash: a.plan.Hash, Plan: ref, Looked: a.looked, Since: r.began.UTC()}, nil
}
