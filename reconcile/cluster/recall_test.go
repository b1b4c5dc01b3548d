package cluster_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

func TestRecall(t *testing.T) {
	before, ns := open(t, nil), namespace(t)
	want := seven(t, before, ns)
	kinds, err := before.Discover(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}

	c := open(t, nil)
	c.Recall(map[object.GroupKind]plan.Kind{configMaps: kinds.Served[configMaps]})
	got, err := whole(t, c, configMaps, "", "run", ns)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	one := object.ID{Kind: "ConfigMap", Namespace: ns, Name: "one-1"}
	if meta, err := c.Metadata(t.Context(), one, "v1"); err != nil || !reflect.DeepEqual(meta, want[one]) {
		t.Errorf("got %v, %v, want %v", meta, err, want[one])
	}
	if _, meta, err := c.Read(t.Context(), one, "v0"); err != nil || !reflect.DeepEqual(meta, want[one]) {
		t.Errorf("got %v, %v, want %v", meta, err, want[one])
	}
	two := object.ID{Kind: "ConfigMap", Namespace: ns, Name: "two"}
	if _, err := c.Metadata(t.Context(), two, "v1"); !errors.Is(err, apply.ErrNotFound) {
		t.Errorf("got %v of an object that is not there, want ErrNotFound", err)
	}
	if asked := c.Requests()["discover"]; asked != 0 {
		t.Errorf("got %d requests for discovery, want none", asked)
	}

	if _, err := c.List(t.Context(), object.GroupKind{Kind: "Secret"}, ns, "", ""); err != nil || c.Requests()["discover"] != 3 {
		t.Errorf("got %v, %v of a kind that was not recalled, want it discovered", err, c.Requests())
	}
	c.Recall(map[object.GroupKind]plan.Kind{configMaps: {Versions: []string{"v7"}, Resource: "maps", Namespaced: true}})
	if got, err := c.List(t.Context(), configMaps, ns, "run", ns); err != nil || len(got) != 7 {
		t.Errorf("got %v, %v, want what was discovered to count", got, err)
	}
}

// What an earlier run learned may be wrong by now, and proves nothing then.
func TestRecallWhatIsNoMore(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	must(t, c, definition(t, "recall.example.com", "widgets", "Widget", "v1"), apply.Target{})
	if err := c.Established(t.Context(), []string{"widgets.recall.example.com"}); err != nil {
		t.Fatal(err)
	}
	widget := manifest(t, "{apiVersion: recall.example.com/v1, kind: Widget, metadata: {name: one, namespace: "+ns+"}}")
	must(t, c, widget, apply.Target{})
	kinds, err := c.Discover(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	served := kinds.Served[widget.ID.GroupKind()]
	changed := func(edit func(*plan.Kind)) plan.Kind {
		kind := served
		edit(&kind)
		return kind
	}
	for name, kind := range map[string]plan.Kind{
		"another version":        changed(func(k *plan.Kind) { k.Versions = []string{"v2"} }),
		"another plural":         changed(func(k *plan.Kind) { k.Resource = "gadgets" }),
		"no plural":              changed(func(k *plan.Kind) { k.Resource = "" }),
		"a plural that leads up": changed(func(k *plan.Kind) { k.Resource = ".." }),
		"nothing":                {},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, nil)
			c.Recall(map[object.GroupKind]plan.Kind{widget.ID.GroupKind(): kind})
			for what, ask := range map[string]func() error{
				"list": func() error {
					_, err := c.List(t.Context(), widget.ID.GroupKind(), "", "", "")
					return err
				},
				"metadata": func() error {
					_, err := c.Metadata(t.Context(), widget.ID, "v1")
					return err
				},
			} {
				if err := ask(); err != nil && (!errors.Is(err, apply.ErrNoKind) || errors.Is(err, apply.ErrNotFound)) {
					t.Errorf("%s: got %v, want ErrNoKind or that it was discovered", what, err)
				}
			}
			if _, err := c.Discover(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if got, err := c.List(t.Context(), widget.ID.GroupKind(), "", "", ""); err != nil || len(got) != 1 {
				t.Errorf("got %v, %v after discovery, want one", got, err)
			}
		})
	}

	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		return plane.Delete(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.recall.example.com")
	})
	late := open(t, nil)
	late.Recall(map[object.GroupKind]plan.Kind{widget.ID.GroupKind(): served})
	eventually(t, "the kind is served no more", func() bool {
		_, err := late.List(t.Context(), widget.ID.GroupKind(), "", "", "")
		return errors.Is(err, apply.ErrNoKind)
	})
	if _, err := late.Metadata(t.Context(), widget.ID, "v1"); !errors.Is(err, apply.ErrNoKind) || errors.Is(err, apply.ErrNotFound) {
		t.Errorf("got %v of an object of that kind, want ErrNoKind", err)
	}
	if asked := late.Requests()["discover"]; asked != 0 {
		t.Errorf("got %d requests for discovery, want none", asked)
	}
}
