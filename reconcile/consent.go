package reconcile

import (
	"cmp"
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

// hearCommits learns which commits the wanted revisions bring: whether they come
// after what was applied last, those that approve a plan of an app which wants
// approval, and those that a plan tells of. It asks the repository once for each
// commit, while the run goes on; what it gives waits for the answers.
func (r *runner) hearCommits(ctx context.Context, apps []*app) (heard func()) {
	asking := map[span][]*app{}
	for _, a := range apps {
		if at, wants := r.toHear(a); wants {
			asking[at] = append(asking[at], a)
		}
	}
	if len(asking) == 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for at, askers := range asking {
			log, err := askers[0].Source.(Chronicler).Log(ctx, at.from, askers[0].revision)
			for _, a := range askers {
				r.hearLog(a, at, log, err)
			}
		}
	}()
	return func() { <-done }
}

// span is the way from one commit of a repository to another; from is empty where
// nothing was applied before.
type span struct{ repo, from, to string }

// toHear gives the way that the app comes, and whether to ask about it.
func (r *runner) toHear(a *app) (at span, wants bool) {
	_, able := a.Source.(Chronicler)
	if !able || a.err != nil || a.untouched || a.fixed != nil || a.revision.Commit == "" {
		return at, false
	}
	at = span{repo: a.revision.Repo, to: a.revision.Commit}
	if a.prior.Revision != nil {
		at.from = a.prior.Revision.Commit
	}
	approves := a.Rules.RequireApproval && (a.prior.Proposal == nil || a.prior.Proposal.Looked != at.to)
	return at, at.from != at.to && (r.job.Commits || approves || a.comesFrom(at))
}

// comesFrom says whether a way begins where the app was: in the same repository.
func (a *app) comesFrom(at span) bool {
	return at.from != "" && a.prior.Revision.Repo == at.repo
}

// hearLog takes in what a repository said of the way that an app comes.
func (r *runner) hearLog(a *app, at span, log source.Log, err error) {
	if a.comesFrom(at) {
		a.descent = descent(at, log, err)
	}
	if err != nil {
		if r.job.Commits || a.Rules.RequireApproval {
			r.warn(fmt.Sprintf("%s: it is not known which commits come: %s", a.Name, err))
		}
		return
	}
	if r.job.Commits || a.Rules.RequireApproval {
		a.log = &log
	}
	if a.Rules.RequireApproval {
		a.looked, a.consents = a.revision.Commit, consents(log)
	}
}

func descent(at span, log source.Log, err error) plan.Descent {
	switch {
	case err != nil:
		return plan.Descent{Unknown: err.Error()}
	case log.Descends:
		return plan.Descent{}
	case len(log.Commits) == 0:
		return plan.Descent{Unknown: cmp.Or(log.Note, "the repository does not say")}
	}
	return plan.Descent{Rewound: fmt.Sprintf("rewound: %.10s does not come after %.10s, which was applied last: %s", at.to, at.from, log.Note)}
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
