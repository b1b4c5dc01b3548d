package apply_test

import (
	"fmt"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// fence touches the objects of a work and says what became of each.
func (w *work) fence(ids ...object.ID) map[string]apply.Outcome {
	w.t.Helper()
	var changes []plan.Change
	live := plan.Live{}
	for _, id := range ids {
		meta := w.cluster.objects[id]
		live[id] = plan.Observed{State: plan.Present, Meta: meta}
		changes = append(changes, plan.Change{ID: id, Action: plan.Fence, UID: meta.UID, ResourceVersion: meta.ResourceVersion})
	}
	outcomes := map[string]apply.Outcome{}
	for _, o := range apply.Fence(w.t.Context(), w.cluster, changes, live, 7, w.options) {
		outcomes[o.Change.ID.Name] = o
	}
	return outcomes
}

func TestFence(t *testing.T) {
	t.Parallel()
	t.Run("moves every object on", func(t *testing.T) {
		t.Parallel()
		w := newWork(t)
		one, two := w.cluster.put(config("one")), w.cluster.put(config("two"))
		got := w.fence(config("one"), config("two"))
		for name, before := range map[string]plan.Meta{"one": one, "two": two} {
			o := got[name]
			if o.Verdict != apply.Fenced || o.Meta.ResourceVersion == before.ResourceVersion || o.Meta.Annotations[object.AnnotationRecovered] != "7" {
				t.Errorf("%s: got %+v, want it touched with epoch 7", name, o)
			}
		}
	})
	t.Run("again over noise", func(t *testing.T) {
		t.Parallel()
		w := newWork(t)
		w.cluster.put(config("one"))
		w.cluster.meanwhile = meddle(w, "touch one", func(m *plan.Meta) { m.Annotations["controller"] = "was here" })
		if got := w.fence(config("one"))["one"]; got.Verdict != apply.Fenced {
			t.Errorf("got %+v, want it touched", got)
		}
	})
	t.Run("not what moved", func(t *testing.T) {
		t.Parallel()
		w := newWork(t)
		w.cluster.put(config("one"))
		w.cluster.meanwhile = meddle(w, "touch one", func(m *plan.Meta) { m.Owned = "by a late request" })
		if got := w.fence(config("one"))["one"]; got.Verdict != apply.Moved {
			t.Errorf("got %+v, want it left alone", got)
		}
	})
	t.Run("not what went", func(t *testing.T) {
		t.Parallel()
		w := newWork(t)
		w.cluster.put(config("one"))
		w.cluster.fault = failing("touch one", 1, apply.ErrNotFound)
		if got := w.fence(config("one"))["one"]; got.Verdict != apply.Moved {
			t.Errorf("got %+v, want it moved", got)
		}
	})
	t.Run("an answer is lost", func(t *testing.T) {
		t.Parallel()
		w := newWork(t)
		w.cluster.put(config("one"))
		w.cluster.fault = failing("touch one", 1, fmt.Errorf("%w: cut", apply.ErrUnanswered))
		if got := w.fence(config("one"))["one"]; got.Verdict != apply.Unknown {
			t.Errorf("got %+v, want it unknown", got)
		}
	})
}

// meddle edits the object of a request just before its first one arrives.
func meddle(w *work, call string, edit func(*plan.Meta)) func(string) {
	done := false
	return func(now string) {
		if now == call && !done {
			done = true
			w.cluster.touch(config("one"), edit)
		}
	}
}
