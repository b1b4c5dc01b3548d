package term_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func id(kind, name string) object.ID {
	group := map[string]string{"Deployment": "apps"}[kind]
	return object.ID{Group: group, Kind: kind, Namespace: "shop", Name: name}
}

// revision has a subject that would paint the terminal, if it could.
func revision() *state.Revision {
	return &state.Revision{
		Repo: "https://example.com/shop", Ref: "refs/heads/main", Commit: "0123456789abcdef0123456789abcdef01234567",
		Subject: "feat: \x1b[31mred\x1b[0m \u202ereversed",
	}
}

func plans() []plan.Plan {
	return []plan.Plan{{
		App: "web", Engine: "kustomize", Hash: strings.Repeat("ab", 32), Unchanged: 40,
		Changes: []plan.Change{
			{ID: id("Job", "migrate"), Action: plan.Run, Hook: plan.PreSync, Reason: plan.ReasonDesired},
			{ID: id("ConfigMap", "new"), Action: plan.Create, Reason: plan.ReasonNew},
			{ID: id("Deployment", "web"), Action: plan.Update, Reason: plan.ReasonDrift, Losers: []string{"kubectl-edit: .spec.replicas"}, Diff: []plan.FieldDiff{
				{Path: "spec.replicas", Old: int64(3), New: int64(2)},
				{Path: "spec.template.spec.containers[name=web].image", Old: strings.Repeat("x", 150) + ":1", New: strings.Repeat("x", 150) + ":2"},
				{Path: "metadata.labels[evil]", Old: nil, New: "\x1b]0;title\x07"},
				{Path: "metadata.labels[old]", Old: "gone"},
			}},
			{ID: id("ConfigMap", "text"), Action: plan.Update, Reason: plan.ReasonDesired, Diff: []plan.FieldDiff{
				{Path: "data[app.yaml]", Old: "a: 1\nb: 2\nc: 3\nd: 4\n", New: "a: 1\nb: two\nc: 3\nd: four\n"},
			}},
			{ID: id("Secret", "key"), Action: plan.Update, Reason: plan.ReasonDesired, Diff: []plan.FieldDiff{{Path: "data.password", Masked: true}}},
			{ID: id("Service", "theirs"), Action: plan.Adopt, Reason: plan.ReasonUnmanaged, Note: "not validated: a webhook cannot do dry runs"},
			{ID: id("ConfigMap", "later"), Action: plan.Defer, Reason: plan.ReasonNoKind},
			{ID: id("ConfigMap", "moved"), Action: plan.HandOver, Reason: plan.ReasonWanted, To: "db"},
			{ID: id("ConfigMap", "kept"), Action: plan.Keep, Reason: plan.ReasonOptedOut},
			{ID: id("ConfigMap", "old"), Action: plan.Prune, Reason: plan.ReasonRemoved},
		},
		Refusals: []plan.Refusal{{Reason: "budget", Message: "6 of the app's 20 live objects would be pruned, and the budget is 5", Approvable: true}},
		Warnings: []string{"the chart is deprecated"},
	}}
}

func TestPlans(t *testing.T) {
	record := state.Record{Apps: []state.AppRecord{
		{Name: "web", Verdict: state.Refused, Revision: revision()},
		{Name: "db", Verdict: state.Failed, Message: "render: nowhere: is not in the repository"},
		{Name: "jobs", Verdict: state.Unchanged, Counts: state.Counts{Unchanged: 7}},
	}, Warnings: []string{"the app old left the configuration: its objects stay as they are"}}
	golden(t, "plan.txt", term.Plans(record, plans(), term.Style{Flags: "--config prod.yaml"}))
	golden(t, "plan-color.txt", term.Plans(record, plans(), term.Style{Paint: term.NewPaint(true)}))
}

func record() state.Record {
	return state.Record{
		Format: 1, Seq: 42, Run: "01JD8Z5T3M2Q8V6W0X9Y7A4B1C", Trigger: "schedule", Actor: "ci\x1b[1m", Tool: "tidemark v1", Epoch: 7, Exit: 11,
		Started: now, Finished: now.Add(90 * time.Second), Verdict: state.Partial, Previous: "fe", Lineage: "11",
		Interrupted: []string{"01JD8Z0000000000000000000A"}, Message: "two\nlines",
		Apps: []state.AppRecord{
			{
				Name: "web", Verdict: state.Partial, Engine: "kustomize", Revision: revision(), From: "fedcba9876543210", Counts: state.Counts{Created: 1, Pruned: 1, Failed: 1, Unchanged: 40},
				Changes: []state.Change{
					{ID: id("ConfigMap", "a"), Action: "create", Reason: "new", Outcome: "created"},
					{ID: id("ConfigMap", "b"), Action: "prune", Reason: "removed", Outcome: "pruned"},
					{ID: id("ConfigMap", "c"), Action: "change", Reason: "desired", Outcome: "changed"},
					{ID: id("Deployment", "d"), Action: "change", Reason: "drift", Outcome: "failed", Message: "the server said no\x1b[2J\nand why"},
				},
			},
			{Name: "db", Verdict: state.Refused, Refusals: []state.Refusal{
				{Reason: "protected", Message: "Namespace shop would be pruned", PlanHash: strings.Repeat("cd", 32)},
				{Reason: "budget", Message: "too many", PlanHash: strings.Repeat("cd", 32)},
			}},
			{Name: "chart", Verdict: state.Unchanged, Engine: "helm", Chart: &state.Chart{Name: "pg", Version: "1.2.3"}, Counts: state.Counts{Unchanged: 3}},
		},
		Cost: state.Cost{Seconds: 90},
	}
}

func TestRecord(t *testing.T) {
	golden(t, "record.txt", term.Heading(record(), term.Style{})+term.Record(record(), term.Style{Limit: 2, Flags: "--state ./s"}))
}

// A command that is not a run shows what became of each object, who and why.
func TestCommand(t *testing.T) {
	change := func(name, outcome, message string) state.Change {
		return state.Change{ID: id("ConfigMap", name), Action: reconcile.ActionDetach, Reason: "detached", Outcome: outcome, Message: message}
	}
	golden(t, "command.txt", term.Command(state.Record{
		Seq: 9, Verdict: state.Partial, Interrupted: []string{"01JD8Z5T3M2Q8V6W0X9Y7A4B1C"}, Warnings: []string{"look \x1b[31mhere"},
		Message: "me@laptop detached 3 objects of the app web (1 could not be): moves away",
		Apps: []state.AppRecord{{Name: "web", Verdict: state.Partial, Changes: []state.Change{
			change("one", "detached", ""), change("two", "gone", ""), change("three", "not-ours", "another owner's: meta.helm.sh/release-name=x"),
			change("four", "failed", "rejected: forbidden"),
		}}},
	}, term.Style{}))
}

// ledger is a state with everything that can be special about it.
func ledger() term.Ledger {
	since := now.Add(-time.Hour)
	return term.Ledger{
		Now: now,
		Head: state.Head{
			Format: 1, Lineage: "0f1e2d3c4b5a69788796a5b4c3d2e1f0", Cluster: "5d1c7c1e-9a0b-4b57-8a55-3c0d5a1f6a11", Config: strings.Repeat("c0", 32),
			Seq: 31, Epoch: 7, Witnessed: 7,
			Lease: state.Lease{Run: "01JD8Z5T3M2Q8V6W0X9Y7A4B1C", Holder: "ci@runner", TTL: state.Duration(time.Minute)},
			Audit: state.Audit{Seq: 12, Verdict: state.Changed, Finished: now.Add(-3 * time.Minute)},
			Stamp: state.Stamp{Modified: now.Add(-12 * time.Second), Now: now},
		},
		Holdings: []reconcile.Holding{
			{Name: "broken", Err: errors.New("inventory of app broken: the ledger is damaged")},
			{
				Name: "web", App: state.App{Revision: revision(), Plan: &state.Ref{}, Pin: &state.Pin{Reason: "release \x1b[31mfreeze"}},
				Members: []state.Member{
					{ID: id("ConfigMap", "kept"), Origin: state.Created, UID: "3b1f", Kept: true},
					{ID: id("ConfigMap", "lost"), Origin: state.Created, Ghost: &since},
					{ID: id("Deployment", "web"), Origin: state.Adopted, UID: "4c2a", Unsettled: &since},
				},
			},
		},
	}
}

func TestLedger(t *testing.T) {
	l := ledger()
	text := l.Text(term.Style{})
	l.Members = true
	golden(t, "ledger.txt", text+"\n"+l.Text(term.Style{}))
	if got := (term.Ledger{}).Text(term.Style{}); !strings.Contains(got, "there is no head") {
		t.Errorf("without a head: got %q", got)
	}
}

func TestDoctor(t *testing.T) {
	check := func(part, what string, health reconcile.Health, message, advice string) term.Examined {
		return term.Examined{Check: reconcile.Check{Part: part, What: what, Health: health, Message: message}, Advice: advice}
	}
	golden(t, "doctor.txt", term.Doctor([]term.Examined{
		check("store", "conditional writes", reconcile.Fine, strings.Repeat("one of many words ", 12), ""),
		check("state", "head", reconcile.Failed, "read head.json: \x1b[31mdamaged", "restore it from a backup, or make it anew from the cluster with the command that is made for this"),
		check("witness", "permissions", reconcile.Warning, "not granted: get", "grant it"),
		check("permissions", "ConfigMap", reconcile.Failed, "not granted: delete", "grant it"),
		check("permissions", "Deployment.apps", reconcile.Failed, "not granted: list in shop", "grant it"),
		check("app", "web", reconcile.Unchecked, "main 0123456789 is there", ""),
	}, term.Style{}))
}

func TestStatus(t *testing.T) {
	newest := record()
	head := state.Head{
		Seq: 9, Lease: state.Lease{Run: "01JD", Holder: "root@host", Free: false, Renewed: now},
		Audit: state.Audit{Seq: 42, Verdict: state.Partial, Finished: now.Add(-3 * time.Hour), Folded: &state.Folded{Runs: 12}},
		Apps: map[string]state.App{
			"web": {Revision: &state.Revision{Ref: "refs/tags/v1", Commit: "0123456789abcdef", Subject: "first"}, Health: "healthy"},
			"db":  {Approval: &state.Approval{Actor: "me", Reason: "because", PlanHash: "other"}, Pin: &state.Pin{Reason: "incident"}},
		},
	}
	golden(t, "status.txt", term.Status{Head: head, Records: []state.Record{{Command: "approve", Apps: []state.AppRecord{{Name: "db", Verdict: state.Waiting}}}, newest}, Now: now}.Text(term.Style{}))
	golden(t, "history.txt", term.History([]state.Record{newest, {Seq: 41, Finished: now, Verdict: state.Unchanged, Folded: &state.Folded{Runs: 3}}}, term.Style{}))
	if got, want := (term.Status{}).Text(term.Style{}), "no run yet\n"; got != want {
		t.Errorf("status of an empty ledger: got %q, want %q", got, want)
	}
}

// No control character of a repository reaches a terminal, whatever is shown.
func TestNothingSteersTheTerminal(t *testing.T) {
	shown := map[string]string{
		"plan":    term.Plans(state.Record{Apps: []state.AppRecord{{Name: "web", Revision: revision()}}}, plans(), term.Style{}),
		"record":  term.Heading(record(), term.Style{}) + term.Record(record(), term.Style{}),
		"history": term.History([]state.Record{record()}, term.Style{}),
		"fault":   term.Fault(errors.New("a\x1b[2J\r\nb\u202e"), "", term.Style{}),
	}
	for name, text := range shown {
		for _, bad := range []string{"\x1b", "\x07", "\r", "\u202e"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s shows %q: %q", name, bad, text)
			}
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain ünïcode → 日本": "plain ünïcode → 日本",
		"a\nb\tc":            `a\nb\tc`,
		"\x1b[31m":           `\x1b[31m`,
		"\u202eabc\u2066":    `\u202eabc\u2066`,
		"\u200b":             `\u200b`,
		"\xff":               `\ufffd`,
		"\u0085":             `\u0085`,
	} {
		if got := term.Escape(in); got != want {
			t.Errorf("Escape(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestRedactor(t *testing.T) {
	var r term.Redactor
	r.Add("hunter2 &more", "abc", "", "-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----\n")
	for in, want := range map[string]string{
		"pass hunter2 &more!":    "pass (redacted)!",
		"?p=hunter2+%26more":     "?p=(redacted)",
		"abc stays":              "abc stays",
		"key MIIEvQIBADAN in it": "key (redacted) in it",
		"b64 " + base64.StdEncoding.EncodeToString([]byte("hunter2 &more")): "b64 (redacted)",
	} {
		if got := r.Text(in); got != want {
			t.Errorf("Text(%q): got %q, want %q", in, got, want)
		}
	}
	var out bytes.Buffer
	if n, err := r.Writer(&out).Write([]byte("hunter2 &more")); n != 13 || err != nil || out.String() != "(redacted)" {
		t.Errorf("Write: got %d, %v and %q", n, err, out.String())
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := term.NewLog(&out, "01JD", func() time.Time { return now })
	change := plan.Change{ID: id("ConfigMap", "a"), Action: plan.Create, Reason: plan.ReasonNew}
	log.Tell(reconcile.Event{Stage: "load"})
	log.Tell(reconcile.Event{Stage: "apply", App: "web", Change: &change, Outcome: "created", Done: 1, Total: 2})
	log.Tell(reconcile.Event{Stage: "apply", App: "web", Change: &change, Outcome: "failed", Message: "no", Done: 2, Total: 2})
	log.End(record())
	log.Fault(errors.New("broken"), "mend it")
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %q", line)
		}
	}
	golden(t, "log.jsonl", out.String())
}

// The line is drawn over and over, and nothing of it stays.
func TestLine(t *testing.T) {
	var out bytes.Buffer
	line := term.NewLine(&out, term.Paint{}, func() int { return 60 })
	change := plan.Change{ID: id("ConfigMap", "a-name-that-is-much-too-long-for-the-width-of-this-terminal")}
	line.Tell(reconcile.Event{Stage: "apply", App: "web", Change: &change, Done: 5, Total: 10, Message: "x\ny"})
	line.Draw()
	line.End(state.Record{})
	got := out.String()
	if !strings.Contains(got, "apply  web  ██████████░░░░░░░░░░  5/10") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("drawn: %q", got)
	}
	if strings.Contains(got, "\n") {
		t.Errorf("more than one line: %q", got)
	}
	for frame := range strings.SplitSeq(got, "\r\x1b[K") {
		if n := len([]rune(frame)); n > 60 {
			t.Errorf("%d characters wide: %q", n, frame)
		}
	}
}
