package apply_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// wave adds an object of a sync wave that is to be made.
func (w *work) wave(wave string, names ...string) *work {
	for _, name := range names {
		w.create(config(name))
		last := len(w.objects) - 1
		w.objects[last] = w.objects[last].WithMetadata(nil, map[string]string{plan.AnnotationWave: wave})
		c := &w.Plan.Changes[len(w.Plan.Changes)-1]
		c.Wave = plan.WaveOf(w.objects[last])
	}
	return w
}

// ill makes objects unhealthy, and notes which are waited for.
func (w *work) ill(why map[string]string) *[]string {
	var asked []string
	w.options.Healthy = func(_ context.Context, ids []object.ID) map[object.ID]apply.Unhealthy {
		ill := map[object.ID]apply.Unhealthy{}
		var names []string
		for _, id := range ids {
			names = append(names, id.Name)
			if message, is := why[id.Name]; is {
				ill[id] = apply.Unhealthy{Message: message}
			}
		}
		asked = append(asked, strings.Join(names, " "))
		return ill
	}
	return &asked
}

func TestDoBeginsAWaveWhenTheOnesBeforeAreHealthy(t *testing.T) {
	t.Parallel()
	w := newWork(t).wave("-1", "a").wave("0", "b", "c").wave("1", "d")
	asked := w.ill(nil)
	w.do("a created", "b created", "c created", "d created")
	if want := []string{"a", "b c"}; !slices.Equal(*asked, want) {
		t.Errorf("waited for %q, want %q: the waves before, each once", *asked, want)
	}
}

func TestDoHoldsTheWavesAfterOneThatIsNotHealthy(t *testing.T) {
	t.Parallel()
	w := newWork(t).wave("0", "a").wave("1", "b").wave("2", "c")
	w.ill(map[string]string{"a": "it rolls out"})
	result := w.do("a created", "b held", "c held")
	if want := "sync wave 1 waits for the ones before: ConfigMap shop/a: it rolls out"; result.Outcomes[2].Message != want {
		t.Errorf("message = %q, want %q", result.Outcomes[2].Message, want)
	}
}

func TestDoHoldsTheWavesAfterOneThatFailed(t *testing.T) {
	t.Parallel()
	w := newWork(t).wave("0", "a", "b").wave("1", "c")
	asked := w.ill(nil)
	w.cluster.fault = func(call string, _ int) error {
		if call == "apply a" {
			return apply.ErrRejected
		}
		return nil
	}
	result := w.do("a failed", "b created", "c held")
	if want := "sync wave 0 did not end well: ConfigMap shop/a"; result.Outcomes[2].Message != want || len(*asked) > 0 {
		t.Errorf("message = %q, want %q; waited for %q, want nothing", result.Outcomes[2].Message, want, *asked)
	}
}

func TestDoWaitsForWavesThatAreAsTheyShouldBe(t *testing.T) {
	t.Parallel()
	w := newWork(t).wave("1", "b")
	w.want(config("a")) // unchanged, of wave 0
	w.ill(map[string]string{"a": "it rolls out"})
	w.do("b held")
}

func TestDoHoldsWhatDependsOnWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWork(t).create(config("bad"), config("slow"), config("good"))
	needs := map[string][]object.ID{
		"on-bad": {config("bad")}, "on-slow": {config("slow")}, "on-good": {config("good")}, "on-other": {config("elsewhere")},
	}
	for _, name := range []string{"on-bad", "on-good", "on-other", "on-slow"} {
		w.create(config(name))
		c := &w.Plan.Changes[len(w.Plan.Changes)-1]
		c.Step, c.Needs = 1, needs[name]
	}
	asked := w.ill(map[string]string{"slow": "it rolls out", "elsewhere": "it does not exist"})
	w.cluster.fault = func(call string, _ int) error {
		if call == "apply bad" {
			return apply.ErrRejected
		}
		return nil
	}
	result := w.do("bad failed", "slow created", "good created", "on-bad held", "on-good created", "on-other held", "on-slow held")
	if want := []string{"elsewhere good slow"}; !slices.Equal(*asked, want) {
		t.Errorf("waited for %q, want %q, at once", *asked, want)
	}
	for at, want := range map[int]string{
		3: "it depends on ConfigMap shop/bad, which is not applied: failed",
		5: "it depends on ConfigMap shop/elsewhere: it does not exist", 6: "it depends on ConfigMap shop/slow: it rolls out",
	} {
		if got := result.Outcomes[at].Message; got != want {
			t.Errorf("message = %q, want %q", got, want)
		}
	}
}

func TestDoAsksForNoHealthWithoutOrder(t *testing.T) {
	t.Parallel()
	w := newWork(t).create(config("a"), id("/Service/shop/b"), id("apps/Deployment/shop/c"))
	asked := w.ill(nil)
	w.do("a created", "b created", "c created")
	if len(*asked) > 0 {
		t.Errorf("waited for %q, want nothing: without waves and dependencies nothing waits", *asked)
	}
}
