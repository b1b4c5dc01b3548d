package reconcile_test

import (
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/state"
)

// A cluster that does not answer is an outage (15): nobody interrupted the run
// (16), though its apps were not reached.
func TestRunTellsAnOutageFromAnInterruption(t *testing.T) {
	t.Parallel()
	app := newApp(t, "app")
	w := newWorld(t, app)
	job := w.open()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	nobody, err := cluster.Open(cluster.Options{Server: "https://127.0.0.1:1", TokenFile: token, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	job.Cluster = nobody
	report := w.run(job, reconcile.ExitUnreachable)
	if report.Record.Verdict != state.Failed || report.Record.Apps[0].Verdict != state.Failed || !report.Recorded {
		t.Fatalf("got verdicts %s and %s, recorded %v, want failed twice, in the ledger\n%s",
			report.Record.Verdict, report.Record.Apps[0].Verdict, report.Recorded, show(report))
	}
}
