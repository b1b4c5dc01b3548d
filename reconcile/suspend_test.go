package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/window"
	"tidemark.dev/tidemark/state"
)

// suspend and resume are what the commands do, on the world's ledger.
func (w *world) suspend(until time.Time, apps ...string) error {
	job := w.open()
	job.Reason = "sales week"
	_, err := reconcile.Suspend(w.t.Context(), job, apps, until)
	return err
}

func (w *world) resume(apps ...string) error {
	job := w.open()
	job.Reason = "sales are over"
	_, err := reconcile.Resume(w.t.Context(), job, apps)
	return err
}

// What is suspended is looked at and planned, and nothing is written for it.
func TestSuspendedAppsWait(t *testing.T) {
	t.Parallel()
	quiet, busy := newApp(t, "quiet"), newApp(t, "busy")
	quiet.configMap("one", "x")
	busy.configMap("one", "x")
	w := newWorld(t, quiet, busy)
	w.sync(0)
	if err := w.suspend(time.Time{}, "quiet"); err != nil {
		t.Fatal(err)
	}
	w.verdicts(w.sync(0), "unchanged", "unchanged")
	quiet.configMap("one", "y")
	quiet.configMap("two", "y")
	busy.configMap("one", "y")
	report := w.sync(0)
	w.verdicts(report, "waiting", "changed")
	if got := report.Record.Verdict; got != state.Changed {
		t.Errorf("verdict = %s, want changed", got)
	}
	entry := report.Record.Apps[0]
	if !strings.Contains(entry.Message, "suspended by tester since") || !strings.Contains(entry.Message, "sales week") {
		t.Errorf("message = %q, want who suspended it and why", entry.Message)
	}
	if len(entry.Changes) != 2 {
		t.Errorf("changes = %v, want the two that are planned", entry.Changes)
	}
	if one, two := quiet.get(t, "one"), quiet.get(t, "two"); one != "x" || two != "" {
		t.Errorf("a suspended app was written to: one = %q, two = %q", one, two)
	}
	report = w.sync(0) // it does not forget that there is something to do
	w.verdicts(report, "waiting", "unchanged")
	if got := report.Record.Verdict; got != state.Waiting {
		t.Errorf("verdict = %s, want waiting", got)
	}
	if err := w.resume("quiet"); err != nil {
		t.Fatal(err)
	}
	w.verdicts(w.sync(0), "changed", "unchanged")
	if one, two := quiet.get(t, "one"), quiet.get(t, "two"); one != "y" || two != "y" {
		t.Errorf("after resume: one = %q, two = %q, want y", one, two)
	}
	if err := w.resume("quiet"); !errors.Is(err, reconcile.ErrNeedless) {
		t.Errorf("resume again: got %v, want ErrNeedless", err)
	}
	if err := w.suspend(time.Time{}, "other"); err == nil || !strings.Contains(err.Error(), `no app "other"`) {
		t.Errorf("suspend an unknown app: got %v", err)
	}
}

// A freeze holds for every app, and ends by itself.
func TestFreezeEnds(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	w := newWorld(t, app)
	w.sync(0)
	at := time.Now()
	if err := w.suspend(at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	app.configMap("one", "y")
	report := w.sync(0)
	w.verdicts(report, "waiting")
	if !strings.Contains(report.Record.Apps[0].Message, "the whole ledger is suspended by tester") {
		t.Errorf("message = %q", report.Record.Apps[0].Message)
	}
	w.job.Now = func() time.Time { return at.Add(time.Hour) }
	w.verdicts(w.sync(0), "changed")
	if head := w.head(); head.Freeze != nil {
		t.Errorf("the head still holds the freeze %+v", head.Freeze)
	}
	if err := w.suspend(at); err == nil {
		t.Error("a freeze until now was accepted")
	}
}

// The configuration may suspend an app too, as Flux has it.
func TestSuspendedByConfiguration(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	app.app.Suspend = true
	w := newWorld(t, app)
	w.verdicts(w.sync(0), "waiting")
	if got := app.get(t, "one"); got != "" {
		t.Errorf("a suspended app was created: %q", got)
	}
	app.app.Suspend = false
	w.verdicts(w.sync(0), "changed")
}

// A run that died does not stand in the way of a freeze, and what it left in
// doubt stays so.
func TestFreezeAfterADeadRun(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	app.configMap("one", "x")
	w := newWorld(t, app)
	w.ttl = 3 * time.Second
	w.sync(0)
	ledger := w.open().Ledger
	head, err := ledger.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Claim(t.Context(), head, func(*state.Head) {}); err != nil { // and dies
		t.Fatal(err)
	}
	if err := w.suspend(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if head := w.head(); head.Freeze == nil || !head.Lease.Free {
		t.Errorf("freeze %v, lease %+v", head.Freeze, head.Lease)
	}
}

func (w *world) verdicts(report reconcile.Report, want ...string) {
	w.t.Helper()
	var got []string
	for _, a := range report.Record.Apps {
		got = append(got, string(a.Verdict))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		w.t.Fatalf("verdicts = %v, want %v\n%s", got, want, show(report))
	}
}

// Outside of its windows an app waits, and the record says until when.
func TestWindows(t *testing.T) {
	t.Parallel()
	shop, other := newApp(t, "shop"), newApp(t, "other")
	shop.configMap("one", "x")
	other.configMap("one", "x")
	w := newWorld(t, shop, other)
	nights, err := window.New(window.Spec{Kind: window.Allow, Schedule: "0 22 * * *", Duration: time.Hour, TimeZone: "Europe/Berlin", Apps: []string{"shop"}})
	if err != nil {
		t.Fatal(err)
	}
	w.windows = []window.Window{nights}
	at := func(hour int) { w.job.Now = func() time.Time { return time.Date(2026, 7, 1, hour, 0, 0, 0, time.UTC) } }
	at(12)
	report := w.sync(0)
	w.verdicts(report, "waiting", "changed")
	want := `it is outside of the windows that allow it: allow "0 22 * * *" for 1h0m0s (Europe/Berlin); next 2026-07-01T20:00:00Z`
	if got := report.Record.Apps[0].Message; got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
	at(20)
	w.verdicts(w.sync(0), "changed", "unchanged")
	at(21)
	w.verdicts(w.sync(0), "unchanged", "unchanged") // with nothing to do there is nothing to wait for
	shop.configMap("one", "y")
	w.verdicts(w.sync(0), "waiting", "unchanged")
}
