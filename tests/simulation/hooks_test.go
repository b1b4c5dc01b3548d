package simulation

import (
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// runsHook says whether a message is about a hook of the revision that its run wants.
func (c *chronicle) runsHook(m *message) bool {
	for app, ref := range m.from.wants {
		if slices.ContainsFunc(c.repo[ref][app], func(o object.Object) bool { return o.ID == m.object.id && o.Annotation(hookStage) != "" }) {
			return true
		}
	}
	return false
}

// hooksInTurn: no hook is made twice for what an app wants, unless it wanted something
// else meanwhile, and nothing else of an app is written before its PreSync hooks have
// ended for what it wants.
func (c *chronicle) hooksInTurn(m *message) {
	if m.object == nil || m.object.verb != "apply" || m.from == c.somebody {
		return
	}
	if c.runsHook(m) {
		made := c.server.objects[m.object.id]
		if made == nil || !made.isNew() {
			return
		}
		set, stage, _ := strings.Cut(made.leaves["metadata.annotations."+plan.AnnotationHook].(string), " ")
		if !strings.HasPrefix(c.wantedSet, set) {
			return // of one that died before another set was wanted
		}
		key := m.object.id.Mark() + " " + stage
		if at, before := c.started[key]; before && m.sent.After(at) {
			c.violate("hooks in turn: %s, and it ran for that before", m)
		}
		c.started[key] = time.Now() // a create that was sent before, nothing holds back
		return
	}
	for app, ref := range m.from.wants {
		for _, o := range c.repo[ref][app] {
			if o.Annotation(hookStage) != plan.PreSync {
				continue
			}
			live := c.server.objects[o.ID]
			if live == nil || live.leaves["data.key"] != flatten(o.Content())["data.key"] || live.leaves["metadata.annotations.ready"] != live.leaves["data.key"] {
				c.violate("hooks in turn: %s, and the hook %s has not ended", m, o.ID)
			}
		}
	}
}

// wantsSet notes which set the plans of a head are for. With another one, hooks start
// anew.
func (c *chronicle) wantsSet(head state.Head) {
	for _, app := range head.Apps {
		if set := c.planOf(app.Plan).SetDigest; set != "" && set != c.wantedSet {
			c.wantedSet = set
			clear(c.started)
		}
	}
}
