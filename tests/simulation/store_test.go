package simulation

import (
	"context"
	"errors"
	"strings"

	"tidemark.dev/tidemark/state"
)

const headName = "head.json"

// remote is the store as one process sees it, through the network.
type remote struct{ p *process }

var (
	_ state.Store   = remote{}
	_ state.Sweeper = remote{}
)

var errWeather = errors.New("503 Slow Down")

// effect of a probe of the store is nobody else's business: its order does not
// matter.
func (r remote) effect(verb, name string, data []byte, writes bool) effect {
	return effect{
		name: verb + " " + r.p.short(name), data: data, writes: writes && !strings.HasPrefix(name, "probe/"),
		unreachable: errWeather, unanswered: errWeather, cut: context.Cause,
	}
}

// short writes the name of a process in place of its run's id.
func (w *world) short(name string) string {
	part := strings.Split(name, "/")
	if len(part) < 3 {
		return name
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if part[0] == "probe" {
		return "probe of " + w.names[part[1]]
	}
	return w.names[part[1]] + "/" + part[2]
}

func (r remote) Get(ctx context.Context, name string) (state.Blob, error) {
	return send(ctx, r.p, r.effect("get", name, nil, false), func() (state.Blob, error) {
		return r.p.store.Get(context.Background(), name)
	})
}

func (r remote) Create(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	return send(ctx, r.p, r.effect("create", name, data, true), func() (state.Stamp, error) {
		stamp, err := r.p.store.Create(context.Background(), name, data)
		r.p.wrote(r.p, name, data, err)
		return stamp, err
	})
}

func (r remote) Swap(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
	return send(ctx, r.p, r.effect("swap", name, data, true), func() (state.Stamp, error) {
		stamp, err := r.p.store.Swap(context.Background(), name, data, version)
		r.p.wrote(r.p, name, data, err)
		return stamp, err
	})
}

func (r remote) List(ctx context.Context, prefix string) ([]state.Entry, error) {
	return send(ctx, r.p, r.effect("list", prefix, nil, false), func() ([]state.Entry, error) {
		return r.p.store.List(context.Background(), prefix)
	})
}

func (r remote) Delete(ctx context.Context, name string) error {
	_, err := send(ctx, r.p, r.effect("delete", name, nil, true), func() (struct{}, error) {
		return struct{}{}, r.p.store.Delete(context.Background(), name)
	})
	return err
}
