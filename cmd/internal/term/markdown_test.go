package term_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

func savedPlan() reconcile.Saved {
	one := plans()[0]
	one.NeedsApproval = true
	return reconcile.Saved{
		Warnings: []string{"planned offline"},
		Apps: []reconcile.SavedApp{
			{Name: "web", Verdict: state.Refused, From: "fedcba9876543210", Revision: revision(), Plan: &one, Log: &source.Log{Commits: []source.Commit{
				{Hash: "0123456789abcdef", Author: "Eve | <eve@example.test>", Subject: "</summary> hello @everyone, see #1 and [this](http://x) `code`"},
			}, Note: "nothing was applied before"}},
			{Name: "db", Verdict: state.Failed, Message: "render: nowhere: is not | in the repository"},
			{Name: "jobs", Verdict: state.Unchanged, Unchanged: 7},
		},
	}
}

// Markdown is fit for a pull request, and what stands in a repository does nothing
// in it but show itself.
func TestMarkdown(t *testing.T) {
	got := term.Markdown(savedPlan(), "--config prod.yaml")
	golden(t, "plan.md", got)
	for _, bad := range []string{"</summary> hello", "@everyone", " #1", "[this]("} {
		if strings.Contains(got, bad) {
			t.Errorf("the Markdown holds %q", bad)
		}
	}
}

// However much a plan holds, it fits into a comment, counts what it leaves out, and
// ends nowhere in the middle.
func TestMarkdownFits(t *testing.T) {
	for name, wide := range map[string]int{"many": 20, "wide": 2000} {
		t.Run(name, func(t *testing.T) {
			saved := savedPlan()
			one := plan.Plan{App: "web", Hash: strings.Repeat("ab", 32)}
			for i := range 1000 {
				one.Changes = append(one.Changes, plan.Change{ID: id("ConfigMap", fmt.Sprintf("n%d", i)), Action: plan.Update, Reason: plan.ReasonDesired, Diff: []plan.FieldDiff{
					{Path: "data.key", Old: strings.Repeat("```\nä\n", wide), New: "b\nb"},
				}})
				saved.Apps = append(saved.Apps, reconcile.SavedApp{Name: fmt.Sprintf("app%d", i), Verdict: state.Failed, Message: strings.Repeat("x", 5000)})
			}
			saved.Apps[0].Plan = &one
			got := term.Markdown(saved, "")
			if n := utf8.RuneCountInString(got); n > 65_536 || n < 20_000 {
				t.Errorf("it has %d characters, want no more than 65,536, and most of them used", n)
			}
			if !strings.Contains(got, "left out") {
				t.Error("it does not say that something is left out")
			}
			if open, closed := strings.Count(got, "<details>"), strings.Count(got, "</details>"); open != closed {
				t.Errorf("%d parts are opened and %d closed", open, closed)
			}
		})
	}
}
