package simulation

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// sent is told of each message when it is sent.
func (c *chronicle) sent(m *message) {
	if m.object == nil || m.from == c.somebody {
		return
	}
	m.from.writes++
	if head := c.newest(m.from); head != nil {
		m.epoch = head.Epoch
	}
	c.writeAhead(m)
	c.inTime(m)
	c.preconditions(m)
	c.healthFirst(m)
}

// done is told of each message that took effect, or was refused.
func (c *chronicle) done(m *message, err error) {
	c.counts.messages++
	if !m.writes || err != nil {
		return
	}
	c.lineOfHeads()
	c.covered()
	c.untouched()
	c.neverAbsent(m)
	c.neverOverwritten(m)
	c.notTriedAgain(m)
	c.hooksInTurn(m)
	if m.object != nil {
		m.from.effective++
		c.last[m.object.id] = m.from
		if c.reacts != nil {
			c.reacts(c.world, m.object.id)
		}
	}
}

// judge looks at the world while nobody runs.
func (c *chronicle) judge(when string) {
	for _, p := range c.processes[c.ended:] {
		c.counts.runs++
		c.exits(p)
		c.silent(p)
	}
	c.ended = len(c.processes)
	c.untouched()
	if !c.damaged {
		c.chain(when)
	}
}

// Every write to the cluster follows a head write of the same run, which names
// the object in plan and inventory; a touch asks for the inventory alone.
func (c *chronicle) writeAhead(m *message) {
	head := c.newest(m.from)
	if head == nil {
		c.violate("write-ahead: %s is sent, and its run does not hold the lease", m)
		return
	}
	planned, owned := m.object.verb == "touch", false
	for _, app := range head.Apps {
		_, member := c.inventoryOf(app.Inventory).Lookup(m.object.id)
		owned = owned || member
		planned = planned || slices.ContainsFunc(c.planOf(app.Plan).Changes, func(change plan.Change) bool {
			return change.ID == m.object.id && m.object.fits(change)
		})
	}
	if !owned || !planned {
		c.violate("write-ahead: %s is sent; in the inventory: %v, in the plan: %v", m, owned, planned)
	}
}

// fits says whether a request carries out a change.
func (r request) fits(c plan.Change) bool {
	switch r.verb {
	case "apply":
		creates := r.at == (apply.Target{})
		return creates && (c.Action == plan.Create || c.Action == plan.Replace || c.Action == plan.Run) || !creates && (c.Action == plan.Update || c.Action == plan.Adopt)
	case "delete":
		return c.Action == plan.Prune || c.Action == plan.Replace || c.IsHook()
	}
	return false
}

// No write to the cluster is sent after the holder's deadline: two thirds of the
// lease after its last renewal was sent.
func (c *chronicle) inTime(m *message) {
	var renewed time.Time
	for _, h := range c.heads {
		if h.by == m.from && h.sent.After(renewed) {
			renewed = h.sent
		}
	}
	if late := m.sent.Sub(renewed); !renewed.IsZero() && late > ttl*2/3 {
		c.violate("deadline: %s is sent %s after the last renewal", m, late)
	}
}

// Every apply to an existing object and every delete carries UID and
// resourceVersion; a create is sent without force.
func (c *chronicle) preconditions(m *message) {
	r := m.object
	switch {
	case r.at.UID != "" && r.at.ResourceVersion != "":
	case r.verb == "apply" && r.at == (apply.Target{}) && !r.force: // a create; writeAhead sees to it that it was planned
	default:
		c.violate("preconditions: %s is sent with UID %q, resourceVersion %q, force %v", m, r.at.UID, r.at.ResourceVersion, r.force)
	}
}

// Only the holder writes the head while the lease is not free, unless it stood
// still for longer than the lease or a person insists; and the line of heads goes on by one, never
// back: the same ledger, a higher seq, no lower epoch, at most one more record.
func (c *chronicle) lineOfHeads() {
	for ; c.judged < len(c.heads); c.judged++ {
		if c.judged == 0 || c.damaged {
			continue
		}
		old, now := c.heads[c.judged-1], c.heads[c.judged]
		if now.Seq != old.Seq+1 || now.Lineage != old.Lineage || now.Audit.Seq < old.Audit.Seq || now.Audit.Seq > old.Audit.Seq+1 {
			c.violate("line of heads: %s follows %s", summary(now), summary(old))
		}
		took := now.Epoch == old.Epoch+1 && !now.Lease.Free
		switch {
		case old.Lease.Free && (took || now.Epoch == old.Epoch && now.Lease.Free):
		case !old.Lease.Free && now.by == old.by && now.Epoch == old.Epoch:
		case !old.Lease.Free && took && (now.at.Sub(old.at) > ttl || now.by.forces):
		default:
			c.violate("only the holder: %s follows %s after %s", summary(now), summary(old), now.at.Sub(old.at))
		}
	}
}

func summary(v version) string {
	return fmt.Sprintf("%s's head %d (lineage %.4s, epoch %d, free %v, record %d)", v.by.name, v.Seq, v.Lineage, v.Epoch, v.Lease.Free, v.Audit.Seq)
}

// Live objects that are ours are in the inventory of the head.
func (c *chronicle) covered() {
	head := c.head()
	if head == nil || c.damaged {
		return
	}
	label := c.label()
	for id, o := range c.server.objects {
		if owner, _, _ := plan.OwnerOf(id, o.meta(), label); owner != plan.Ours {
			continue
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(head.Apps)), func(app state.App) bool {
			_, found := c.inventoryOf(app.Inventory).Lookup(id)
			return found
		}) {
			c.violate("covered: %s is live and ours, and in no inventory", id)
		}
	}
}

// Objects of others stay as they are.
func (c *chronicle) untouched() {
	for id, canary := range c.canaries {
		if c.server.objects[id] != canary {
			c.violate("untouched: %s of somebody else was changed", id)
			c.canaries[id] = c.server.objects[id]
		}
	}
}

// plant puts objects of others next to ours: one that nobody marked, one of
// another tool, and copies of an object of ours.
func (c *chronicle) plant(head state.Head) {
	label := map[string]string{object.LabelLedger: reconcile.LedgerLabel(head.Lineage), object.LabelApp: "web"}
	c.canaries = map[object.ID]*stored{}
	for _, o := range []object.Object{
		configMap("unmarked", "theirs"),
		configMap("of-helm", "theirs").WithMetadata(nil, map[string]string{"meta.helm.sh/release-name": "shop"}),
		configMap("copy", "theirs").WithMetadata(label, map[string]string{object.AnnotationID: configMap("one", "").ID.Mark()}),
		configMap("unnamed", "theirs").WithMetadata(label, nil),
		configMap("controlled", "theirs").WithMetadata(label, map[string]string{object.AnnotationID: configMap("controlled", "").ID.Mark()}),
	} {
		next, err := c.server.applied(o, apply.Target{}, "somebody", true)
		if err != nil {
			c.t.Fatal(err)
		}
		if o.ID.Name == "controlled" {
			next.controller = "Deployment web"
		}
		c.canaries[o.ID] = c.server.put(next)
	}
}

// No object that is wanted is ever absent: nobody deletes what its own revision
// wants but to make it again, and no late delete lands once a newer run that wants the object has
// settled.
func (c *chronicle) neverAbsent(m *message) {
	if m.object == nil || m.object.verb != "delete" || c.server.objects[m.object.id] != nil {
		return
	}
	for app, ref := range m.from.wants {
		if !c.replaces(m) && !c.givesUp(m, app) && slices.ContainsFunc(c.repo[ref][app], func(o object.Object) bool { return o.ID == m.object.id }) {
			c.violate("never absent: %s, and its own revision %s wants it", m, ref)
		}
	}
	if by := c.settledSince(m); by != nil {
		c.violate("never absent: %s, sent %s ago, lands after %s settled, which wants it", m, time.Since(m.sent), by.name)
	}
}

// replaces says whether a delete is the first half of a replacement that its run
// committed.
func (c *chronicle) replaces(m *message) bool {
	for _, h := range c.heads {
		for _, app := range h.Apps {
			if h.by == m.from && slices.ContainsFunc(c.planOf(app.Plan).Changes, func(change plan.Change) bool {
				return change.ID == m.object.id && (change.Action == plan.Replace || change.IsHook())
			}) {
				return true
			}
		}
	}
	return false
}

// No late apply lands on an object once a newer run that wants it has settled. (One
// that makes an object which is absent does: nothing can hold it back.)
func (c *chronicle) neverOverwritten(m *message) {
	if m.object == nil || m.object.verb != "apply" || c.server.objects[m.object.id].isNew() {
		return
	}
	if by := c.settledSince(m); by != nil {
		c.violate("never overwritten: %s, sent %s ago, lands after %s settled", m, time.Since(m.sent), by.name)
	}
}

// settledSince gives another process that settled after the message was sent, or
// at a higher epoch than that of its run, and that wants its object.
func (c *chronicle) settledSince(m *message) *process {
	for _, s := range c.settled {
		if s.by != m.from && (s.at.After(m.sent) || s.epoch > m.epoch && m.epoch > 0) && s.wants[m.object.id] {
			return s.by
		}
	}
	return nil
}

// The applied revision moves only on full success: the run says so, and what it
// found or left last is as the revision wants it.
func (c *chronicle) revisions(by *process, old, now state.Head) {
	if !now.Lease.Free {
		for name, app := range now.Apps {
			if !reflect.DeepEqual(app.Revision, old.Apps[name].Revision) {
				c.violate("revisions: %s moves %s while it acts", by.name, name)
			}
		}
		return
	}
	wanted := map[object.ID]object.Object{}
	done := map[string]bool{}
	for _, app := range c.recordOf(now).Apps {
		done[app.Name] = app.Verdict == state.Changed || app.Verdict == state.Unchanged
	}
	for name, app := range now.Apps {
		if !reflect.DeepEqual(app.Revision, old.Apps[name].Revision) && !done[name] {
			c.violate("revisions: %s moves %s to %s without success", by.name, name, app.Revision.Ref)
		}
		if done[name] && !app.Left { // by.wants may be of an attempt before, whose configuration named it
			for _, o := range c.holdsOf(by, now, name) {
				if !isHook(o) {
					wanted[o.ID] = o
				}
			}
		}
	}
	for id, o := range wanted {
		if last := c.last[id]; last != nil && last != by {
			continue // somebody else may have come in between
		}
		live := c.server.objects[id]
		if live == nil {
			c.violate("revisions: %s settles, and %s is not there", by.name, id)
			continue
		}
		for path, value := range flatten(o.Content()) {
			if live.leaves[path] != value {
				c.violate("revisions: %s settles, and %s of %s is %v, not %v", by.name, path, id, live.leaves[path], value)
			}
		}
	}
}

// The exit code is in the table, and one that is not 0 has a cause in words.
func (c *chronicle) exits(p *process) {
	if p.dead || !p.started() {
		return
	}
	record := p.report.Record
	if !slices.Contains([]int{0, 10, 11, 12, 13, 14, 15, 16, 18}, record.Exit) {
		c.violate("exits: %s with %d, which is not in the table", p.name, record.Exit)
	}
	if (p.err != nil) != (record.Message != "" && record.Exit != 0) && p.err != nil {
		c.violate("exits: %s with %d and says nothing of %v", p.name, record.Exit, p.err)
	}
	if record.Exit != 0 && !explained(record) {
		c.violate("exits: %s with %d and no cause", p.name, record.Exit)
	}
}

// explained says whether a record has words for its exit code.
func explained(record state.Record) bool {
	if record.Message != "" {
		return true
	}
	for _, app := range record.Apps {
		if app.Message != "" || len(app.Refusals) > 0 {
			return true
		}
		for _, change := range app.Changes {
			if change.Message != "" {
				return true
			}
		}
	}
	return false
}

// Secrets are nowhere in what a run tells.
func (c *chronicle) silent(p *process) {
	data, err := json.Marshal(p.report)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mute(p.name+" reports", data)
}

func (c *chronicle) mute(where string, data []byte) {
	for _, word := range []string{secretValue, base64.StdEncoding.EncodeToString([]byte(secretValue)), credential} {
		if bytes.Contains(data, []byte(word)) {
			c.violate("silent: %s holds %q", where, word)
		}
	}
}

// The audit chain verifies, has no gap and matches the head; and no secret is in
// the store.
func (c *chronicle) chain(when string) {
	if c.head() == nil {
		return
	}
	ledger, err := state.Open(c.store, state.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	chain, err := ledger.Verify(context.Background())
	if err != nil || len(chain.Findings) > 0 {
		c.violate("chain: after %s: %v %v", when, chain.Findings, err)
	}
	for name, data := range c.blobs() {
		c.mute(name, data)
	}
}

// differences lists in what the cluster is not as a revision wants it: every
// object is there, as written, and nothing else is ours.
func (c *chronicle) differences(ref string) []string {
	var all []string
	wanted := c.wanted(ref)
	for id, want := range wanted {
		o := c.server.objects[id]
		if o == nil || o.terminating {
			all = append(all, id.String()+" is not there")
			continue
		}
		for path, value := range flatten(want.Content()) {
			if o.leaves[path] != value {
				all = append(all, fmt.Sprintf("%s: %s is %v, not %v", id, path, o.leaves[path], value))
			}
		}
		for path := range o.leaves.under("data.") {
			if _, ok := flatten(want.Content())["data."+path]; !ok {
				all = append(all, fmt.Sprintf("%s: data.%s is too much", id, path))
			}
		}
	}
	label := c.label()
	for id, o := range c.server.objects {
		if owner, _, _ := plan.OwnerOf(id, o.meta(), label); owner == plan.Ours && !has(wanted, id) && !c.repo.hooks()[id] {
			all = append(all, id.String()+" is ours and not wanted")
		}
	}
	slices.Sort(all)
	return all
}

// quiet: a run that finds everything as it should be writes nothing to the
// cluster; where the server keeps refusing something, it changes nothing.
func (c *chronicle) quiet(p *process, refused bool) {
	if p.writes > 0 && !refused || p.effective > 0 {
		c.violate("quiet: %s wrote %d times to a cluster that was as it should be", p.name, p.writes)
	}
}

// ends: the run ends with the exit code that is due.
func (c *chronicle) ends(p *process, exit int) {
	if p.report.Record.Exit == exit {
		return
	}
	var why []string
	for _, app := range p.report.Record.Apps {
		why = append(why, fmt.Sprintf("%s %s %s %v %v", app.Name, app.Verdict, app.Message, app.Refusals, app.Changes))
	}
	c.violate("ends: %s ended with %d and %q, not %d: %v %s", p.name, p.report.Record.Exit, p.report.Record.Verdict, exit, p.err, strings.Join(why, "; "))
}

func has[V any](m map[object.ID]V, id object.ID) bool { _, ok := m[id]; return ok }

// converged: the cluster is as the revision wants it.
func (c *chronicle) converged(ref string) {
	if left := c.differences(ref); len(left) > 0 {
		c.violate("converged: after two clean runs: %s", strings.Join(left, "; "))
	}
}
