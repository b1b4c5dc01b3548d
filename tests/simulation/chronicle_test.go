package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// chronicle is what happened in a world, as far as an invariant asks for it, and
// what was found to be wrong.
type chronicle struct {
	*world
	heads   []version
	settled []settlement
	// last is who wrote an object last.
	last map[object.ID]*process
	// canaries are objects of others, as they were and must stay.
	canaries map[object.ID]*stored
	// plans and inventories are those that a head named, by the hash of their blob.
	plans       map[string]plan.Plan
	inventories map[string]state.Inventory
	// gaveUp are the revisions that runs went back from, by app.
	gaveUp map[string]string
	// wantedSet is the digest of the set that the newest plan is for, and started are
	// the hooks that were made for it, by object and stage.
	wantedSet string
	started   map[string]time.Time
	// damaged: somebody else than a run changed the store.
	damaged bool

	judged int // heads that were looked at
	ended  int // processes that were looked at
	found  []string
	counts counts
}

// version is one version of the head.
type version struct {
	state.Head
	by   *process
	sent time.Time
	at   time.Time
}

// settlement is a run that brought an app to a revision.
type settlement struct {
	by    *process
	epoch uint64
	at    time.Time
	wants map[object.ID]bool
}

// counts are what a test did.
type counts struct {
	runs, messages int
}

func (c chronicle) clone(w *world) chronicle {
	c.world = w
	c.heads, c.settled, c.found = slices.Clone(c.heads), slices.Clone(c.settled), nil
	c.canaries, c.plans, c.inventories = maps.Clone(c.canaries), maps.Clone(c.plans), maps.Clone(c.inventories)
	c.last = map[object.ID]*process{}
	c.gaveUp = map[string]string{}
	c.started = map[string]time.Time{}
	c.ended, c.counts = 0, counts{}
	return c
}

// violate notes that an invariant does not hold.
func (c *chronicle) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.note(line{text: "VIOLATED: " + text})
	if len(c.found) < 20 {
		c.found = append(c.found, text)
	}
}

// wrote is told of each write to the store.
func (c *chronicle) wrote(by *process, name string, data []byte, err error) {
	if err != nil || name != headName {
		return
	}
	head, err := state.DecodeHead(data)
	if err != nil {
		c.violate("%s wrote a head that cannot be read: %v", by.name, err)
		return
	}
	if len(c.heads) > 0 {
		c.revisions(by, c.heads[len(c.heads)-1].Head, head)
		c.approved(by, c.heads[len(c.heads)-1].Head, head)
	}
	c.heads = append(c.heads, version{Head: head, by: by, sent: c.delivering.sent, at: time.Now()})
	c.wantsSet(head)
	if c.canaries == nil {
		c.plant(head)
	}
	c.settle(by, head)
}

// settle notes the apps that a head says are at the revision that its run wanted.
func (c *chronicle) settle(by *process, head state.Head) {
	if !head.Lease.Free {
		return
	}
	for name, app := range head.Apps {
		if app.Quarantine == nil {
			delete(c.gaveUp, name)
		}
	}
	s := settlement{by: by, epoch: head.Epoch, at: time.Now(), wants: map[object.ID]bool{}}
	for _, app := range c.recordOf(head).Apps {
		if app.Verdict != state.Changed && app.Verdict != state.Unchanged {
			continue
		}
		for _, o := range c.holdsOf(by, head, app.Name) {
			s.wants[o.ID] = true
		}
	}
	c.settled = append(c.settled, s)
}

// recordOf gives the newest record of a head.
func (c *chronicle) recordOf(head state.Head) state.Record {
	data := []byte(head.Audit.Inline)
	if head.Audit.Path != "" {
		blob, err := c.store.Get(context.Background(), head.Audit.Path)
		if err != nil {
			c.violate("the head names the record %s, which is not there", c.short(head.Audit.Path))
		}
		data = blob.Data
	}
	record, err := state.DecodeRecord(data)
	if err != nil {
		c.violate("the newest record cannot be read: %v", err)
	}
	return record
}

// newest gives the newest head of a process while it held the lease, nil when it
// does not hold it as far as it can know.
func (c *chronicle) newest(p *process) *version {
	for _, h := range slices.Backward(c.heads) {
		if h.by == p {
			if h.Lease.Free {
				return nil
			}
			return &h
		}
	}
	return nil
}

// planOf and inventoryOf read what a head names. Without a blob it is empty.
func (c *chronicle) planOf(ref *state.Ref) plan.Plan { return blobOf(c, ref, &c.plans, decodePlan) }

func (c *chronicle) inventoryOf(ref *state.Ref) state.Inventory {
	return blobOf(c, ref, &c.inventories, state.DecodeInventory)
}

func blobOf[T any](c *chronicle, ref *state.Ref, known *map[string]T, decode func([]byte) (T, error)) T {
	var nothing T
	if ref == nil {
		return nothing
	}
	if *known == nil {
		*known = map[string]T{}
	}
	key := ref.Path + ref.SHA256
	if got, ok := (*known)[key]; ok {
		return got
	}
	blob, err := c.store.Get(context.Background(), ref.Path)
	if err != nil {
		c.violate("a head names %s, which is not there", c.short(ref.Path))
		return nothing
	}
	got, err := decode(blob.Data)
	if err != nil {
		c.violate("a head names %s, which cannot be read: %v", c.short(ref.Path), err)
	}
	(*known)[key] = got
	return got
}

func decodePlan(data []byte) (p plan.Plan, err error) {
	err = json.Unmarshal(data, &p)
	return p, err
}
