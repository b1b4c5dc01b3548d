package apply_test

import (
	"fmt"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
)

// A replacement deletes exactly what was compared, waits until it is gone, and
// makes what is wanted.
func TestReplace(t *testing.T) {
	t.Parallel()
	w := newWork(t).on(plan.Replace, config("one"))
	w.do("one replaced")
	w.sent("delete one", "read one", "apply one")
}

func TestReplaceWaitsUntilTheObjectIsGone(t *testing.T) {
	t.Parallel()
	w := newWork(t).on(plan.Replace, config("one"), func(m *plan.Meta) { m.Finalizers = []string{"example.com/hold"} })
	reads := 0
	w.cluster.meanwhile = func(call string) {
		if call == "read one" {
			if reads++; reads == 3 {
				w.cluster.mu.Lock()
				delete(w.cluster.objects, config("one"))
				w.cluster.mu.Unlock()
			}
		}
	}
	w.do("one replaced")
	w.sent("delete one", "read one", "read one", "read one", "apply one")

	stuck := newWork(t).on(plan.Replace, config("one"), func(m *plan.Meta) { m.Finalizers = []string{"example.com/hold"} })
	stuck.do("one deferred")
	if got := len(stuck.cluster.called()); got != 21 {
		t.Errorf("%d requests, want a delete and 20 looks", got)
	}
}

func TestReplaceWhenSomethingGoesWrong(t *testing.T) {
	t.Parallel()
	refused := fmt.Errorf("%w: denied", apply.ErrRejected)
	for name, test := range map[string]struct {
		touch func(*plan.Meta)
		fault map[string]error
		want  string
		sent  []string
	}{
		"it moved":                       {touch: edited, want: "moved", sent: []string{"delete one", "read one"}},
		"it was fenced off":              {touch: fenced, want: "moved", sent: []string{"delete one", "read one"}},
		"the delete is refused":          {fault: map[string]error{"delete one": refused}, want: "failed", sent: []string{"delete one"}},
		"the delete's answer is lost":    {fault: map[string]error{"delete one": errLate}, want: "replaced", sent: []string{"delete one", "read one", "apply one"}},
		"the delete is lost":             {fault: map[string]error{"delete one": apply.ErrUnanswered}, want: "unknown", sent: []string{"delete one", "read one"}},
		"the look is not answered":       {fault: map[string]error{"read one": apply.ErrUnanswered}, want: "unknown", sent: []string{"delete one", "read one"}},
		"the create is refused":          {fault: map[string]error{"apply one": refused}, want: "failed", sent: []string{"delete one", "read one", "apply one"}},
		"the create's answer is lost":    {fault: map[string]error{"apply one": errLate}, want: "replaced", sent: []string{"delete one", "read one", "apply one", "read one"}},
		"the create is lost":             {fault: map[string]error{"apply one": apply.ErrUnanswered}, want: "unknown", sent: []string{"delete one", "read one", "apply one", "read one"}},
		"the run ends before the create": {fault: map[string]error{"apply one": apply.ErrUnreachable}, want: "failed", sent: []string{"delete one", "read one", "apply one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWork(t).on(plan.Replace, config("one"))
			if test.touch != nil {
				w.cluster.touch(config("one"), test.touch)
			}
			w.cluster.fault = func(call string, before int) error {
				if before == 0 {
					return test.fault[call]
				}
				return nil
			}
			w.do("one " + test.want)
			w.sent(test.sent...)
		})
	}
}

// Nothing that this run applied is deleted, under whatever name.
func TestReplaceSparesWhatThisRunApplied(t *testing.T) {
	t.Parallel()
	w := newWork(t).on(plan.Replace, config("one"))
	w.options.Applied.Add("uid-one")
	w.do("one moved")
	w.sent()
}
