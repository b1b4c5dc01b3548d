package cluster_test

import (
	"errors"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
)

func TestWitness(t *testing.T) {
	ns := namespace(t)
	c := open(t, nil)
	w := c.Witness(ns, "tidemark-0123", "s3://bucket/prod")
	if got, err := w.ReadWitness(t.Context()); !errors.Is(err, apply.ErrNotFound) {
		t.Fatalf("got %+v, %v before anything was written; want %v", got, err, apply.ErrNotFound)
	}
	want := apply.Witness{Lineage: "abc", Epoch: 3, Holder: "pod/tidemark-1"}
	if err := w.WriteWitness(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteWitness(t.Context(), want); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("made twice: got %v, want %v", err, apply.ErrConflict)
	}
	first, err := w.ReadWitness(t.Context())
	if err != nil || first.Lineage != "abc" || first.Epoch != 3 || first.Holder != "pod/tidemark-1" || first.Version == "" {
		t.Fatalf("got %+v, %v; want what was written", first, err)
	}
	next := first
	next.Epoch = 4
	if err := w.WriteWitness(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteWitness(t.Context(), next); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("written over another version: got %v, want %v", err, apply.ErrConflict)
	}
	if got, err := w.ReadWitness(t.Context()); err != nil || got.Epoch != 4 {
		t.Errorf("got %+v, %v; want epoch 4", got, err)
	}
	if got := c.Requests(); got["create"] != 2 || got["update"] != 2 {
		t.Errorf("requests = %v, want 2 creates and 2 updates", got)
	}
}

func TestWitnessWithoutPermission(t *testing.T) {
	ns := namespace(t)
	plane := controlPlane(t)
	c := open(t, func(o *cluster.Options) { o.Token = plane.User("limited").Token })
	w := c.Witness(ns, "tidemark-0123", "s3://bucket/prod")
	if _, err := w.ReadWitness(t.Context()); !errors.Is(err, apply.ErrForbidden) {
		t.Errorf("read: got %v, want %v", err, apply.ErrForbidden)
	}
	if err := w.WriteWitness(t.Context(), apply.Witness{Lineage: "abc", Epoch: 1}); !errors.Is(err, apply.ErrForbidden) {
		t.Errorf("write: got %v, want %v", err, apply.ErrForbidden)
	}
}

func TestWitnessInNoNamespace(t *testing.T) {
	w := open(t, nil).Witness("there-is-no-such-namespace", "tidemark-0123", "s3://bucket/prod")
	if _, err := w.ReadWitness(t.Context()); !errors.Is(err, apply.ErrNotFound) {
		t.Errorf("read: got %v, want %v", err, apply.ErrNotFound)
	}
	if err := w.WriteWitness(t.Context(), apply.Witness{Lineage: "abc", Epoch: 1}); !errors.Is(err, apply.ErrRejected) {
		t.Errorf("write: got %v, want %v", err, apply.ErrRejected)
	}
}
