package simulation

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/mem"
)

// world is one ledger, one cluster, one repository, and the processes that work
// on them.
type world struct {
	network
	chronicle
	t    *testing.T
	seed uint64

	store  *mem.Store
	server *server
	repo   repository
	// ref is the revision that git names now.
	ref          string
	apps         []string
	deferTimeout time.Duration
	wait         reconcile.Wait
	back         bool
	asks         func(*reconcile.Job)
	unwitnessed  bool
	strict       bool // plans want an approval
	reacts       func(*world, object.ID)

	processes []*process
	somebody  *process          // who is no run
	names     map[string]string // of processes, by the id of their run
}

// newWorld gives the world of a scenario before anybody was there. It must be
// made in a synctest bubble.
func newWorld(t *testing.T, s scenario, seed uint64) *world {
	w := &world{
		t: t, seed: seed, store: mem.Open(mem.Options{Now: time.Now}), server: newServer(),
		repo: s.repo, apps: s.apps, deferTimeout: s.deferTimeout, wait: s.wait, back: s.back, asks: s.asks, unwitnessed: s.unwitnessed, reacts: s.reacts, names: map[string]string{},
	}
	if w.apps == nil {
		w.apps = []string{"web"}
	}
	w.server.refuses = s.refuses
	w.network = network{begun: time.Now(), choose: plain{}, watch: w, wake: make(chan struct{}, 1)}
	w.somebody = &process{world: w, name: "somebody"}
	w.chronicle.world, w.last, w.gaveUp, w.started = w, map[object.ID]*process{}, map[string]string{}, map[string]time.Time{}
	return w
}

// past is what was there before: a world that can be gone back to.
type past struct {
	scenario scenario
	at       time.Duration
	blobs    map[string][]byte
	world    *world
}

// before gives the past of a scenario, and says what went wrong on the way.
func before(t *testing.T, s scenario) past {
	var p past
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s, 0)
		for i, ref := range s.before {
			w.alone(fmt.Sprintf("before%d", i+1), ref, 0)
		}
		if w.strict = s.strict; s.prepare != nil {
			s.prepare(w)
		}
		w.judge("before")
		p = past{scenario: s, at: time.Since(w.begun), blobs: w.blobs(), world: w}
		w.report()
	})
	return p
}

// blobs gives everything that the store holds.
func (w *world) blobs() map[string][]byte {
	blobs := map[string][]byte{}
	entries, err := w.store.List(context.Background(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries {
		blob, err := w.store.Get(context.Background(), entry.Name)
		if err != nil {
			w.t.Fatal(err)
		}
		blobs[entry.Name] = blob.Data
	}
	return blobs
}

// after gives a world with that past.
func (p past) after(t *testing.T, seed uint64) *world {
	w := newWorld(t, p.scenario, seed)
	w.strict = p.scenario.strict
	time.Sleep(p.at)
	for name, data := range p.blobs {
		if _, err := w.store.Create(context.Background(), name, data); err != nil {
			t.Fatal(err)
		}
	}
	w.server = p.world.server.clone()
	w.names = maps.Clone(p.world.names)
	w.chronicle = p.world.chronicle.clone(w)
	return w
}

// alone lets one process run from beginning to end, at a revision, after a while.
func (w *world) alone(name, ref string, wait time.Duration) *process {
	p := w.start(name, ref, wait, 0)
	w.run()
	w.judge(name)
	return p
}

// plain lets everything happen as soon as it can, and nothing goes wrong.
type plain struct{}

func (plain) next(ready []*message) *message {
	for _, m := range ready {
		if !m.writes {
			return m
		}
	}
	if len(ready) == 0 {
		return nil
	}
	return ready[0]
}

func (plain) strike(*message) fault { return none }

// head gives the head as it is now; nil when there is none, or none that can be
// read.
func (w *world) head() *state.Head {
	if !w.damaged {
		if len(w.heads) == 0 {
			return nil
		}
		return &w.heads[len(w.heads)-1].Head
	}
	blob, err := w.store.Get(context.Background(), headName)
	if err != nil {
		return nil
	}
	head, err := state.DecodeHead(blob.Data)
	if err != nil {
		return nil
	}
	return &head
}

// ground is what the next run starts from, beside the cluster and the repository.
func (w *world) ground() state.Head {
	head := w.head()
	if head == nil {
		return state.Head{}
	}
	return state.Head{Cluster: head.Cluster, Config: head.Config, Observed: head.Observed, Apps: head.Apps, Lease: state.Lease{Free: head.Lease.Free}}
}

// label gives the value of the ledger's label, as long as there is a ledger.
func (w *world) label() string {
	if len(w.heads) == 0 {
		return ""
	}
	return reconcile.LedgerLabel(w.heads[0].Lineage)
}

// wanted gives what a revision wants, by ID, with the marks of the ledger.
func (w *world) wanted(ref string) map[object.ID]object.Object {
	label := w.label()
	wanted := map[object.ID]object.Object{}
	for app, objects := range w.repo[ref] {
		for _, o := range objects {
			if isHook(o) {
				continue
			}
			wanted[o.ID] = o.WithMetadata(
				map[string]string{object.LabelLedger: label, object.LabelApp: app},
				map[string]string{object.AnnotationID: o.ID.Mark()},
			)
		}
	}
	return wanted
}

// report fails the test with everything that was found, and how it came to that.
func (w *world) report() {
	w.t.Helper()
	if len(w.found) > 0 {
		w.t.Errorf("%s\n\ntrace:\n%s", strings.Join(w.found, "\n"), w.told())
	}
}
