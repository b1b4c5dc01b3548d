package cluster_test

import (
	"errors"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
)

// After a Touch no request lands that was made on the state before.
func TestTouchFencesAnObject(t *testing.T) {
	c := open(t, nil)
	ns := namespace(t)
	one := configMap(t, ns, "one", "first")
	before := must(t, c, one, apply.Target{})

	touched, err := c.Touch(t.Context(), one.ID, "v1", target(before), 7)
	if err != nil {
		t.Fatal(err)
	}
	if touched.UID != before.UID || touched.ResourceVersion == before.ResourceVersion || touched.Annotations[object.AnnotationRecovered] != "7" {
		t.Errorf("got %+v, want the annotation on the same object, and a new resourceVersion", touched)
	}
	if touched.Owned != before.Owned {
		t.Errorf("owned = %s, want %s: what we applied did not change", touched.Owned, before.Owned)
	}
	if _, err := c.Apply(t.Context(), configMap(t, ns, "one", "late"), target(before), true); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("a late apply: got %v, want %v", err, apply.ErrConflict)
	}
	if err := c.Delete(t.Context(), one.ID, "v1", target(before), ""); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("a late delete: got %v, want %v", err, apply.ErrConflict)
	}

	if _, err := c.Touch(t.Context(), one.ID, "v1", target(before), 8); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("a touch of the state before: got %v, want %v", err, apply.ErrConflict)
	}
	other := target(touched)
	other.UID = "00000000-0000-0000-0000-000000000000"
	if _, err := c.Touch(t.Context(), one.ID, "v1", other, 8); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("a touch of another object: got %v, want %v", err, apply.ErrConflict)
	}
	if _, err := c.Touch(t.Context(), configMap(t, ns, "two", "").ID, "v1", target(touched), 8); !errors.Is(err, apply.ErrNotFound) {
		t.Errorf("a touch of nothing: got %v, want %v", err, apply.ErrNotFound)
	}
	if _, err := c.Touch(t.Context(), one.ID, "v1", apply.Target{UID: before.UID}, 8); err == nil {
		t.Error("a touch without a resourceVersion was sent")
	}
	// The next apply of the same content neither takes the annotation off nor
	// minds it.
	must(t, c, one, target(touched))
	after, err := c.Metadata(t.Context(), one.ID, "v1")
	if err != nil || after.Annotations[object.AnnotationRecovered] != "7" {
		t.Errorf("got %+v, %v; want the annotation to stay", after, err)
	}
}
