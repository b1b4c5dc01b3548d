package simulation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// client is the cluster as one process sees it, through the network. Like
// reconcile/cluster it remembers what discovery told, and gives up a request after
// half a minute.
type client struct {
	*process
	known    *plan.Kinds
	recalled map[object.GroupKind]plan.Kind
}

var (
	_ reconcile.Cluster = (*client)(nil)
	_ reconcile.Witness = (*client)(nil)
)

// request is a write to an object of the cluster.
type request struct {
	verb   string
	id     object.ID
	object object.Object // of an apply
	at     apply.Target
	force  bool
}

const patience = 30 * time.Second

// ask sends a request to the server.
func ask[T any](ctx context.Context, c *client, e effect, act func(*server) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e.unreachable = fmt.Errorf("%w: connection refused", apply.ErrUnreachable)
	e.unanswered = fmt.Errorf("%w: connection reset", apply.ErrUnanswered)
	e.cut = func(context.Context) error {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", apply.ErrUnanswered, context.Cause(ctx))
		}
		return fmt.Errorf("%w: waited %s", apply.ErrUnanswered, patience)
	}
	return send(bounded, c.process, e, func() (T, error) { return act(c.server) })
}

func read(name string) effect { return effect{name: name} }

func (r request) effect() effect {
	return effect{name: r.verb + " " + r.id.String(), writes: true, object: &r}
}

// kind gives what discovery told of a kind.
func (c *client) kind(ctx context.Context, gk object.GroupKind) (plan.Kind, error) {
	kinds, err := c.Discover(ctx, false)
	if err != nil {
		return plan.Kind{}, err
	}
	if why, failing := kinds.Failing[gk.Group]; failing {
		return plan.Kind{}, fmt.Errorf("%w: %s", apply.ErrUndiscovered, why)
	}
	kind, served := kinds.Served[gk]
	if !served {
		return plan.Kind{}, fmt.Errorf("%w: %s", apply.ErrNoKind, gk)
	}
	return kind, nil
}

// asked is kind for questions, which need no discovery where the kind is recalled.
func (c *client) asked(ctx context.Context, gk object.GroupKind) (plan.Kind, error) {
	c.mu.Lock()
	recalled, ok := c.recalled[gk]
	ok = ok && c.known == nil
	c.mu.Unlock()
	if ok {
		return recalled, nil
	}
	return c.kind(ctx, gk)
}

// Apply is apply.Cluster's.
func (c *client) Apply(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.Meta, error) {
	if _, err := c.kind(ctx, o.ID.GroupKind()); err != nil {
		return plan.Meta{}, err
	}
	r := request{verb: "apply", id: o.ID, object: o, at: at, force: force}
	if at == (apply.Target{}) {
		at.ResourceVersion = "1" // as reconcile/cluster does it
	}
	return ask(ctx, c, r.effect(), func(s *server) (plan.Meta, error) { return s.apply(o, at, ours, force) })
}

// Delete is apply.Cluster's.
func (c *client) Delete(ctx context.Context, id object.ID, _ string, at apply.Target, _ string) error {
	if at.UID == "" {
		return errors.New("no UID is given")
	}
	if _, err := c.kind(ctx, id.GroupKind()); err != nil {
		return err
	}
	r := request{verb: "delete", id: id, at: at}
	_, err := ask(ctx, c, r.effect(), func(s *server) (none struct{}, _ error) {
		if s.objects[id] == nil {
			return none, apply.ErrNotFound
		}
		if _, err := s.expect(id, at); err != nil {
			return none, err
		}
		s.remove(id)
		return none, nil
	})
	return err
}

// Migrate is apply.Cluster's. Nothing here is applied by kubectl's client side.
func (c *client) Migrate(ctx context.Context, id object.ID, version string, _ apply.Target) (plan.Meta, error) {
	return c.Metadata(ctx, id, version)
}

// Touch is apply.Cluster's.
func (c *client) Touch(ctx context.Context, id object.ID, _ string, at apply.Target, epoch uint64) (plan.Meta, error) {
	r := request{verb: "touch", id: id, at: at}
	return ask(ctx, c, r.effect(), func(s *server) (plan.Meta, error) {
		if s.objects[id] == nil {
			return plan.Meta{}, apply.ErrNotFound
		}
		if _, err := s.expect(id, at); err != nil {
			return plan.Meta{}, err
		}
		s.edit(id, recoverer, map[string]string{"metadata.annotations." + object.AnnotationRecovered: strconv.FormatUint(epoch, 10)})
		return s.objects[id].meta(), nil
	})
}

// Metadata is apply.Cluster's.
func (c *client) Metadata(ctx context.Context, id object.ID, version string) (plan.Meta, error) {
	_, meta, err := c.look(ctx, "look at ", id)
	return meta, err
}

// Read is reconcile.Cluster's.
func (c *client) Read(ctx context.Context, id object.ID, _ string) (map[string]any, plan.Meta, error) {
	return c.look(ctx, "read ", id)
}

func (c *client) look(ctx context.Context, verb string, id object.ID) (map[string]any, plan.Meta, error) {
	kind, err := c.asked(ctx, id.GroupKind())
	if err != nil {
		return nil, plan.Meta{}, err
	}
	o, err := ask(ctx, c, read(verb+id.String()), func(s *server) (*stored, error) {
		if err := s.serves(id.GroupKind(), kind); err != nil {
			return nil, err
		}
		if s.objects[id] == nil {
			return nil, apply.ErrNotFound
		}
		return s.objects[id], nil
	})
	if err != nil {
		return nil, plan.Meta{}, err
	}
	return o.content(), o.meta(), nil
}

// Established is apply.Cluster's.
func (c *client) Established(ctx context.Context, names []string) error {
	_, err := ask(ctx, c, read("establish "+strings.Join(names, ",")), func(s *server) (none struct{}, _ error) {
		for _, name := range names {
			if s.objects[object.ID{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: name}] == nil {
				return none, fmt.Errorf("%s: %w", name, apply.ErrNotFound)
			}
		}
		return none, nil
	})
	if err == nil {
		_, err = c.Discover(ctx, true)
	}
	return err
}

// Identity is reconcile.Cluster's.
func (c *client) Identity(ctx context.Context) (string, error) {
	return ask(ctx, c, read("identify"), func(s *server) (string, error) {
		return s.objects[object.ID{Kind: "Namespace", Name: "kube-system"}].uid, nil
	})
}

// Recall is reconcile.Cluster's.
func (c *client) Recall(kinds map[object.GroupKind]plan.Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.recalled = maps.Clone(kinds)
	}
}

// Discover is reconcile.Cluster's.
func (c *client) Discover(ctx context.Context, fresh bool) (plan.Kinds, error) {
	c.mu.Lock()
	known := c.known
	c.mu.Unlock()
	if known != nil && !fresh {
		return *known, nil
	}
	kinds, err := ask(ctx, c, read("discover"), func(s *server) (plan.Kinds, error) { return s.kinds(), nil })
	if err != nil {
		return plan.Kinds{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = &kinds
	return kinds, nil
}

// List is reconcile.Cluster's.
func (c *client) List(ctx context.Context, kind object.GroupKind, namespace, label, value string) (map[object.ID]plan.Listed, error) {
	known, err := c.asked(ctx, kind)
	if err != nil {
		return nil, err
	}
	return ask(ctx, c, read(strings.TrimSpace("list "+kind.String()+" "+namespace)), func(s *server) (map[object.ID]plan.Listed, error) {
		if err := s.serves(kind, known); err != nil {
			return nil, err
		}
		found := map[object.ID]plan.Listed{}
		for id, o := range s.objects {
			if id.GroupKind() != kind || namespace != "" && id.Namespace != namespace {
				continue
			}
			if meta := o.meta(); label == "" || meta.Labels[label] == value {
				found[id] = meta.Listed()
			}
		}
		return found, nil
	})
}

// DryRun is reconcile.Cluster's.
func (c *client) DryRun(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.DryRun, error) {
	if _, err := c.kind(ctx, o.ID.GroupKind()); err != nil {
		return plan.DryRun{NotValidated: err.Error()}, nil
	}
	return ask(ctx, c, read("dry-run "+o.ID.String()), func(s *server) (plan.DryRun, error) {
		next, err := s.applied(o, at, ours, force)
		var fields *apply.FieldConflictError
		var space errNoNamespace
		switch {
		case errors.As(err, &fields):
			return plan.DryRun{Conflicts: fields.Fields}, nil
		case errors.As(err, &space):
			return plan.DryRun{NotValidated: fmt.Sprintf("there is no namespace %q yet", space.namespace)}, nil
		case errors.Is(err, errImmutable):
			return plan.DryRun{Rejected: err.Error(), Immutable: []string{"data.fixed"}}, nil
		case errors.Is(err, apply.ErrRejected), errors.Is(err, apply.ErrNoKind):
			return plan.DryRun{Rejected: err.Error()}, nil
		case err != nil:
			return plan.DryRun{}, err
		case s.refuses != nil && s.refuses(o) != "":
			return plan.DryRun{NotValidated: "admission webhook does not support dry run"}, nil
		}
		if at == (apply.Target{}) {
			return plan.DryRun{}, nil
		}
		return plan.DryRun{Content: next.content()}, nil
	})
}

// Requests is reconcile.Cluster's.
func (c *client) Requests() map[string]int64 { return nil }

// ReadWitness is reconcile.Witness's.
func (c *client) ReadWitness(ctx context.Context) (apply.Witness, error) {
	return ask(ctx, c, read("read witness"), func(s *server) (apply.Witness, error) {
		if s.witness == nil {
			return apply.Witness{}, apply.ErrNotFound
		}
		return *s.witness, nil
	})
}

// WriteWitness is reconcile.Witness's.
func (c *client) WriteWitness(ctx context.Context, w apply.Witness) error {
	e := effect{name: "write witness", writes: true}
	_, err := ask(ctx, c, e, func(s *server) (none struct{}, _ error) {
		version := ""
		if s.witness != nil {
			version = s.witness.Version
		}
		if w.Version != version {
			return none, apply.ErrConflict
		}
		s.writes++
		w.Version = strconv.Itoa(s.writes)
		s.witness = &w
		return none, nil
	})
	return err
}
