package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Unhealthy says why an object is not healthy.
type Unhealthy struct {
	// Failed: waiting longer would not help.
	Failed  bool
	Message string
}

// course is how far the work has come: what holds a level, and what in it.
type course struct {
	*doer
	// stopped says why no later wave begins; empty while it may.
	stopped string
	// begun is the wave that may, once looked says that one was asked for.
	begun  int
	looked bool
	// healthy are the objects that were waited for, and are.
	healthy map[object.ID]bool
	// pruning is what Options.Pruning said, once it was asked.
	pruning *string
}

// hold gives, for the changes of a level, why one of them must not be carried
// out; "" is that it may. done are the outcomes of all levels before.
func (c *course) hold(ctx context.Context, level []plan.Change, done []Outcome) func(plan.Change) string {
	first := level[0]
	if first.Prunes() {
		why := undone(done)
		if why == "" && c.options.Pruning != nil {
			if c.pruning == nil {
				hold := c.options.Pruning(ctx)
				c.pruning = &hold
			}
			why = *c.pruning
		}
		return func(plan.Change) string { return why }
	}
	switch first.Hook {
	case plan.PostSync:
		c.after(ctx, done)
	case plan.SyncFail:
		return c.failed(done)
	}
	for _, o := range done {
		if o.Change.Hook == plan.PreSync && !plan.SameStage(o.Change, first) && !o.Verdict.Done() && c.stopped == "" {
			c.stopped = fmt.Sprintf("the PreSync hook %s did not end well: %s", o.Change.ID, o.Message)
		}
	}
	writes := slices.ContainsFunc(level, func(change plan.Change) bool { return change.Action.Writes() })
	if len(done) == 0 || !plan.SameStage(done[len(done)-1].Change, first) {
		c.looked = false
	}
	if writes && (!c.looked || c.begun < first.Wave) {
		c.begun, c.looked = first.Wave, true
		c.stop(ctx, first, done)
	}
	unmet := c.unmet(ctx, level, done)
	return func(change plan.Change) string {
		if c.stopped != "" {
			return c.stopped
		}
		return unmet[change.ID]
	}
}

// stop finds out whether a wave may begin: everything of the waves before is
// applied and healthy, also what was as it should be before.
func (c *course) stop(ctx context.Context, next plan.Change, done []Outcome) {
	wave := next.Wave
	if c.stopped != "" {
		return
	}
	for _, o := range done {
		if plan.SameStage(o.Change, next) && o.Change.Wave < wave && !o.Verdict.Done() {
			c.stopped = fmt.Sprintf("sync wave %d did not end well: %s", o.Change.Wave, o.Change.ID)
			return
		}
	}
	if next.Hook == plan.PreSync || next.Hook == plan.PostSync {
		return
	}
	var before []object.ID
	for _, o := range c.work.Want.Objects() {
		if plan.WaveOf(o) < wave {
			before = append(before, o.ID)
		}
	}
	if ill := c.await(ctx, before); len(ill) > 0 {
		c.stopped = fmt.Sprintf("sync wave %d waits for the ones before: %s", wave, told(ill))
	}
}

// unmet gives the changes of a level whose dependencies are not applied and
// healthy, each with the reason.
func (c *course) unmet(ctx context.Context, level []plan.Change, done []Outcome) map[object.ID]string {
	unmet := map[object.ID]string{}
	var needs []object.ID
	for _, change := range level {
		if !change.Action.Writes() || c.stopped != "" {
			continue
		}
		for _, need := range change.Needs {
			at := slices.IndexFunc(done, func(o Outcome) bool { return o.Change.ID == need })
			if at >= 0 && !done[at].Verdict.Done() {
				unmet[change.ID] = fmt.Sprintf("it depends on %s, which is not applied: %s", need, done[at].Verdict)
			}
		}
		if unmet[change.ID] == "" {
			needs = append(needs, change.Needs...)
		}
	}
	ill := c.await(ctx, needs)
	for _, change := range level {
		for _, need := range change.Needs {
			if why, is := ill[need]; is && unmet[change.ID] == "" {
				unmet[change.ID] = fmt.Sprintf("it depends on %s: %s", need, why.Message)
			}
		}
	}
	return unmet
}

// await waits for objects, those that are known to be healthy left out, and gives
// the others.
func (c *course) await(ctx context.Context, ids []object.ID) map[object.ID]Unhealthy {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, object.ID.Compare)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id object.ID) bool { return c.healthy[id] })
	if len(ids) == 0 || c.options.Healthy == nil || ctx.Err() != nil {
		return nil // of a run that ends, nothing more is sent
	}
	ill := c.options.Healthy(ctx, ids)
	for _, id := range ids {
		if _, is := ill[id]; !is {
			c.healthy[id] = true
		}
	}
	return ill
}

// told names the objects that are not healthy, those that failed first.
func told(ill map[object.ID]Unhealthy) string {
	ids := make([]object.ID, 0, len(ill))
	for id := range ill {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b object.ID) int {
		if ill[a].Failed != ill[b].Failed {
			if ill[a].Failed {
				return -1
			}
			return 1
		}
		return a.Compare(b)
	})
	const shown = 3
	var texts []string
	for _, id := range ids[:min(shown, len(ids))] {
		texts = append(texts, id.String()+": "+ill[id].Message)
	}
	if more := len(ids) - shown; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// undone says why nothing more may be pruned: something that comes before did
// not succeed. It is empty when everything did.
func undone(outcomes []Outcome) string {
	for _, o := range outcomes {
		switch {
		case o.Verdict.Done():
		case o.Change.Prunes():
			return "what is to be pruned first could not be"
		default:
			return "not everything of the app could be applied"
		}
	}
	return ""
}

type span struct{ from, to int }

// levels cuts the changes of a plan into what is carried out side by side.
func levels(changes []plan.Change) []span {
	var spans []span
	for i, c := range changes {
		if i == 0 || !plan.SameLevel(changes[i-1], c) {
			spans = append(spans, span{i, i})
		}
		spans[len(spans)-1].to = i + 1
	}
	return spans
}

// after finds out whether the hooks after a sync may run: everything is applied,
// pruned and healthy.
func (c *course) after(ctx context.Context, done []Outcome) {
	if c.stopped == "" {
		c.stopped = undone(done)
	}
	if c.stopped != "" {
		return
	}
	var all []object.ID
	for _, o := range c.work.Want.Objects() {
		all = append(all, o.ID)
	}
	if ill := c.await(ctx, all); len(ill) > 0 {
		c.stopped = "the hooks after the sync wait for " + told(ill)
	}
}

// failed says of the hooks for a failure that they are not needed, unless there was
// one.
func (c *course) failed(done []Outcome) func(plan.Change) string {
	for _, o := range done {
		if o.Verdict == Failed && o.Change.Hook != plan.SyncFail && (o.Change.Action != plan.Await || o.Ended) {
			return func(plan.Change) string { return "" }
		}
	}
	return func(plan.Change) string { return notNeeded }
}

const notNeeded = "nothing failed"
