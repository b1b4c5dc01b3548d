package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

func TestDoCarriesOutEachAction(t *testing.T) {
	t.Parallel()
	w := newWork(t).create(config("made")).update(config("changed"))
	w.on(plan.Adopt, config("adopted"))
	w.prune(config("pruned"))
	for _, c := range []plan.Change{
		{ID: config("given"), Action: plan.HandOver, To: "other"},
		{ID: config("kept"), Action: plan.Keep, Note: "helm.sh/resource-policy: keep"},
		{ID: config("gone"), Action: plan.Forget},
		{ID: config("drifted"), Action: plan.Report},
	} {
		w.change(c)
	}
	result := w.do("made created", "changed changed", "adopted adopted", "pruned pruned",
		"given handed-over", "kept kept", "gone forgotten", "drifted reported")
	if !result.Complete() {
		t.Errorf("Complete() = false, want true: %+v", result)
	}
	if o := result.Outcomes[0]; o.Meta.UID != "uid-made" || o.Gone {
		t.Errorf("created outcome = %+v, want the UID that the server gave", o)
	}
	if o := result.Outcomes[3]; !o.Gone || o.Meta.UID != "" {
		t.Errorf("pruned outcome = %+v, want it gone", o)
	}
	if o := result.Outcomes[4]; o.Message != "to other" {
		t.Errorf("message = %q, want to whom", o.Message)
	}
	if o := result.Outcomes[5]; o.Message != "helm.sh/resource-policy: keep" {
		t.Errorf("message = %q, want the plan's note", o.Message)
	}
}

func TestDoOfNothing(t *testing.T) {
	t.Parallel()
	result := apply.Do(t.Context(), newFake(), apply.Work{}, apply.Options{})
	if len(result.Outcomes) != 0 || !result.Complete() {
		t.Errorf("Do of the zero work = %+v, want nothing done, completely", result)
	}
}

func TestDoRefusesPlansThatDoNotFitTheSet(t *testing.T) {
	t.Parallel()
	w := newWork(t)
	w.change(plan.Change{ID: config("made"), Action: plan.Create})
	w.change(plan.Change{ID: config("changed"), Action: plan.Update})
	w.change(plan.Change{ID: config("odd"), Action: "dance"})
	w.do("made failed", "changed failed", "odd failed")
	w.sent()
}

func TestDoKeepsToItsWidth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ width, want int }{{1, 1}, {3, 3}, {0, 32}} {
		t.Run(fmt.Sprint(c.width), func(t *testing.T) {
			t.Parallel()
			w := newWork(t)
			w.options.Width = c.width
			var verdicts []string
			for i := range 100 {
				name := fmt.Sprintf("%03d", i)
				w.create(config(name))
				verdicts = append(verdicts, name+" created")
			}
			// Nobody goes on before as many are there as may be: it would hang with
			// fewer, and show with more.
			var waiting atomic.Int32
			full := make(chan struct{})
			w.cluster.meanwhile = func(string) {
				if waiting.Add(1) == int32(c.want) {
					close(full)
				}
				<-full
			}
			w.do(verdicts...)
			if w.cluster.most != c.want {
				t.Errorf("%d requests at once, want %d", w.cluster.most, c.want)
			}
		})
	}
}

func TestDoKeepsThePhasesApart(t *testing.T) {
	t.Parallel()
	// As plan.Make orders them; side by side within a phase.
	order := [][]string{
		{"apply crd-a", "apply crd-b"},
		{"establish crd-a,crd-b"},
		{"apply space"},
		{"apply one", "apply two"},
		{"apply web"},
		{"delete old-hook"},
		{"delete old-web"},
		{"delete old-one"},
	}
	w := newWork(t).create(definition("crd-a"), definition("crd-b"), id("/Namespace//space"), config("one"), config("two"), id("apps/Deployment/shop/web"))
	w.prune(id("admissionregistration.k8s.io/ValidatingWebhookConfiguration//old-hook"), id("apps/Deployment/shop/old-web"), config("old-one"))
	w.do("crd-a created", "crd-b created", "space created", "one created", "two created", "web created",
		"old-hook pruned", "old-web pruned", "old-one pruned")
	calls := slices.DeleteFunc(w.cluster.called(), func(call string) bool { return strings.HasPrefix(call, "read") })
	for _, phase := range order {
		if len(calls) < len(phase) {
			t.Fatalf("requests = %q, want those of %q too", w.cluster.called(), order)
		}
		got := slices.Sorted(slices.Values(calls[:len(phase)]))
		if !slices.Equal(got, phase) {
			t.Fatalf("requests = %q, want the phases %q", w.cluster.called(), order)
		}
		calls = calls[len(phase):]
	}
}

func TestDoWaitsForDefinitions(t *testing.T) {
	t.Parallel()
	t.Run("changed ones too, pruned and kept ones not", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(definition("made")).update(definition("changed")).prune(definition("pruned"))
		w.change(plan.Change{ID: definition("kept"), Action: plan.Keep})
		w.do("made created", "changed changed", "pruned pruned", "kept kept")
		if got := w.cluster.called(); !slices.Contains(got, "establish made,changed") {
			t.Errorf("requests = %q, want a wait for made and changed", got)
		}
	})
	t.Run("not established", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(definition("crd"))
		w.change(plan.Change{ID: definition("kept"), Action: plan.Keep})
		w.cluster.fault = failing("establish crd", 1, errors.New("names not accepted"))
		result := w.do("crd failed", "kept kept")
		if got := result.Outcomes[0].Message; !strings.Contains(got, "names not accepted") {
			t.Errorf("message = %q, want the reason", got)
		}
	})
	t.Run("not established, so that nothing is pruned", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(definition("crd"), config("one")).prune(config("old"))
		w.cluster.fault = failing("establish crd", 1, errors.New("names not accepted"))
		w.do("crd failed", "one created", "old held")
	})
	t.Run("the run ends meanwhile", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		w := newWork(t).create(definition("crd"), config("one"))
		w.cluster.meanwhile = func(call string) {
			if call == "establish crd" {
				cancel()
			}
		}
		w.cluster.fault = failing("establish crd", 1, context.Canceled)
		w.doWithin(ctx, "crd created", "one unsent")
	})
}

// A server that was just given another definition refuses by the old one for a
// moment.
func TestDoGivesAChangedDefinitionAMoment(t *testing.T) {
	t.Parallel()
	rejected := fmt.Errorf("%w: .spec.metres: field not declared in schema", apply.ErrRejected)
	spring, ebb := id("sea/tide/shop/spring"), id("sea/tide/shop/ebb")
	failing := func(after int) func(string, int) error {
		return func(call string, before int) error {
			if (call == "apply spring" || call == "apply ebb") && before < after {
				return rejected
			}
			return nil
		}
	}
	t.Run("in which it comes round", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).update(definition("tide"), spring).create(ebb)
		w.cluster.fault = failing(2)
		w.do("tide changed", "spring changed", "ebb created")
		if want := slices.Repeat([]time.Duration{time.Second}, 4); !slices.Equal(w.slept, want) {
			t.Errorf("slept %v, want %v", w.slept, want)
		}
	})
	t.Run("and no more", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).update(definition("tide"), spring)
		w.cluster.fault = failing(100)
		w.do("tide changed", "spring failed")
	})
	t.Run("only when it changed", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).update(definition("wave"), spring)
		w.cluster.fault = failing(1)
		w.do("wave changed", "spring failed")
		w.sent("apply wave", "establish wave", "apply spring")
	})
}

func TestDoHoldsPrunesBack(t *testing.T) {
	t.Parallel()
	rejected := fmt.Errorf("%w: no", apply.ErrRejected)
	t.Run("an apply failed", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(config("one"), config("two")).prune(config("old"), config("older"))
		w.cluster.fault = failing("apply one", 1, rejected)
		result := w.do("one failed", "two created", "old held", "older held")
		if got := result.Outcomes[2].Message; !strings.Contains(got, "could be applied") {
			t.Errorf("message = %q, want why it is held", got)
		}
		if got := w.cluster.called(); slices.Contains(got, "delete old") {
			t.Errorf("requests = %q, want no delete", got)
		}
		if result.Complete() {
			t.Error("Complete() = true, want false")
		}
	})
	for _, c := range []plan.Change{
		{ID: config("put-off"), Action: plan.Defer, Reason: plan.ReasonTerminating},
		{ID: config("put-off"), Action: plan.Defer, Reason: plan.ReasonNoKind},
		{ID: config("put-off"), Action: plan.Defer, Reason: plan.ReasonConflict},
	} {
		t.Run("put off, "+string(c.Reason), func(t *testing.T) {
			t.Parallel()
			verdict := "put-off deferred"
			if c.Reason == plan.ReasonConflict {
				verdict = "put-off failed"
			}
			newWork(t).change(c).prune(config("old")).do(verdict, "old held")
		})
	}
	t.Run("reported drift holds nothing", func(t *testing.T) {
		t.Parallel()
		newWork(t).change(plan.Change{ID: config("one"), Action: plan.Report}).prune(config("old")).do("one reported", "old pruned")
	})
	t.Run("what is pruned first could not be", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).prune(id("apps/Deployment/shop/web"), config("one"), config("two"), id("/Namespace//shop"))
		w.cluster.fault = failing("delete one", 1, rejected)
		result := w.do("web pruned", "one failed", "two pruned", "shop held")
		if got := result.Outcomes[3].Message; !strings.Contains(got, "pruned first") {
			t.Errorf("message = %q, want why it is held", got)
		}
	})
}

func TestDoNeverDeletesWhatItApplied(t *testing.T) {
	t.Parallel()
	same := func(m *plan.Meta) { m.UID = "one-object" }
	for _, action := range []plan.Action{plan.Update, plan.Adopt} {
		w := newWork(t).on(action, id("networking.k8s.io/Ingress/shop/new"), same).on(plan.Prune, id("extensions/Ingress/shop/old"), same)
		verdict := map[plan.Action]string{plan.Update: "new changed", plan.Adopt: "new adopted"}[action]
		w.do(verdict, "old kept")
		w.sent("apply new")
	}
	t.Run("created", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(config("one")).on(plan.Prune, id("extensions/ConfigMap/shop/one"))
		w.do("one created", "one kept")
	})
	t.Run("by another app", func(t *testing.T) {
		t.Parallel()
		first := newWork(t).on(plan.Update, id("networking.k8s.io/Ingress/shop/new"), same)
		first.do("new changed")
		second := newWork(t).on(plan.Prune, id("extensions/Ingress/shop/old"), same)
		second.options.Applied = first.options.Applied
		second.do("old kept")
	})
	t.Run("though the answer was lost", func(t *testing.T) {
		t.Parallel()
		first := newWork(t).on(plan.Update, id("networking.k8s.io/Ingress/shop/new"), same)
		first.cluster.fault = failing("apply new", 1, errLate)
		first.do("new unknown")
		second := newWork(t).on(plan.Prune, id("extensions/Ingress/shop/old"), same)
		second.options.Applied = first.options.Applied
		second.do("old kept")
	})
}

func TestDoWaitsForABusyServer(t *testing.T) {
	t.Parallel()
	busy := &apply.BusyError{After: 7 * time.Second, Err: errors.New("too many requests")}
	t.Run("for a while", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(config("one"))
		w.cluster.fault = failing("apply one", 2, busy)
		w.do("one created")
		if want := []time.Duration{7 * time.Second, 7 * time.Second}; !slices.Equal(w.slept, want) {
			t.Errorf("slept %v, want %v", w.slept, want)
		}
	})
	t.Run("at least a second", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).create(config("one"))
		w.cluster.fault = failing("apply one", 1, fmt.Errorf("wrapped: %w", &apply.BusyError{Err: errors.New("busy")}))
		w.do("one created")
		if want := []time.Duration{time.Second}; !slices.Equal(w.slept, want) {
			t.Errorf("slept %v, want %v", w.slept, want)
		}
	})
	t.Run("not for ever", func(t *testing.T) {
		t.Parallel()
		w := newWork(t).update(config("one"))
		w.cluster.fault = failing("apply one", 100, busy)
		w.do("one failed")
		if got := len(w.cluster.called()); got != 5 || len(w.slept) != 4 {
			t.Errorf("sent %d requests and slept %d times, want 5 and 4", got, len(w.slept))
		}
	})
	t.Run("until the run ends", func(t *testing.T) {
		t.Parallel()
		stopped := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		w := newWork(t).create(config("one"))
		w.cluster.fault = failing("apply one", 100, busy)
		w.cluster.meanwhile = func(string) { cancel(stopped) }
		result := w.doWithin(ctx, "one unsent")
		if got := result.Outcomes[0].Message; !strings.Contains(got, "stopped") {
			t.Errorf("message = %q, want the cause", got)
		}
		w.sent("apply one")
	})
}

func TestDoSendsNothingOnceTheGateIsShut(t *testing.T) {
	t.Parallel()
	shut := errors.New("lease lost")
	for after := range 4 {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			t.Parallel()
			w := newWork(t).create(config("a"), config("b"), config("c")).prune(config("old"))
			w.options.Width = 1
			var mu sync.Mutex
			asked := 0
			w.options.Sending = gate(func() error {
				mu.Lock()
				defer mu.Unlock()
				if asked++; asked > after {
					return shut
				}
				return nil
			})
			want := []string{"a created", "b created", "c created", "old unsent"}
			for i := after; i < 3; i++ {
				want[i] = w.Plan.Changes[i].ID.Name + " unsent"
				want[3] = "old held"
			}
			result := w.do(want...)
			if got := len(w.cluster.called()); got != after {
				t.Errorf("requests = %q, want %d: the gate was shut then", w.cluster.called(), after)
			}
			if last := result.Outcomes[3]; after == 3 && !strings.Contains(last.Message, "lease lost") {
				t.Errorf("message = %q, want why it was not sent", last.Message)
			}
		})
	}
}

func TestDoSendsNothingOnceTheContextEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("out of time"))
	w := newWork(t).create(config("a")).update(config("b"))
	w.change(plan.Change{ID: config("kept"), Action: plan.Keep})
	result := w.doWithin(ctx, "a unsent", "b unsent", "kept kept")
	w.sent()
	if got := result.Outcomes[0].Message; !strings.Contains(got, "out of time") {
		t.Errorf("message = %q, want the cause", got)
	}
}

func TestVerdictDone(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[apply.Verdict]bool{
		apply.Created: true, apply.Changed: true, apply.Adopted: true, apply.Pruned: true, apply.HandedOver: true,
		apply.Kept: true, apply.Forgotten: true, apply.Reported: true,
		apply.Deferred: false, apply.Failed: false, apply.Moved: false, apply.TakenFirst: false,
		apply.Unknown: false, apply.Unsent: false, apply.Held: false, "": false,
	} {
		if got := verdict.Done(); got != want {
			t.Errorf("%q.Done() = %v, want %v", verdict, got, want)
		}
	}
}

func TestNotedAsksNothingOfTheCluster(t *testing.T) {
	t.Parallel()
	for _, action := range []plan.Action{plan.Create, plan.Update, plan.Adopt, plan.Prune} {
		if o, noted := apply.Noted(plan.Change{ID: object.ID{Name: "x"}, Action: action}); noted {
			t.Errorf("Noted(%s) = %+v, want none", action, o)
		}
	}
}
