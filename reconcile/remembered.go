package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// errOffline is the answer to whatever only a cluster can do.
var errOffline = errors.New("there is no cluster in a plan that is made offline")

// Remembered gives the cluster as the ledger remembers it: the objects of its apps
// as they were last applied, Secrets without values. Nothing is sent to any
// cluster. It serves the kinds that Kubernetes has and those that the apps own, and
// calls itself the given version; empty is none. What was never applied is absent
// there, so that it is only fit for runs that are PlanOnly and Offline.
func Remembered(ctx context.Context, ledger *state.Ledger, version string) (Cluster, error) {
	head, err := ledger.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load state: %w", within(ctx, err))
	}
	m := &memory{
		ledger: ledger, head: head, label: LedgerLabel(head.Lineage),
		kinds: plan.Kinds{Version: version, Served: map[object.GroupKind]plan.Kind{}}, members: map[object.ID]plan.Meta{}, of: map[object.ID]string{},
		sets: map[string]func() (state.StoredSet, error){},
	}
	for gk, namespaced := range object.BuiltinScopes() {
		m.kinds.Served[gk] = plan.Kind{Namespaced: namespaced}
	}
	if err := m.recall(ctx); err != nil {
		return nil, fmt.Errorf("load state: %w", within(ctx, err))
	}
	return m, nil
}

// memory is the cluster as a ledger remembers it.
type memory struct {
	ledger  *state.Ledger
	head    state.Head
	label   string
	kinds   plan.Kinds
	members map[object.ID]plan.Meta
	// of is the app of each member, and sets gives what was last applied of an app.
	of   map[object.ID]string
	sets map[string]func() (state.StoredSet, error)
}

// recall learns which objects there are.
func (m *memory) recall(ctx context.Context) error {
	var seen state.Observation
	if m.head.Observed != nil {
		data, err := m.ledger.Read(ctx, *m.head.Observed)
		if err == nil {
			seen, err = state.DecodeObservation(data)
		}
		if err != nil && !errors.Is(err, state.ErrDamaged) {
			return err
		}
	}
	for _, kind := range seen.Kinds {
		if kind.Resource != "" {
			m.kinds.Served[kind.GroupKind] = plan.Kind{Versions: []string{kind.Version}, Resource: kind.Resource, Namespaced: kind.Namespaced}
		}
	}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(storing)
	for name, app := range m.head.Apps {
		m.sets[name] = sync.OnceValues(func() (state.StoredSet, error) { return m.set(ctx, app.Set) })
		group.Go(func() error {
			owned, err := inventoryOf(ctx, m.ledger, name, app.Inventory)
			mu.Lock()
			defer mu.Unlock()
			last, _ := seen.App(name)
			for _, member := range owned.Members {
				meta := plan.Meta{UID: member.UID}
				if was, known := last.Lookup(member.ID); known && was.Known {
					meta = plan.Meta{UID: was.UID, ResourceVersion: was.ResourceVersion, Generation: was.Generation, Owned: was.Digest}
				}
				if meta.UID == "" {
					continue // it was never seen, or seen to be gone
				}
				meta.Labels = map[string]string{object.LabelLedger: m.label, object.LabelApp: name}
				meta.Annotations = map[string]string{object.AnnotationID: member.ID.Mark()}
				m.members[member.ID], m.of[member.ID] = meta, name
				if _, served := m.kinds.Served[member.ID.GroupKind()]; !served {
					m.kinds.Served[member.ID.GroupKind()] = plan.Kind{Namespaced: member.ID.Namespace != ""}
				}
			}
			return err
		})
	}
	return group.Wait()
}

func (m *memory) set(ctx context.Context, ref *state.Ref) (state.StoredSet, error) {
	if ref == nil {
		return state.StoredSet{}, errors.New("the ledger holds no set of this app yet")
	}
	data, err := m.ledger.Read(ctx, *ref)
	if err != nil {
		return state.StoredSet{}, err
	}
	return state.DecodeSet(data)
}

// Identity gives the cluster that the ledger belongs to.
func (m *memory) Identity(context.Context) (string, error) { return m.head.Cluster, nil }

// Recall learns nothing.
func (m *memory) Recall(map[object.GroupKind]plan.Kind) {}

// Discover gives the kinds of Kubernetes, and those that the apps own.
func (m *memory) Discover(context.Context, bool) (plan.Kinds, error) { return m.kinds, nil }

// List gives the objects that are remembered of a kind.
func (m *memory) List(_ context.Context, kind object.GroupKind, namespace, _, _ string) (map[object.ID]plan.Listed, error) {
	found := map[object.ID]plan.Listed{}
	for id, meta := range m.members {
		if id.GroupKind() == kind && (namespace == "" || id.Namespace == namespace) {
			found[id] = meta.Listed()
		}
	}
	return found, nil
}

// Read gives an object as it was last applied.
func (m *memory) Read(ctx context.Context, id object.ID, version string) (map[string]any, plan.Meta, error) {
	meta, err := m.Metadata(ctx, id, version)
	if err != nil {
		return nil, plan.Meta{}, err
	}
	set, err := m.sets[m.of[id]]()
	if err != nil {
		return nil, plan.Meta{}, fmt.Errorf("%w: what was applied of %s: %w", apply.ErrRejected, id, err)
	}
	stored, found := set.Lookup(id)
	if !found {
		return nil, plan.Meta{}, fmt.Errorf("%w: the ledger does not hold %s as it was applied", apply.ErrRejected, id)
	}
	o, err := stored.Object()
	if err != nil {
		return nil, plan.Meta{}, err
	}
	return mark(o, m.label, m.of[id]).Content(), meta, nil
}

// Metadata gives what was last seen of an object.
func (m *memory) Metadata(_ context.Context, id object.ID, _ string) (plan.Meta, error) {
	meta, known := m.members[id]
	if !known {
		return plan.Meta{}, apply.ErrNotFound
	}
	return meta, nil
}

// DryRun gives the desired object itself, a Secret without values: no server adds
// its defaults, or has anything against it.
func (m *memory) DryRun(_ context.Context, o object.Object, at apply.Target, _ bool) (plan.DryRun, error) {
	if at == (apply.Target{}) {
		return plan.DryRun{}, nil
	}
	return plan.DryRun{Content: maps.Clone(o.Masked().Content())}, nil
}

// Requests are none.
func (m *memory) Requests() map[string]int64 { return map[string]int64{} }

// Apply cannot be.
func (m *memory) Apply(context.Context, object.Object, apply.Target, bool) (plan.Meta, error) {
	return plan.Meta{}, errOffline
}

// Delete cannot be.
func (m *memory) Delete(context.Context, object.ID, string, apply.Target, string) error {
	return errOffline
}

// Migrate cannot be.
func (m *memory) Migrate(context.Context, object.ID, string, apply.Target) (plan.Meta, error) {
	return plan.Meta{}, errOffline
}

// Touch cannot be.
func (m *memory) Touch(context.Context, object.ID, string, apply.Target, uint64) (plan.Meta, error) {
	return plan.Meta{}, errOffline
}

// Established cannot be.
func (m *memory) Established(context.Context, []string) error { return errOffline }
