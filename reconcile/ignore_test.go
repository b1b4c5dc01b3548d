package reconcile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/ignore"
)

// shared is an app with one ConfigMap, of which others write the field theirs.
func shared(t *testing.T, ours, theirs string) *repo {
	a := newApp(t, "app")
	a.share(t, ours, theirs)
	a.app.Ignore = leaving(t, "/data/theirs")
	return a
}

func (a *repo) share(t *testing.T, ours, theirs string) {
	t.Helper()
	a.files["one.yaml"] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: %s}\ndata: {ours: %s, theirs: %s}\n", a.app.Namespace, ours, theirs)
}

func leaving(t *testing.T, paths ...string) ignore.Rules {
	t.Helper()
	rules, err := ignore.Compile([]ignore.Rule{{Paths: paths, Target: ignore.Target{Kind: "ConfigMap"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func (a *repo) edit(t *testing.T, body string) {
	t.Helper()
	if _, err := server.Patch(t.Context(), a.path("one"), []byte(body)); err != nil {
		t.Fatal(err)
	}
}

// data gives what the ConfigMap holds, as "OURS THEIRS".
func (a *repo) data(t *testing.T) string {
	t.Helper()
	answer, err := server.Get(t.Context(), a.path("one"))
	if err != nil {
		t.Fatal(err)
	}
	var content struct{ Data map[string]string }
	if err := json.Unmarshal(answer, &content); err != nil {
		t.Fatal(err)
	}
	return content.Data["ours"] + " " + content.Data["theirs"]
}

// A field that is ignored is made, and from then on left to whoever writes it: it
// is neither drift nor applied, and costs nothing. When the rule ends, so does that.
func TestIgnoredFieldsAreLeftToOthers(t *testing.T) {
	t.Parallel()
	app := shared(t, "a", "b")
	w := newWorld(t, app)
	w.sync(0)
	w.verdicts(w.sync(0), "unchanged")
	quiet := w.sync(0).Record.Cost.KubernetesRequests
	step := func(what, verdict, data string) {
		t.Helper()
		report := w.sync(0)
		if got := app.data(t); got != data || string(report.Record.Verdict) != verdict {
			t.Fatalf("%s: %s with %q, want %s with %q\n%s", what, report.Record.Verdict, got, verdict, data, show(report))
		}
	}
	step("made", "unchanged", "a b")
	app.edit(t, `{"data":{"theirs":"x"}}`)
	step("written by others", "unchanged", "a x")
	for range 2 {
		app.edit(t, `{"data":{"theirs":"y"}}`)
		report := w.sync(0)
		if got := report.Record.Cost.KubernetesRequests; !maps.Equal(got, quiet) || report.Record.Cost.Renders != 0 {
			t.Errorf("a run with an ignored field that others write asked %v and rendered %d, want %v and 0", got, report.Record.Cost.Renders, quiet)
		}
	}
	app.share(t, "c", "d")
	step("the repository changes", "changed", "c y")
	app.edit(t, `{"data":{"ours":"x","theirs":"z"}}`)
	step("both are written by others", "changed", "c z")
	app.edit(t, `{"data":{"theirs":null}}`)
	step("removed by others", "unchanged", "c ")
	if err := server.Delete(t.Context(), app.path("one")); err != nil {
		t.Fatal(err)
	}
	step("deleted", "changed", "c d")
	app.edit(t, `{"data":{"theirs":"x"}}`)
	step("written again", "unchanged", "c x")
	app.app.Ignore = ignore.Rules{}
	step("no rule any more", "changed", "c d")
	app.edit(t, `{"data":{"theirs":"x"}}`)
	app.app.Ignore = leaving(t, "/data/theirs")
	step("a rule again", "unchanged", "c x")
	w.verdicts(w.sync(0), "unchanged")
}

// Nobody else's field keeps its live value when the repository says another, and is
// not lost by an apply without it; nor without validation.
func TestIgnoredFieldsAreNotLost(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		t.Run(fmt.Sprint(skip), func(t *testing.T) {
			t.Parallel()
			app := shared(t, "a", "b")
			app.app.SkipValidation = skip
			w := newWorld(t, app)
			w.sync(0)
			app.share(t, "c", "d")
			w.verdicts(w.sync(0), "changed")
			if got := app.data(t); got != "c b" {
				t.Errorf("the ConfigMap holds %q, want the new value of ours and the live one of theirs", got)
			}
			w.verdicts(w.sync(0), "unchanged")
		})
	}
}

// An expression that does not end fails its app, in about a second, and no other.
func TestEndlessExpressionFailsItsApp(t *testing.T) {
	t.Parallel()
	app, other := newApp(t, "app"), newApp(t, "other")
	for i := range 50 {
		app.configMap(fmt.Sprintf("c%d", i), "a")
	}
	w := newWorld(t, app, other)
	w.sync(0)
	rules, err := ignore.Compile(nil, []ignore.Difference{{Kind: "ConfigMap", JQPathExpressions: []string{"repeat(.)"}}})
	if err != nil {
		t.Fatal(err)
	}
	app.app.Ignore = rules
	other.configMap("one", "a")
	report := w.sync(12)
	w.verdicts(report, "failed", "changed")
	if message := report.Record.Apps[0].Message; !strings.Contains(message, `ignore "repeat(.)" in `) || !strings.Contains(message, ignore.ErrEndless.Error()) {
		t.Errorf("message = %q, want which expression it was", message)
	}
}
