package reconcile

import (
	"maps"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// record gives the audit record of the run; the ledger fills in its place in
// the chain.
func (r *runner) record(l *ledger, apps []*app, cause error) state.Record {
	rec := state.Record{
		Format: state.Format, Run: r.job.Ledger.Run(), Lineage: l.head.Lineage, Epoch: l.head.Epoch,
		Trigger: r.job.Trigger, Actor: r.job.Actor, Tool: r.job.Tool, Config: r.config.Digest,
		Started: r.began.UTC(), Finished: r.job.Now().UTC(),
		Apps: []state.AppRecord{}, Warnings: r.warnings, Cost: r.cost(),
	}
	var codes []int
	for _, a := range apps {
		entry, code := a.record(r.job.Mode)
		if end := ExitOf(cause); entry.Verdict == state.Interrupted && end != ExitOK && end != ExitLost && end != ExitInterrupted {
			// The run failed before it reached the app: nobody interrupted it.
			entry.Verdict, code = state.Failed, end
		}
		rec.Apps = append(rec.Apps, entry)
		codes = append(codes, code)
	}
	if cause != nil {
		codes = append(codes, ExitOf(cause))
		rec.Message = cause.Error()
	}
	if r.job.Rollback != nil {
		rec.Message = join(r.rolled(), rec.Message)
	}
	if l.skipped {
		rec.Message = "run " + l.head.Lease.Run + " of " + l.head.Lease.Holder + " is at work on this ledger"
	}
	rec.Exit = Worst(codes...)
	rec.Verdict = verdict(rec, l.skipped, cause)
	return rec
}

// verdict gives the verdict of a whole run.
func verdict(rec state.Record, skipped bool, cause error) state.Verdict {
	var all []state.Verdict
	for _, a := range rec.Apps {
		all = append(all, a.Verdict)
	}
	has := func(v state.Verdict) bool { return slices.Contains(all, v) }
	switch {
	case skipped:
		return state.Skipped
	case ExitOf(cause) == ExitInterrupted, has(state.Interrupted):
		return state.Interrupted
	case cause != nil:
		return state.Failed
	case len(slices.Compact(slices.Clone(all))) == 1:
		return all[0]
	case has(state.RolledBack):
		return state.RolledBack
	case has(state.Failed), has(state.Partial):
		return state.Partial
	case has(state.Refused):
		return state.Refused
	case has(state.Changed):
		return state.Changed
	case has(state.Waiting):
		return state.Waiting
	}
	return state.Unchanged
}

// record gives the app's part of the record, and the exit code that it asks
// for.
func (a *app) record(mode Mode) (state.AppRecord, int) {
	entry := state.AppRecord{Name: a.Name, Engine: a.rendered.Engine, Warnings: a.plan.Warnings}
	entry.Revision, entry.Chart = a.applied()
	if a.prior.Revision != nil {
		entry.From = a.prior.Revision.Commit
	} else if a.prior.Chart != nil {
		entry.From = a.prior.Chart.Version
	}
	if a.planned {
		entry.PlanHash, entry.Approved = a.plan.Hash, a.approved
	}
	entry.Contested = a.contested(mode)
	for _, c := range entry.Contested {
		entry.Warnings = append(slices.Clone(entry.Warnings), c.Text())
	}
	last := a.outcomes()
	entry.Counts = a.counts(last)
	entry.Changes = a.changes(last)
	for _, refusal := range a.plan.Refusals {
		out := state.Refusal{Reason: refusal.Reason, Message: refusal.Message}
		if refusal.Approvable {
			out.PlanHash = a.plan.Hash
		}
		entry.Refusals = append(entry.Refusals, out)
	}
	var code int
	entry.Verdict, code, entry.Message = a.verdict(last)
	if a.fixed != nil {
		entry.Message = join(entry.Message, a.stays())
	}
	if a.left != plan.NotLeft {
		entry.Message = join(a.farewell(last), entry.Message)
		if a.removal != "" {
			entry.PlanHash = a.removal
		}
	}
	if a.found != nil {
		entry.Health = &a.found.AppHealth
	}
	if mode == PlanOnly && a.acts() {
		entry.Verdict, code, entry.Message = state.Changed, ExitOK, "" // it would be
	}
	return entry, code
}

// verdict says how the app went, which exit code that is, and why.
func (a *app) verdict(last map[object.ID]apply.Outcome) (state.Verdict, int, string) {
	switch {
	case a.err != nil && ExitOf(a.err) == ExitInterrupted:
		return state.Interrupted, ExitInterrupted, a.err.Error()
	case a.err != nil:
		return state.Failed, ExitOf(a.err), a.err.Error()
	case len(a.plan.Invalid) > 0:
		return state.Failed, ExitConfig, "the server refuses: " + strings.Join(a.plan.Invalid, "; ")
	case len(a.plan.Refusals) > 0:
		return state.Refused, ExitRefused, ""
	case a.waits():
		return state.Waiting, ExitOK, a.plan.Waits
	case a.untouched:
		return state.Unchanged, ExitOK, a.plan.Waits
	case !a.planned, a.acts() && a.results == nil:
		return state.Interrupted, ExitInterrupted, "the run ended before this app was applied"
	}
	changed, undone, unsent := false, false, false
	for _, o := range last {
		switch o.Verdict {
		case apply.Created, apply.Changed, apply.Adopted, apply.Replaced, apply.Pruned, apply.Ran:
			changed = true
		case apply.Unsent:
			unsent = true
		case apply.Deferred, apply.Failed, apply.Moved, apply.TakenFirst, apply.Unknown, apply.Held, apply.Pending:
			undone = true
		case apply.Fenced, apply.HandedOver, apply.Kept, apply.Forgotten, apply.Reported, apply.Spared:
		}
	}
	switch {
	case unsent:
		return state.Interrupted, ExitInterrupted, "the run ended before everything was sent"
	case a.reverted != nil && !a.halfway:
		return state.RolledBack, ExitRolledBack, join(a.found.message, a.undone)
	case a.reverted != nil:
		return state.Partial, ExitPartial, join(a.found.message, "not all of it was rolled back: "+a.undone)
	case a.found != nil && a.found.Verdict != state.Healthy:
		return state.Partial, ExitPartial, a.found.message
	case undone && changed:
		return state.Partial, ExitPartial, ""
	case undone:
		return state.Failed, ExitPartial, ""
	case changed:
		return state.Changed, ExitOK, ""
	}
	return state.Unchanged, ExitOK, a.plan.Waits
}

func (a *app) counts(last map[object.ID]apply.Outcome) state.Counts {
	var n state.Counts
	if a.untouched {
		for member := range a.held() {
			if member.Kept || a.left != plan.NotLeft {
				n.Kept++
			} else {
				n.Unchanged++
			}
		}
		return n
	}
	n.Unchanged = a.plan.Unchanged
	for _, o := range last {
		if o.Change.Reason == plan.ReasonDrift || o.Change.Reason == plan.ReasonDeleted {
			n.Drifted++
		}
		switch o.Verdict {
		case apply.Created:
			n.Created++
		case apply.Changed, apply.Replaced:
			n.Changed++
		case apply.Pruned:
			n.Pruned++
		case apply.Adopted:
			n.Adopted++
		case apply.Kept:
			n.Kept++
		case apply.Deferred, apply.Held, apply.Pending:
			n.Deferred++
		case apply.Failed, apply.Moved, apply.TakenFirst, apply.Unknown, apply.Unsent:
			n.Failed++
		case apply.Fenced, apply.HandedOver, apply.Forgotten, apply.Reported, apply.Ran, apply.Spared:
		}
	}
	return n
}

// changes lists what became of each change, in the plan's order. A plan that
// was refused is listed as what it would do.
func (a *app) changes(last map[object.ID]apply.Outcome) []state.Change {
	var changes []state.Change
	for _, c := range a.plan.Changes {
		member, _ := a.owned.Lookup(c.ID)
		if c.Action == plan.Keep && member.Kept && a.results == nil {
			continue // told when it was kept first
		}
		if c.Action == plan.Keep && c.Reason == plan.ReasonLeft {
			continue // told in the app's message
		}
		out := state.Change{ID: c.ID, Action: string(c.Action), Reason: string(c.Reason), Outcome: "not carried out", Message: c.Note}
		if o, ok := last[c.ID]; ok {
			out.Outcome, out.Message = string(o.Verdict), o.Message
			if len(c.Losers) > 0 {
				out.Message = join(out.Message, "taken back from "+strings.Join(c.Losers, ", "))
			}
		}
		if c.Reason == plan.ReasonDrift {
			out.Message = join(out.Message, drifted(c.Diff))
		}
		changes = append(changes, out)
	}
	return append(changes, a.fences(last)...)
}

// fences lists what was fenced, or could not be, where nothing else was planned
// for it.
func (a *app) fences(last map[object.ID]apply.Outcome) []state.Change {
	var fences []state.Change
	for _, id := range slices.SortedFunc(maps.Keys(last), object.ID.Compare) {
		if o := last[id]; o.Change.Action == plan.Fence {
			fences = append(fences, state.Change{ID: id, Action: string(plan.Fence), Reason: string(o.Change.Reason), Outcome: string(o.Verdict), Message: o.Message})
		}
	}
	return fences
}

func join(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), "; ")
}

// applied gives the app's revision as the state keeps it. What was not fetched
// in this run is taken from before, where it is the same.
func (a *app) applied() (*state.Revision, *state.Chart) {
	var revision *state.Revision
	if r, before := a.revision, a.prior.Revision; r.Commit != "" {
		revision = &state.Revision{Repo: r.Repo, Ref: r.Ref, Commit: r.Commit, Author: r.Author, Subject: r.Subject}
		if before != nil && before.Commit == r.Commit && r.Author == "" {
			revision.Author, revision.Subject = before.Author, before.Subject
		}
	}
	if a.revision.Chart == nil {
		return revision, nil
	}
	chart := state.Chart(*a.revision.Chart)
	switch before := a.prior.Chart; {
	case a.rendered.Chart != nil:
		chart = state.Chart(*a.rendered.Chart)
	case before != nil && before.Repo == chart.Repo && before.Name == chart.Name && before.Version == chart.Version:
		chart = *before
	}
	return revision, &chart
}

// cost tells what the run took so far.
func (r *runner) cost() state.Cost {
	cost := state.Cost{
		StoreRequests: r.job.Ledger.Requests(),
		Seconds:       r.job.Now().Sub(r.began).Round(time.Microsecond).Seconds(),
		Stages:        r.stages,
		Renders:       r.renders,
	}
	if r.job.Cluster != nil {
		cost.KubernetesRequests = r.job.Cluster.Requests()
	}
	if r.job.Git != nil {
		git := r.job.Git()
		cost.GitRequests, cost.GitBytes, cost.Fetches = git.Requests, git.Bytes, git.Fetches
	}
	if r.job.PeakMemory != nil {
		cost.PeakMemoryBytes = r.job.PeakMemory()
	}
	return cost
}
