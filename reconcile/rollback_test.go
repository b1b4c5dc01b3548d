package reconcile_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// keeping gives a job that keeps sets.
func (w *world) keeping(seal func([]byte) ([]byte, error)) reconcile.Job {
	job := w.open()
	configure := job.Configure
	job.Configure = func(ctx context.Context, last *reconcile.Committed) (reconcile.Config, error) {
		config, err := configure(ctx, last)
		config.Keep, config.Seal = 3, seal
		return config, err
	}
	return job
}

func (w *world) rollback(back reconcile.Rollback, exit int) reconcile.Report {
	w.t.Helper()
	job := w.keeping(nil)
	job.Rollback, job.Only, job.Reason = &back, []string{back.App}, "incident 7"
	return w.run(job, exit)
}

func TestRunKeepsSetsOnce(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	w := newWorld(t, web)
	kept := func() []state.Kept { return w.head().Apps["web"].Kept }
	for i, value := range []string{"1", "2", "3", "4"} {
		web.configMap("one", value)
		w.run(w.keeping(nil), 0)
		if got := len(kept()); got != min(i+1, 3) {
			t.Errorf("after %s sets: %d are kept", value, got)
		}
	}
	names := w.names()
	if got := strings.Count(names, "/kept-web\n"); got != 4 {
		t.Errorf("%d sets are stored, want 4 (none is old enough to be collected):\n%s", got, names)
	}
	newest := kept()[0]
	w.run(w.keeping(nil), 0)
	if got := strings.Count(w.names(), "/kept-web\n"); got != 4 || kept()[0] != newest {
		t.Errorf("an unchanged run stored a set")
	}
	// A set that comes again is the newest, and not stored again.
	web.configMap("one", "3")
	w.run(w.keeping(nil), 0)
	if got := strings.Count(w.names(), "/kept-web\n"); got != 4 || len(kept()) != 3 || kept()[1] != newest {
		t.Errorf("kept = %v, want the set of 3 before that of 4, from where it was", kept())
	}
}

func TestRollbackPinsAndResumes(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	w := newWorld(t, web)
	web.configMap("one", "1")
	web.configMap("old", "1")
	w.run(w.keeping(nil), 0)
	uid := web.uid(t, "one")
	first := web.commit()
	web.configMap("one", "2")
	delete(web.files, "old.yaml")
	web.configMap("new", "2")
	w.run(w.keeping(nil), 0)

	// git is down.
	web.fails = errors.New("no answer")
	report := w.rollback(reconcile.Rollback{App: "web"}, 0)
	if one, old, added := web.get(t, "one"), web.get(t, "old"), web.get(t, "new"); one != "1" || old != "1" || added != "" {
		t.Errorf("one = %q, old = %q, new = %q, want the first set\n%s", one, old, added, show(report))
	}
	if got := web.uid(t, "one"); got != uid {
		t.Errorf("uid = %s, want %s: nothing is made anew", got, uid)
	}
	if text := show(report); !strings.Contains(text, "pinned the app web to "+first[:10]+" by tester: incident 7") {
		t.Errorf("got %s, want the record to say so", text)
	}
	app := w.head().Apps["web"]
	if app.Pin == nil || app.Revision.Commit != first {
		t.Errorf("pin = %+v at %+v, want it in the head, at the first commit", app.Pin, app.Revision)
	}
	renders := web.renders
	again := w.run(w.keeping(nil), 0)
	if again.Record.Verdict != state.Unchanged || !strings.Contains(again.Record.Apps[0].Message, "pinned to") || web.renders != renders {
		t.Errorf("got %s, want it unchanged, and the pin told", show(again))
	}
	// What drifts is put back to the kept set.
	if err := server.Delete(t.Context(), web.path("old")); err != nil {
		t.Fatal(err)
	}
	w.run(w.keeping(nil), 0)
	if got := web.get(t, "old"); got != "1" {
		t.Errorf("old = %q, want it made again", got)
	}

	web.fails = nil
	resume := w.open()
	resume.Configure, resume.Cluster, resume.Reason = nil, nil, "mended"
	if _, err := reconcile.Resume(t.Context(), resume, []string{"web"}); err != nil {
		t.Fatal(err)
	}
	w.run(w.keeping(nil), 0)
	if one, old := web.get(t, "one"), web.get(t, "old"); one != "2" || old != "" {
		t.Errorf("one = %q, old = %q, want what git says", one, old)
	}
}

func TestRollbackGoesFurtherBackEachTime(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	w := newWorld(t, web)
	var runs []string
	for _, value := range []string{"1", "2", "3"} {
		web.configMap("one", value)
		runs = append(runs, w.run(w.keeping(nil), 0).Record.Run)
	}
	for _, want := range []string{"2", "1"} {
		w.rollback(reconcile.Rollback{App: "web"}, 0)
		if got := web.get(t, "one"); got != want {
			t.Errorf("one = %q, want %q", got, want)
		}
	}
	job := w.keeping(nil)
	job.Rollback, job.Only, job.Reason = &reconcile.Rollback{App: "web"}, []string{"web"}, "further"
	if report, err := reconcile.Run(t.Context(), job); !errors.Is(err, reconcile.ErrNotKept) || report.Record.Exit != 12 {
		t.Errorf("got %v and %s, want that no earlier set is kept", err, show(report))
	}
	w.rollback(reconcile.Rollback{App: "web", To: runs[2]}, 0)
	if got := web.get(t, "one"); got != "3" {
		t.Errorf("one = %q, want that of the run that was named", got)
	}
}

func TestRollbackEndsByItsTime(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	w := newWorld(t, web)
	for _, value := range []string{"1", "2"} {
		web.configMap("one", value)
		w.run(w.keeping(nil), 0)
	}
	w.rollback(reconcile.Rollback{App: "web", Until: now().Add(time.Hour)}, 0)
	job := w.keeping(nil)
	job.Now = func() time.Time { return now().Add(2 * time.Hour) }
	report := w.run(job, 0)
	if got := web.get(t, "one"); got != "2" || w.head().Apps["web"].Pin != nil {
		t.Errorf("one = %q, want the pin to have ended\n%s", got, show(report))
	}
}

func TestRollbackEndsWhenItsInputsChange(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	w := newWorld(t, web)
	for _, value := range []string{"1", "2"} {
		web.configMap("one", value)
		w.run(w.keeping(nil), 0)
	}
	w.rollback(reconcile.Rollback{App: "web", UntilChange: true}, 0)
	// A commit that touches nothing of the app is no change of it: it is rendered, once.
	for i, want := range []int{0, 1, 0} {
		if i == 1 {
			web.files["README.md"] = "# Web"
		}
		renders := web.renders
		report := w.run(w.keeping(nil), 0)
		if got := web.renders - renders; got != want || report.Record.Verdict != state.Unchanged || !strings.Contains(report.Record.Apps[0].Message, "pinned to") {
			t.Errorf("run %d: %d renderings, want %d and the pin to hold\n%s", i, got, want, show(report))
		}
	}
	if got := web.get(t, "one"); got != "1" {
		t.Fatalf("one = %q, want the pin to hold", got)
	}
	web.configMap("one", "3")
	report := w.run(w.keeping(nil), 0)
	if got := web.get(t, "one"); got != "3" || w.head().Apps["web"].Pin != nil || !strings.Contains(show(report), "the pin of the app web ended") {
		t.Errorf("one = %q, want the fix\n%s", got, show(report))
	}
}

// What is not known of the set that was there is told by the commit.
func TestRollbackFromWhatIsNotKeptEndsWithTheCommit(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	w := newWorld(t, web)
	for _, value := range []string{"1", "2"} {
		web.configMap("one", value)
		w.run(w.keeping(nil), 0)
	}
	web.configMap("one", "3")
	w.run(w.open(), 0) // keeps nothing
	w.rollback(reconcile.Rollback{App: "web", UntilChange: true}, 0)
	for range 2 {
		w.run(w.keeping(nil), 0)
	}
	if got := web.get(t, "one"); got != "2" {
		t.Fatalf("one = %q, want the newest kept set", got)
	}
	web.files["README.md"] = "# Web"
	w.run(w.keeping(nil), 0)
	if got := web.get(t, "one"); got != "3" || w.head().Apps["web"].Pin != nil {
		t.Errorf("one = %q, want the pin to have ended", got)
	}
}

// withSecret adds a Secret to an app's repository.
func (a *repo) withSecret(name, value string) {
	a.files[name+".yaml"] = fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\ndata: {key: %s}\n",
		name, a.app.Namespace, base64.StdEncoding.EncodeToString([]byte(value)))
}

func (a *repo) secretValue(t *testing.T, name string) string {
	t.Helper()
	answer, err := server.Get(t.Context(), "/api/v1/namespaces/"+a.app.Namespace+"/secrets/"+name)
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(answer), `"key":"`)
	encoded, _, _ := strings.Cut(rest, `"`)
	value, _ := base64.StdEncoding.DecodeString(encoded)
	return string(value)
}

// turn is a cipher for tests.
func turn(data []byte) ([]byte, error) {
	out := []byte("sealed")
	for _, b := range data {
		out = append(out, b^0x55)
	}
	return out, nil
}

func TestRollbackLeavesSecretsWithoutAKey(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	w := newWorld(t, web)
	web.configMap("one", "1")
	web.withSecret("key", "old-canary")
	w.run(w.keeping(nil), 0)
	web.configMap("one", "2")
	web.withSecret("key", "new-canary")
	w.run(w.keeping(nil), 0)
	report := w.rollback(reconcile.Rollback{App: "web"}, 0)
	if one, key := web.get(t, "one"), web.secretValue(t, "key"); one != "1" || key != "new-canary" {
		t.Errorf("one = %q, key = %q, want the Secret as it was live", one, key)
	}
	if text := show(report); !strings.Contains(text, "1 Secret left as live") {
		t.Errorf("got %s, want the record to say so", text)
	}
	w.mustNotHold("old-canary", "new-canary", base64.StdEncoding.EncodeToString([]byte("old-canary")))
	if again := w.run(w.keeping(nil), 0); again.Record.Verdict != state.Unchanged {
		t.Errorf("got %s, want unchanged", show(again))
	}

	// One that is gone cannot be made again.
	if err := server.Delete(t.Context(), "/api/v1/namespaces/"+web.app.Namespace+"/secrets/key"); err != nil {
		t.Fatal(err)
	}
	if text := show(w.run(w.keeping(nil), 11)); !strings.Contains(text, "no-data") {
		t.Errorf("got %s, want the Secret put off", text)
	}
}

func TestRollbackRestoresSecretsWithAKey(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	w := newWorld(t, web)
	web.withSecret("key", "old-canary")
	w.run(w.keeping(turn), 0)
	web.withSecret("key", "new-canary")
	w.run(w.keeping(turn), 0)
	w.mustNotHold("old-canary", "new-canary", base64.StdEncoding.EncodeToString([]byte("old-canary")))
	if kept := w.head().Apps["web"].Kept; len(kept) != 2 || kept[0].Sealed == "" {
		t.Fatalf("kept = %+v, want two sealed sets", kept)
	}
	job := w.keeping(turn)
	job.Unseal = func(data []byte) ([]byte, error) {
		plain, err := turn(data[len("sealed"):])
		return plain[len("sealed"):], err
	}
	job.Rollback, job.Only, job.Reason = &reconcile.Rollback{App: "web"}, []string{"web"}, "incident 7"
	report := w.run(job, 0)
	if key := web.secretValue(t, "key"); key != "old-canary" {
		t.Errorf("key = %q, want the kept one\n%s", key, show(report))
	}
	w.mustNotHold("old-canary", "new-canary")
	if again := w.run(w.keeping(turn), 0); again.Record.Verdict != state.Unchanged {
		t.Errorf("got %s, want unchanged without the key", show(again))
	}
}
