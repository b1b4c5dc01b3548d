package reconcile_test

import (
	"errors"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// rewound is what a repository says of a commit that does not come after another one.
var rewound = source.Log{Commits: []source.Commit{{Hash: "1"}}, Note: "it is not among the last 250"}

// A revision that does not come after the one applied last is told of, or waits for
// an approval; one that does is neither.
func TestRewind(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		refuse  bool
		log     source.Log
		err     error
		refused string
		warned  string
	}{
		{"forward", true, source.Log{Commits: rewound.Commits, Descends: true}, nil, "", ""},
		{"back", false, rewound, nil, "", "rewound: "},
		{"back is refused", true, rewound, nil, "it is not among the last 250", ""},
		{"not known", false, source.Log{Note: "no filters"}, nil, "", ""},
		{"not known is refused", true, source.Log{Note: "no filters"}, nil, "it is not known whether the revision descends from the one that was applied last: no filters", ""},
		{"no answer is refused", true, source.Log{}, errors.New("no route"), "no route", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			app := newApp(t, "app")
			app.app.Rules.RefuseRewind = test.refuse
			app.configMap("one", "x")
			w := newWorld(t, app)
			w.sync(0)
			if app.logs != 0 {
				t.Errorf("the first run asked %d times what came before", app.logs)
			}
			app.log, app.logErr = test.log, test.err
			app.configMap("one", "y")
			exit, want := 0, "y"
			if test.refused != "" {
				exit, want = 10, "x"
			}
			got := w.sync(exit).Record.Apps[0]
			if app.get(t, "one") != want {
				t.Errorf("the ConfigMap holds %q, want %q", app.get(t, "one"), want)
			}
			if test.refused != "" && (len(got.Refusals) != 1 || got.Refusals[0].Reason != plan.RefusedRewind || !strings.Contains(got.Refusals[0].Message, test.refused)) {
				t.Errorf("refused: %+v, want a rewind with %q", got.Refusals, test.refused)
			}
			if all := strings.Join(got.Warnings, "; "); test.warned == "" && strings.Contains(all, "rewound") || !strings.Contains(all, test.warned) {
				t.Errorf("warnings: %q, want %q", all, test.warned)
			}
			asked := app.logs
			if test.refused == "" {
				if w.sync(0); app.logs != asked {
					t.Error("a run in which nothing changed asked what came before")
				}
				return
			}
			w.approve(got.PlanHash)
			if got = w.sync(0).Record.Apps[0]; got.Verdict != state.Changed || app.get(t, "one") != "y" {
				t.Errorf("approved: %s %s, want it applied", got.Verdict, got.Message)
			}
		})
	}
}
