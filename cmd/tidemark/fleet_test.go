package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
)

// lostFleet writes a fleet whose ledgers have a state and no configuration, so
// that their runs end early, and leave a record each.
func lostFleet(t *testing.T, ledgers int) {
	t.Helper()
	t.Chdir(t.TempDir())
	var text strings.Builder
	text.WriteString("apiVersion: tidemark.dev/v1alpha1\ndefaults: {config: lost.yaml}\nledgers:\n")
	for i := range ledgers {
		fmt.Fprintf(&text, "- {name: l%d, state: states/l%d}\n", i, i)
	}
	kubeconfig := "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"http://" + deadEnd(t) + "\"}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
	for file, content := range map[string]string{"fleet.yaml": text.String(), "kubeconfig": kubeconfig} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// runs reads what sync --fleet -o json prints.
func runs(t *testing.T, stdout string) map[string]ledgerRun {
	t.Helper()
	all := map[string]ledgerRun{}
	for line := range strings.Lines(stdout) {
		var run ledgerRun
		if err := json.Unmarshal([]byte(line), &run); err != nil {
			t.Fatalf("a line is no run: %v: %q", err, line)
		}
		if _, twice := all[run.Ledger]; twice {
			t.Errorf("%s has two lines", run.Ledger)
		}
		all[run.Ledger] = run
	}
	return all
}

func TestSharesMakeUpTheFleet(t *testing.T) {
	lostFleet(t, 12)
	seen := map[string]int{}
	for i := range 3 {
		variables := map[string]string{"JOB_COMPLETION_INDEX": fmt.Sprint(i), "TIDEMARK_SHARDS": "3"}
		code, stdout, stderr := call(t, variables, "sync", "--fleet", "fleet.yaml", "--kubeconfig", "kubeconfig", "-o", "json")
		mine := runs(t, stdout)
		if code != reconcile.ExitConfig && len(mine) > 0 {
			t.Errorf("shard %d: exit %d, want %d\n%s", i, code, reconcile.ExitConfig, stderr)
		}
		for name, run := range mine {
			seen[name]++
			if run.Record.Seq != 1 || run.Record.Exit != reconcile.ExitConfig || !strings.Contains(run.Record.Message, "lost.yaml") {
				t.Errorf("ledger %s: record %+v, want the first, of a lost configuration", name, run.Record)
			}
			if _, err := os.Stat(filepath.Join("states", name, "head.json")); err != nil {
				t.Errorf("ledger %s has no head: %v", name, err)
			}
		}
	}
	for i := range 12 {
		if n := seen[fmt.Sprintf("l%d", i)]; n != 1 {
			t.Errorf("ledger l%d was run by %d shards, want 1", i, n)
		}
	}
	// No share is too small to end well.
	code, stdout, stderr := call(t, nil, "sync", "--fleet", "fleet.yaml", "--shard", emptyShard(t), "--kubeconfig", "kubeconfig")
	if code != 0 || !strings.HasPrefix(stdout, "0 of 12 ledgers (shard ") {
		t.Errorf("a share of none: exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// emptyShard names one of a thousand that has none of the ledgers.
func emptyShard(t *testing.T) string {
	t.Helper()
	for i := range 1000 {
		shard := fmt.Sprintf("%d/1000", i)
		share, err := (&cli{env: app.Env{Lookup: func(string) (string, bool) { return "", false }}}).share(fleetFlags{file: "fleet.yaml", shard: shard})
		if err != nil {
			t.Fatal(err)
		}
		if len(share.mine) == 0 {
			return shard
		}
	}
	t.Fatal("12 ledgers are in 1000 shards")
	return ""
}

// Ledgers whose turn had not come when the command was told to end are told of
// too.
func TestFleetIsInterrupted(t *testing.T) {
	lostFleet(t, 3)
	for name, args := range map[string][]string{"a signal": nil, "out of time": {"--timeout", "1ns"}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if args == nil {
			cancel(&interruptError{signal: os.Interrupt})
		}
		var out, errs bytes.Buffer
		code := run(ctx, append([]string{"sync", "--fleet", "fleet.yaml", "--kubeconfig", "kubeconfig", "-o", "json"}, args...), app.Env{
			Lookup: func(string) (string, bool) { return "", false }, Stdout: &out, Stderr: &errs, Now: time.Now,
		})
		cancel(nil)
		if code != reconcile.ExitInterrupted {
			t.Errorf("%s: exit %d, want %d\n%s", name, code, reconcile.ExitInterrupted, errs.String())
		}
		all := runs(t, out.String())
		for i := range 3 {
			if r := all[fmt.Sprintf("l%d", i)].Record; r.Verdict != "interrupted" || r.Exit != reconcile.ExitInterrupted || !strings.HasPrefix(r.Message, "not begun: ") {
				t.Errorf("%s: ledger l%d: got %+v", name, i, r)
			}
		}
	}
}

// At a terminal, each line of stderr says whose it is.
func TestFleetAtATerminal(t *testing.T) {
	lostFleet(t, 3)
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"sync", "--fleet", "fleet.yaml", "--kubeconfig", "kubeconfig"}, app.Env{
		Lookup: func(string) (string, bool) { return "", false }, Stdout: &out, Stderr: &errs, Terminal: true, Now: time.Now,
	})
	if code != reconcile.ExitConfig {
		t.Errorf("exit %d, want %d", code, reconcile.ExitConfig)
	}
	lines := slices.Sorted(strings.Lines(errs.String()))
	for _, line := range lines {
		if name, _, ok := strings.Cut(line, ": "); !ok || len(name) != 2 || name[0] != 'l' {
			t.Errorf("a line says nothing of its ledger: %q", line)
		}
	}
	for _, want := range []string{"l0: tidemark: configure: read configuration lost.yaml", "l2: hint: "} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("no line begins with %q:\n%s", want, errs.String())
		}
	}
}

// What cannot begin is no reason for the others, nor for a code that says that
// nothing was done.
func TestLedgerThatCannotBegin(t *testing.T) {
	t.Chdir(t.TempDir())
	c := &cli{env: app.Env{Lookup: func(string) (string, bool) { return "", false }, Stderr: &bytes.Buffer{}, Home: t.TempDir(), Now: time.Now}}
	one := c.of(config.Ledger{Name: "a", State: "gs://b/p?endpoint=http://127.0.0.1:1", Origin: config.Origin{Config: "c.yaml"}})
	one.settings.LeaseTTL = time.Second
	record, err := one.doLedger(t.Context(), reconcile.Sync, func(reconcile.Report) error { return errors.New("nobody listens") })
	if record.Exit != reconcile.ExitConfig || !strings.Contains(record.Message, "too short for gs://") || err == nil {
		t.Errorf("got %+v, %v; want exit %d and the error of who shows it", record, err, reconcile.ExitConfig)
	}
}
