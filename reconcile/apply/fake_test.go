package apply_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

const ledger = "0123"

// fake is a cluster in memory that keeps the rules of an API server that
// matter here: preconditions, resourceVersions, 404. The real one is met in
// package reconcile.
type fake struct {
	mu      sync.Mutex
	objects map[object.ID]plan.Meta
	version int
	calls   []string
	at      int // requests under way
	most    int

	// fault, when set, is asked before each request: "VERB NAME", and how often
	// this very request came before. After an error nothing happens, unless the
	// error is errLate: then it happens and no answer comes.
	fault func(call string, before int) error
	// meanwhile, when set, runs with each request, unlocked.
	meanwhile func(call string)
}

var errLate = fmt.Errorf("%w: cut", apply.ErrUnanswered)

func newFake() *fake { return &fake{objects: map[object.ID]plan.Meta{}} }

// put lays an object down that was there before.
func (f *fake) put(id object.ID, edit ...func(*plan.Meta)) plan.Meta {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := plan.Meta{
		UID: "uid-" + id.Name, ResourceVersion: f.next(), Owned: "owned-1",
		Labels:      map[string]string{object.LabelLedger: ledger},
		Annotations: map[string]string{object.AnnotationID: id.Mark()},
	}
	for _, e := range edit {
		e(&m)
	}
	f.objects[id] = m
	return m
}

// touch edits an object as somebody else would.
func (f *fake) touch(id object.ID, edit func(*plan.Meta)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.objects[id]
	m.Labels, m.Annotations = maps.Clone(m.Labels), maps.Clone(m.Annotations)
	edit(&m)
	m.ResourceVersion = f.next()
	f.objects[id] = m
}

func (f *fake) next() string { f.version++; return strconv.Itoa(f.version) }

// begin notes a request and gives what goes wrong with it.
func (f *fake) begin(verb string, id object.ID) (late bool, err error) {
	call := verb + " " + id.Name
	f.mu.Lock()
	before := 0
	for _, c := range f.calls {
		if c == call {
			before++
		}
	}
	f.calls = append(f.calls, call)
	f.at++
	f.most = max(f.most, f.at)
	f.mu.Unlock()
	if f.meanwhile != nil {
		f.meanwhile(call)
	}
	f.mu.Lock()
	f.at--
	f.mu.Unlock()
	if f.fault != nil {
		err = f.fault(call, before)
	}
	if errors.Is(err, errLate) {
		return true, nil
	}
	return false, err
}

func (f *fake) Apply(_ context.Context, o object.Object, at apply.Target, _ bool) (plan.Meta, error) {
	late, err := f.begin("apply", o.ID)
	if err != nil {
		return plan.Meta{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m, found := f.objects[o.ID]
	switch {
	case found && at == (apply.Target{}), at != (apply.Target{}) && (!found || m.UID != at.UID || m.ResourceVersion != at.ResourceVersion):
		return plan.Meta{}, apply.ErrConflict
	case !found:
		m = plan.Meta{UID: "uid-" + o.ID.Name}
	}
	m.Labels = map[string]string{object.LabelLedger: o.Label(object.LabelLedger)}
	m.Annotations = map[string]string{object.AnnotationID: o.Annotation(object.AnnotationID)}
	m.ResourceVersion, m.Owned, m.ClientSideApplied = f.next(), "owned-2", false
	f.objects[o.ID] = m
	if late {
		return plan.Meta{}, errLate
	}
	return m, nil
}

func (f *fake) Delete(_ context.Context, id object.ID, _ string, at apply.Target, _ string) error {
	late, err := f.begin("delete", id)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m, found := f.objects[id]
	switch {
	case !found:
		return apply.ErrNotFound
	case m.UID != at.UID || m.ResourceVersion != at.ResourceVersion:
		return apply.ErrConflict
	case len(m.Finalizers) > 0:
		m.Terminating, m.ResourceVersion = true, f.next()
		f.objects[id] = m
	default:
		delete(f.objects, id)
	}
	if late {
		return errLate
	}
	return nil
}

func (f *fake) Migrate(_ context.Context, id object.ID, _ string, at apply.Target) (plan.Meta, error) {
	if _, err := f.begin("migrate", id); err != nil {
		return plan.Meta{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.objects[id]
	if m.UID != at.UID || m.ResourceVersion != at.ResourceVersion {
		return plan.Meta{}, apply.ErrConflict
	}
	m.ClientSideApplied, m.ResourceVersion, m.Owned = false, f.next(), "migrated"
	f.objects[id] = m
	return m, nil
}

func (f *fake) Touch(_ context.Context, id object.ID, _ string, at apply.Target, epoch uint64) (plan.Meta, error) {
	if _, err := f.begin("touch", id); err != nil {
		return plan.Meta{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m, found := f.objects[id]
	switch {
	case !found:
		return plan.Meta{}, apply.ErrNotFound
	case m.UID != at.UID || m.ResourceVersion != at.ResourceVersion:
		return plan.Meta{}, apply.ErrConflict
	}
	m.Annotations = maps.Clone(m.Annotations)
	m.Annotations[object.AnnotationRecovered] = strconv.FormatUint(epoch, 10)
	m.ResourceVersion = f.next()
	f.objects[id] = m
	return m, nil
}

func (f *fake) Metadata(_ context.Context, id object.ID, _ string) (plan.Meta, error) {
	if _, err := f.begin("read", id); err != nil {
		return plan.Meta{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m, found := f.objects[id]
	if !found {
		return plan.Meta{}, apply.ErrNotFound
	}
	return m, nil
}

func (f *fake) Established(ctx context.Context, names []string) error {
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("the wait is not bounded")
	}
	_, err := f.begin("establish", object.ID{Name: strings.Join(names, ",")})
	return err
}

// called lists the requests in the order they were sent.
func (f *fake) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// work is a plan in the making, and how it is to be carried out.
type work struct {
	t       *testing.T
	cluster *fake
	objects []object.Object
	apply.Work
	options apply.Options
	told    []apply.Outcome
	slept   []time.Duration
}

func newWork(t *testing.T) *work {
	w := &work{t: t, cluster: newFake(), Work: apply.Work{Plan: plan.Plan{App: "web"}, Live: plan.Live{}, Ledger: ledger}}
	var mu sync.Mutex
	w.options = apply.Options{
		Sending: func(ctx context.Context) (context.Context, context.CancelFunc, error) { return ctx, func() {}, nil },
		Sleep: func(ctx context.Context, d time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			w.slept = append(w.slept, d)
			return context.Cause(ctx)
		},
		Applied: &apply.Applied{},
		Progress: func(o apply.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			w.told = append(w.told, o)
		},
	}
	return w
}

func id(mark string) object.ID {
	part := strings.Split(mark, "/")
	return object.ID{Group: part[0], Kind: part[1], Namespace: part[2], Name: part[3]}
}

func config(name string) object.ID { return id("/ConfigMap/shop/" + name) }

// definition of the kind of that name in the group sea.
func definition(name string) object.ID {
	return id("apiextensions.k8s.io/CustomResourceDefinition//" + name)
}

// want adds an object to the set.
func (w *work) want(id object.ID) {
	content := map[string]any{"apiVersion": "v1", "kind": id.Kind, "metadata": map[string]any{"name": id.Name, "namespace": id.Namespace}}
	if id.Group != "" {
		content["apiVersion"] = id.Group + "/v1"
	}
	if id.Kind == "CustomResourceDefinition" {
		content["spec"] = map[string]any{"group": "sea", "scope": "Namespaced", "names": map[string]any{"kind": id.Name}}
	}
	o, err := object.New(content, object.Origin{File: id.Name + ".yaml"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.objects = append(w.objects, o.WithMetadata(map[string]string{object.LabelLedger: ledger}, map[string]string{object.AnnotationID: id.Mark()}))
}

// create adds an object that is to be made.
func (w *work) create(ids ...object.ID) *work {
	for _, id := range ids {
		w.want(id)
		w.change(plan.Change{ID: id, Version: "v1", Action: plan.Create, Reason: plan.ReasonNew})
	}
	return w
}

// on adds a change to an object that is there.
func (w *work) on(action plan.Action, id object.ID, edit ...func(*plan.Meta)) *work {
	meta := w.cluster.put(id, edit...)
	w.Live[id] = plan.Observed{State: plan.Present, Meta: meta}
	if action != plan.Prune {
		w.want(id)
	}
	return w.change(plan.Change{ID: id, Version: "v1", Action: action, UID: meta.UID, ResourceVersion: meta.ResourceVersion})
}

func (w *work) update(ids ...object.ID) *work {
	for _, id := range ids {
		w.on(plan.Update, id)
	}
	return w
}

func (w *work) prune(ids ...object.ID) *work {
	for _, id := range ids {
		w.on(plan.Prune, id)
	}
	return w
}

func (w *work) change(c plan.Change) *work {
	w.Plan.Changes = append(w.Plan.Changes, c)
	return w
}

// do carries the work out, and compares the outcomes with "NAME VERDICT" each.
func (w *work) do(want ...string) apply.Result {
	w.t.Helper()
	return w.doWithin(w.t.Context(), want...)
}

func (w *work) doWithin(ctx context.Context, want ...string) apply.Result {
	w.t.Helper()
	set, err := object.NewSet(w.objects, false)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Want = set
	result := apply.Do(ctx, w.cluster, w.Work, w.options)
	var got, messages []string
	for i, o := range result.Outcomes {
		got = append(got, o.Change.ID.Name+" "+string(o.Verdict))
		messages = append(messages, o.Message)
		if o.Verdict == "" || o.Change.ID != w.Plan.Changes[i].ID {
			w.t.Errorf("outcome %d = %+v, want that of %+v", i, o, w.Plan.Changes[i])
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("got %q, want %q\nmessages %q\nrequests %q", got, want, messages, w.cluster.called())
	}
	if len(w.told) != len(w.Plan.Changes) {
		w.t.Errorf("told of %d outcomes, want %d, one for each change", len(w.told), len(w.Plan.Changes))
	}
	return result
}

// sent compares the requests, in their order.
func (w *work) sent(want ...string) {
	w.t.Helper()
	if got := w.cluster.called(); !slices.Equal(got, want) {
		w.t.Errorf("requests = %q, want %q", got, want)
	}
}

// failing gives a fault that one request meets, n times.
func failing(call string, n int, err error) func(string, int) error {
	return func(c string, before int) error {
		if c == call && before < n {
			return err
		}
		return nil
	}
}

// gate gives an Options.Sending that asks before each request.
func gate(ask func() error) func(context.Context) (context.Context, context.CancelFunc, error) {
	return func(ctx context.Context) (context.Context, context.CancelFunc, error) {
		return ctx, func() {}, ask()
	}
}
