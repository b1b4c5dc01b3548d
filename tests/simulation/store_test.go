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

func (r remote) effect(verb, name string, writes bool) effect {
	return effect{
		name: verb + " " + r.p.short(name), writes: writes,
		unreachable: errWeather, unanswered: errWeather, cut: context.Cause,
	}
}

// short writes the name of a process in place of its run's id.
func (w *world) short(name string) string {
	if rest, ok := strings.CutPrefix(name, "runs/"); ok {
		run, blob, _ := strings.Cut(rest, "/")
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.names[run] + "/" + blob
	}
	return name
}

func (r remote) Get(ctx context.Context, name string) (state.Blob, error) {
	return send(ctx, r.p, r.effect("get", name, false), func() (state.Blob, error) {
		return r.p.store.Get(context.Background(), name)
	})
}

func (r remote) Create(ctx context.Context, name string, data []byte) (state.Stamp, error) {
	return send(ctx, r.p, r.effect("create", name, true), func() (state.Stamp, error) {
		stamp, err := r.p.store.Create(context.Background(), name, data)
		r.p.wrote(r.p, name, data, err)
		return stamp, err
	})
}

func (r remote) Swap(ctx context.Context, name string, data []byte, version string) (state.Stamp, error) {
	return send(ctx, r.p, r.effect("swap", name, true), func() (state.Stamp, error) {
		stamp, err := r.p.store.Swap(context.Background(), name, data, version)
		r.p.wrote(r.p, name, data, err)
		return stamp, err
	})
}

func (r remote) List(ctx context.Context, prefix string) ([]state.Entry, error) {
	return send(ctx, r.p, r.effect("list", prefix, false), func() ([]state.Entry, error) {
		return r.p.store.List(context.Background(), prefix)
	})
}

func (r remote) Delete(ctx context.Context, name string) error {
	_, err := send(ctx, r.p, r.effect("delete", name, true), func() (struct{}, error) {
		return struct{}{}, r.p.store.Delete(context.Background(), name)
	})
	return err
}
