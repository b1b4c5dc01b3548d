package simulation

import (
	"context"
	"errors"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

var _ reconcile.Watcher = (*client)(nil)

// glance is how often a simulated watch shows what there is: never at the moment of
// anything else, so that seeds tell the same story each time.
const glance = 4137 * time.Millisecond

// Watch is reconcile.Watcher's. Each glance is a message of its own, which may be
// lost, so that runs die, pause and lose their lease while they wait.
func (c *client) Watch(ctx context.Context, of health.Scope, tell func(health.Sight)) error {
	c.mu.Lock()
	c.waits = true
	c.mu.Unlock()
	for {
		seen, err := ask(ctx, c, read("watch "+of.Kind.String()), func(s *server) (health.Sight, error) {
			sight := health.Sight{Anew: true}
			for id, o := range s.objects {
				if id.GroupKind() == of.Kind && (of.Label == "" || o.meta().Labels[of.Label] == of.Value) && (of.Name == "" || id.Name == of.Name) {
					sight.Objects = append(sight.Objects, o.content())
				}
			}
			return sight, nil
		})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			tell(seen)
		case !errors.Is(err, apply.ErrUnanswered) && !errors.Is(err, apply.ErrUnreachable):
			return err
		}
		timer := time.NewTimer(glance)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// waits is the wait of an app whose ConfigMap "one" is healthy once a controller has
// noted its key.
func waits() reconcile.Wait {
	checks, err := health.Compile([]health.Expression{{
		APIVersion: "v1", Kind: "ConfigMap",
		Current: `metadata.name != "one" || has(metadata.annotations) && has(metadata.annotations.ready) && metadata.annotations.ready == data.key`,
	}})
	if err != nil {
		panic(err)
	}
	return reconcile.Wait{All: true, Timeout: time.Hour, Checks: checks}
}

// readies is that controller.
func readies(w *world, id object.ID) {
	key := func() any {
		if o := w.server.objects[id]; o != nil && !o.terminating && id.Name == "one" && o.leaves["metadata.annotations.ready"] != o.leaves["data.key"] {
			return o.leaves["data.key"]
		}
		return nil
	}
	if key() == nil {
		return
	}
	w.soon(10*time.Second, "readies", id, func() {
		if now, ok := key().(string); ok {
			w.server.edit(id, "controller", map[string]string{"metadata.annotations.ready": now})
		}
	})
}

// healthFirst: what left an app that waits is pruned only when the app is healthy. A
// delete that comes late may find it changed.
func (c *chronicle) healthFirst(m *message) {
	if !c.wait.On() || m.object == nil || m.object.verb != "delete" || m.from == c.somebody {
		return
	}
	id := configMap("one", "").ID
	if c.repo.hooks()[id] {
		return // a hook says nothing of the app's health
	}
	one := c.server.objects[id]
	if one == nil || one.leaves["metadata.annotations.ready"] != one.leaves["data.key"] {
		c.violate("health first: %s, while the app is not healthy", m)
	}
}

// healthy fails when the ledger does not say that an app which waits is healthy.
func (w *world) healthy() {
	if !w.wait.On() {
		return
	}
	for name, app := range w.head().Apps {
		if app.Health != state.Healthy {
			w.violate("after clean runs the app %s is %q in the ledger, want %q", name, app.Health, state.Healthy)
		}
	}
}

// Everything is reconcile.Watcher's.
func (c *client) Everything(ctx context.Context, of health.Scope) ([]map[string]any, error) {
	return ask(ctx, c, read("read all "+of.Kind.String()), func(*server) ([]map[string]any, error) { return nil, nil })
}

// Log is reconcile.Watcher's. Nothing runs here.
func (c *client) Log(context.Context, string, string, string, bool, int) (string, error) {
	return "", apply.ErrRejected
}
