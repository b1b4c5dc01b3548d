package state_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/state/mem"
)

// runner is one machine: its clocks may be wrong, or stand still. Inside a
// synctest bubble time passes only while everybody sleeps.
type runner struct {
	begun time.Time
	mu    sync.Mutex
	wall  time.Duration // added to the wall clock
	mono  time.Duration // added to the monotonic clock
}

func newRunner(skew time.Duration) *runner { return &runner{begun: time.Now(), wall: skew} }

func (r *runner) Wall() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.wall)
}

func (r *runner) Mono() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.begun) + r.mono
}

func (r *runner) Sleep(ctx context.Context, d time.Duration) error {
	return state.SystemClock().Sleep(ctx, d)
}

// suspend lets the wall clock go on while the monotonic one stands still.
func (r *runner) suspend(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wall += d
}

// fault is what happens to one request.
type fault struct {
	// before is given back instead of asking the store; after, although it did.
	before, after error
	// late and lateAnswer delay the request and its answer. A request on its way
	// is done although nobody waits for it any more.
	late, lateAnswer time.Duration
	// meanwhile runs when the store has done it, before the answer.
	meanwhile func()
}

// faulty is a store that a test breaks.
type faulty struct {
	state.Store
	mu   sync.Mutex
	sent []string // "get head.json", …
	// plan says what happens to a request; n counts requests from 0.
	plan func(n int, request string) fault
}

func ask[T any](ctx context.Context, f *faulty, request string, do func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	n := len(f.sent)
	f.sent = append(f.sent, request)
	plan := f.plan
	f.mu.Unlock()
	var what fault
	if plan != nil {
		what = plan(n, request)
	}
	var nothing T
	if what.before != nil {
		return nothing, what.before
	}
	if what.late > 0 {
		type answer struct {
			got T
			err error
		}
		answers := make(chan answer, 1)
		go func() {
			time.Sleep(what.late)
			got, err := do(context.WithoutCancel(ctx))
			answers <- answer{got, err}
		}()
		select {
		case a := <-answers:
			return a.got, a.err
		case <-ctx.Done():
			return nothing, context.Cause(ctx)
		}
	}
	got, err := do(ctx)
	if what.meanwhile != nil {
		what.meanwhile()
	}
	if what.lateAnswer > 0 {
		if state.SystemClock().Sleep(ctx, what.lateAnswer) != nil {
			return nothing, context.Cause(ctx)
		}
	}
	if what.after != nil {
		return nothing, what.after
	}
	return got, err
}

func (f *faulty) Get(ctx context.Context, name string) (state.Blob, error) {
	return ask(ctx, f, "get "+name, func(ctx context.Context) (state.Blob, error) { return f.Store.Get(ctx, name) })
}

func (f *faulty) Create(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	return ask(ctx, f, "create "+name, func(ctx context.Context) (state.Stamp, error) { return f.Store.Create(ctx, name, data) })
}

func (f *faulty) Swap(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
	return ask(ctx, f, "swap "+name, func(ctx context.Context) (state.Stamp, error) { return f.Store.Swap(ctx, name, data, version) })
}

func (f *faulty) break_(plan func(n int, request string) fault) { //nolint:revive // break is a keyword.
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

func (f *faulty) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.sent...)
}

var errWeather = errors.New("503 Slow Down")

// world is one store and the runs that work on it.
type world struct {
	t     *testing.T
	store *mem.Store
	runs  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, store: mem.Open(mem.Options{Now: time.Now})}
}

// open gives a ledger for another run, over the store or a broken way to it.
func (w *world) open(store state.Store, clock state.Clock) *state.Ledger {
	w.t.Helper()
	w.runs++
	random := rand.NewChaCha8([32]byte{byte(w.runs), byte(w.runs >> 8)})
	run, err := state.NewRunID(time.Now(), random)
	if err != nil {
		w.t.Fatal(err)
	}
	if store == nil {
		store = w.store
	}
	if clock == nil {
		clock = newRunner(0)
	}
	l, err := state.Open(store, state.Options{
		Run: run, Holder: fmt.Sprintf("host-%d", w.runs), TTL: time.Minute, Clock: clock, Random: random,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *world) load() state.Head {
	w.t.Helper()
	head, err := w.open(nil, nil).Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return head
}

// raw gives the bytes of the head.
func (w *world) raw(name string) []byte {
	w.t.Helper()
	blob, err := w.store.Get(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return blob.Data
}

// objects gives everything that the store holds.
func (w *world) objects() map[string]string {
	w.t.Helper()
	entries, err := w.store.List(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	objects := map[string]string{}
	for _, entry := range entries {
		objects[entry.Name] = string(w.raw(entry.Name))
	}
	return objects
}

// overwrite is what no run does.
func (w *world) overwrite(name string, data []byte) {
	w.t.Helper()
	if err := w.store.Delete(w.t.Context(), name); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.store.Create(w.t.Context(), name, data); err != nil {
		w.t.Fatal(err)
	}
}

// unchanged appends the record of one run that had nothing to do.
func (w *world) unchanged() state.Head {
	w.t.Helper()
	l := w.open(nil, nil)
	head, _, err := l.Append(w.t.Context(), load(w.t, l), record(state.Unchanged), 0, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return head
}

// changed is one run that claims and settles.
func (w *world) changed(edit func(*state.Head)) state.Head {
	w.t.Helper()
	tenure := w.claim(w.open(nil, nil), edit)
	head, _, err := tenure.Settle(w.t.Context(), record(state.Changed), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return head
}

func (w *world) claim(l *state.Ledger, edit func(*state.Head)) *state.Tenure {
	w.t.Helper()
	tenure, err := l.Claim(w.t.Context(), load(w.t, l), edit)
	if err != nil {
		w.t.Fatal(err)
	}
	return tenure
}

// verify says what is wrong with the audit chain, or with its length.
func (w *world) verify(records uint64) {
	w.t.Helper()
	chain, err := w.open(nil, nil).Verify(w.t.Context())
	if err != nil || len(chain.Findings) > 0 || chain.Records != records {
		w.t.Errorf("Verify: got %d records, %v, %v; want %d without a finding", chain.Records, chain.Findings, err, records)
	}
}

func load(t *testing.T, l *state.Ledger) state.Head {
	t.Helper()
	head, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func record(verdict state.Verdict) state.Record {
	return state.Record{
		Trigger: "schedule", Actor: "tide", Tool: "tidemark test", Verdict: verdict,
		Started: time.Now(), Finished: time.Now(),
	}
}

// planned gives an edit that opens a plan of an app.
func planned(t *testing.T, l *state.Ledger, app string) func(*state.Head) {
	t.Helper()
	ref, err := l.Put(t.Context(), "plan-"+app, []byte(`{"format":1}`))
	if err != nil {
		t.Fatal(err)
	}
	return func(h *state.Head) {
		a := h.Apps[app]
		a.Plan, a.Inventory = &ref, &ref
		h.Apps[app] = a
	}
}
