package apply_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

func fenced(m *plan.Meta)  { m.Annotations[object.AnnotationRecovered] = "7" }
func noise(m *plan.Meta)   { m.Generation++; m.Annotations["deployment.kubernetes.io/revision"] = "2" }
func status(*plan.Meta)    {}
func edited(m *plan.Meta)  { m.Owned = "owned-less" }
func deleted(m *plan.Meta) { m.Terminating = true }
func owned(m *plan.Meta)   { m.Controller = "ReplicaSet rs" }
func remade(m *plan.Meta)  { m.UID = "another" }
func label(m *plan.Meta)   { m.Labels["team"] = "b" }
func optOut(m *plan.Meta)  { m.Annotations["tidemark.dev/prune"] = "disabled" }

// An object that moved between plan and request: what is noise to the action is
// sent again with the new resourceVersion, anything else is left to the next run.
func TestDoWhenAnObjectMoved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		action plan.Action
		before []func(*plan.Meta)
		touch  func(*plan.Meta)
		want   string
	}{
		{"update, status", plan.Update, nil, status, "changed"},
		{"update, a controller's annotation and generation", plan.Update, nil, noise, "changed"},
		{"update, a field of ours", plan.Update, nil, edited, "moved"},
		{"update, fenced off", plan.Update, nil, fenced, "moved"},
		{"update, being deleted", plan.Update, nil, deleted, "moved"},
		{"update, a controller took it", plan.Update, nil, owned, "moved"},
		{"update, made anew", plan.Update, nil, remade, "moved"},
		{"update, no note of our fields, status", plan.Update, []func(*plan.Meta){func(m *plan.Meta) { m.Owned = "" }}, status, "changed"},
		{"update, no note of our fields, annotation", plan.Update, []func(*plan.Meta){func(m *plan.Meta) { m.Owned = "" }}, noise, "moved"},
		{"adopt, status", plan.Adopt, nil, status, "adopted"},
		{"adopt, annotation", plan.Adopt, nil, noise, "moved"},
		{"adopt, label", plan.Adopt, nil, label, "moved"},
		{"prune, status", plan.Prune, nil, status, "pruned"},
		{"prune, opted out since", plan.Prune, nil, optOut, "moved"},
		{"prune, label", plan.Prune, nil, label, "moved"},
		{"prune, made anew", plan.Prune, nil, remade, "moved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWork(t).on(c.action, config("one"), c.before...)
			w.cluster.touch(config("one"), c.touch)
			w.do("one " + c.want)
			verb := map[plan.Action]string{plan.Update: "apply one", plan.Adopt: "apply one", plan.Prune: "delete one"}[c.action]
			switch c.want {
			case "moved":
				w.sent(verb, "read one")
			case "pruned":
				w.sent(verb, "read one", verb, "read one")
			default:
				w.sent(verb, "read one", verb)
			}
		})
	}
}

func TestDoGivesUpOnAnObjectThatNeverRests(t *testing.T) {
	t.Parallel()
	w := newWork(t).update(config("one"))
	w.cluster.meanwhile = func(call string) {
		if call == "apply one" {
			w.cluster.touch(config("one"), noise)
		}
	}
	w.do("one failed")
	if got := len(w.cluster.called()); got != 9 {
		t.Errorf("requests = %q, want 5 applies and 4 reads", w.cluster.called())
	}
}

func TestDoDoesNotRepeatAFieldConflict(t *testing.T) {
	t.Parallel()
	conflict := &apply.FieldConflictError{Fields: []string{"hpa: .spec.replicas"}}
	t.Run("update", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).update(config("one"))
		w.cluster.fault = failing("apply one", 100, fmt.Errorf("wrapped: %w", conflict))
		result := w.do("one failed")
		w.sent("apply one")
		if got := result.Outcomes[0].Message; !strings.Contains(got, "hpa: .spec.replicas") || !strings.Contains(got, "one.yaml") {
			t.Errorf("message = %q, want field, manager and file", got)
		}
	})
	t.Run("a conflict that no new version explains", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).update(config("one"))
		w.cluster.fault = failing("apply one", 100, apply.ErrConflict)
		w.do("one failed")
		w.sent("apply one", "read one")
	})
	t.Run("create", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(config("one"))
		w.cluster.put(config("one"), unmarked)
		w.cluster.fault = failing("apply one", 100, conflict)
		w.do("one foreign")
		w.sent("apply one", "read one")
	})
}

func TestDoCreatesOnlyWhatIsAbsent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		edit    func(*plan.Meta)
		verdict string
	}{
		{"somebody else made it", unmarked, "foreign"},
		{"a run before made it", func(*plan.Meta) {}, "moved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWork(t).create(config("one"))
			before := w.cluster.put(config("one"), c.edit)
			w.do("one " + c.verdict)
			w.sent("apply one", "read one")
			if got := w.cluster.objects[config("one")]; got.ResourceVersion != before.ResourceVersion {
				t.Errorf("got %+v, want it as it was", got)
			}
		})
	}
	t.Run("it is gone again", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(config("one"))
		w.cluster.fault = failing("apply one", 1, apply.ErrConflict)
		w.do("one moved")
	})
	t.Run("nobody says whose it is", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(config("one"))
		w.cluster.put(config("one"))
		w.cluster.fault = failing("read one", 1, apply.ErrUnanswered)
		w.do("one failed")
	})
}

// unmarked takes our marks off.
func unmarked(m *plan.Meta) { m.Labels, m.Annotations = nil, nil }

func TestDoWhenAnObjectIsGone(t *testing.T) {
	t.Parallel()
	t.Run("update", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).update(config("one"))
		delete(w.cluster.objects, config("one"))
		w.do("one moved")
		w.sent("apply one", "read one")
	})
	t.Run("prune", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).prune(config("one"))
		delete(w.cluster.objects, config("one"))
		if result := w.do("one pruned"); !result.Outcomes[0].Gone {
			t.Errorf("outcome = %+v, want it gone", result.Outcomes[0])
		}
	})
}

// Being asked to delete is not being gone.
func TestDoLooksWhetherAPrunedObjectIsGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		edit  func(*plan.Meta)
		after func(*fake)
		fault func(string, int) error
		gone  bool
	}{
		{name: "gone", edit: status, gone: true},
		{name: "finalizers", edit: func(m *plan.Meta) { m.Finalizers = []string{"example.com/f"} }},
		{name: "another took its place", edit: status, after: func(f *fake) { f.put(config("one"), remade) }, gone: true},
		{name: "no answer to the look", edit: status, fault: failing("read one", 1, apply.ErrUnanswered)},
		{name: "not allowed to look", edit: status, fault: failing("read one", 1, apply.ErrForbidden)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWork(t).on(plan.Prune, config("one"), c.edit)
			w.cluster.fault = c.fault
			w.cluster.meanwhile = func(call string) {
				if call == "read one" && c.after != nil {
					c.after(w.cluster)
				}
			}
			result := w.do("one pruned")
			w.sent("delete one", "read one")
			if got := result.Outcomes[0]; got.Gone != c.gone || got.Gone && got.Meta.UID != "" {
				t.Errorf("outcome = %+v, want gone: %v", got, c.gone)
			}
		})
	}
}

func TestDoReadsBackACreateWithoutAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		fault   error
		before  func(*fake)
		verdict string
	}{
		{"it took effect", errLate, nil, "created"},
		{"it did not, or not yet", apply.ErrUnanswered, nil, "unknown"},
		{"somebody else's is there", apply.ErrUnanswered, func(f *fake) {
			f.put(config("one"), unmarked)
		}, "unknown"},
		{"another ledger's is there", apply.ErrUnanswered, func(f *fake) {
			f.put(config("one"), func(m *plan.Meta) { m.Labels[object.LabelLedger] = "9999" })
		}, "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWork(t).create(config("one"))
			if c.before != nil {
				c.before(w.cluster)
			}
			w.cluster.fault = failing("apply one", 1, c.fault)
			result := w.do("one " + c.verdict)
			w.sent("apply one", "read one")
			if got := result.Outcomes[0].Meta.UID; (got != "") != (c.verdict == "created") {
				t.Errorf("UID = %q with the verdict %s", got, c.verdict)
			}
		})
	}
	t.Run("the look has no answer either", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(config("one"))
		w.cluster.fault = func(string, int) error { return apply.ErrUnanswered }
		w.do("one unknown")
		w.sent("apply one", "read one")
	})
	t.Run("the gate is shut before the look", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(config("one"))
		w.cluster.fault = failing("apply one", 1, errLate)
		asked := 0
		w.options.Sending = gate(func() error {
			if asked++; asked > 1 {
				return errors.New("lease lost")
			}
			return nil
		})
		w.do("one unknown")
		w.sent("apply one")
	})
}

func TestDoSortsErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err                   error
		create, update, prune string
	}{
		{fmt.Errorf("%w: too long", apply.ErrRejected), "failed", "failed", "failed"},
		{apply.ErrForbidden, "failed", "failed", "failed"},
		{apply.ErrUnauthorized, "failed", "failed", "failed"},
		{apply.ErrUnreachable, "failed", "failed", "failed"},
		{apply.ErrUndiscovered, "failed", "failed", "failed"},
		{apply.ErrNoKind, "deferred", "deferred", "deferred"},
		{apply.ErrUnanswered, "unknown", "unknown", "unknown"},
		{errors.New("anything else"), "failed", "failed", "failed"},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			t.Parallel()
			w := newWork(t).create(config("made"))
			w.cluster.fault = failing("apply made", 1, c.err)
			w.do("made " + c.create)

			w = newWork(t).update(config("changed"))
			w.cluster.fault = failing("apply changed", 1, c.err)
			result := w.do("changed " + c.update)
			if got := result.Outcomes[0].Message; c.update == "failed" && !strings.HasPrefix(got, "changed.yaml: ") {
				t.Errorf("message = %q, want the file first", got)
			}

			w = newWork(t).prune(config("pruned"))
			w.cluster.fault = failing("delete pruned", 1, c.err)
			w.do("pruned " + c.prune)
		})
	}
}

func TestDoMigratesWhatKubectlApplied(t *testing.T) {
	t.Parallel()
	kubectl := func(m *plan.Meta) { m.ClientSideApplied, m.Owned = true, "" }
	t.Run("first", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).on(plan.Adopt, config("one"), kubectl)
		w.do("one adopted")
		w.sent("migrate one", "apply one")
	})
	t.Run("through noise before and after", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).on(plan.Adopt, config("one"), kubectl)
		w.cluster.touch(config("one"), status)
		first := true
		w.cluster.meanwhile = func(call string) {
			if call == "apply one" && first {
				first = false
				w.cluster.touch(config("one"), status)
			}
		}
		w.do("one adopted")
		w.sent("migrate one", "read one", "migrate one", "apply one", "read one", "apply one")
	})
	t.Run("not what changed since", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).on(plan.Adopt, config("one"), kubectl)
		w.cluster.touch(config("one"), label)
		w.do("one moved")
		w.sent("migrate one", "read one")
	})
	t.Run("and applies nothing when that fails", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).on(plan.Update, config("one"), kubectl)
		w.cluster.fault = failing("migrate one", 1, apply.ErrForbidden)
		w.do("one failed")
		w.sent("migrate one")
	})
}

func TestErrorsSayTheirCase(t *testing.T) {
	t.Parallel()
	if !errors.Is(apply.ErrForbidden, apply.ErrRejected) {
		t.Error("ErrForbidden is no ErrRejected, want it to be one")
	}
	if err := (&apply.FieldConflictError{Fields: []string{"a: .b", "c: .d"}}); !errors.Is(err, apply.ErrConflict) || !strings.Contains(err.Error(), "a: .b, c: .d") {
		t.Errorf("got %q, want an ErrConflict that names the fields", err)
	}
	cause := errors.New("too many requests")
	if err := (&apply.BusyError{After: 1e9, Err: cause}); !errors.Is(err, cause) || !strings.Contains(err.Error(), "1s") {
		t.Errorf("got %q, want the cause and the time", err)
	}
}
