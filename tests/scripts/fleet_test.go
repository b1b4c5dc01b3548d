package scripts_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

// wideFleet is the user that the fleet of TestWideFleet is synced as.
const wideFleet = "wide-fleet"

// fleetRun is a line of what sync --fleet -o json prints.
type fleetRun struct {
	Ledger string
	Record struct {
		Seq     int
		Verdict string
		Exit    int
		Cost    struct{ PeakMemoryBytes int64 }
	}
}

// TestWideFleet syncs sixty ledgers of one cluster by three processes that know nothing of each other but their number, as
// the pods of an Indexed Job do.
func TestWideFleet(t *testing.T) {
	t.Parallel()
	const ledgers, shards = 60, 3
	env, fleet := fleetWorld(t, ledgers)
	share := map[string]int{}
	for round, verdict := range []string{"changed", "unchanged"} {
		all := make([][]fleetRun, shards)
		var running sync.WaitGroup
		for i := range shards {
			running.Go(func() {
				pod := append(slices.Clone(env), fmt.Sprintf("JOB_COMPLETION_INDEX=%d", i), fmt.Sprintf("TIDEMARK_SHARDS=%d", shards))
				all[i] = fleetRuns(t, pod, "sync", "--fleet", fleet, "-o", "json")
			})
		}
		running.Wait()
		seen := map[string]bool{}
		for i, runs := range all {
			if len(runs) < ledgers/shards/2 {
				t.Errorf("round %d: shard %d has %d of %d ledgers", round, i, len(runs), ledgers)
			}
			for _, run := range runs {
				if before, known := share[run.Ledger]; seen[run.Ledger] || known && before != i {
					t.Errorf("round %d: %s was synced by shard %d, and before by %d", round, run.Ledger, i, before)
				}
				seen[run.Ledger], share[run.Ledger] = true, i
				if run.Record.Verdict != verdict || run.Record.Seq != round+1 {
					t.Errorf("round %d: %s is %s by its record %d, want %s by record %d", round, run.Ledger, run.Record.Verdict, run.Record.Seq, verdict, round+1)
				}
			}
		}
		if len(seen) != ledgers {
			t.Errorf("round %d: %d ledgers were synced: %v; want %d", round, len(seen), slices.Sorted(maps.Keys(seen)), ledgers)
		}
	}
	// One process can do it all. What a run needed is given back after it: the last ledger finds the process hardly larger
	// than the first ones left it.
	// (GOGC asks for no more than what is held: without it the first collection comes late.)
	const warm = 15
	runs := fleetRuns(t, append(slices.Clone(env), "GOGC=50"), "sync", "--fleet", fleet, "-o", "json", "--parallel", "1")
	if len(runs) != ledgers {
		t.Fatalf("%d ledgers were synced by one process, want %d", len(runs), ledgers)
	}
	early, late := runs[warm].Record.Cost.PeakMemoryBytes, runs[ledgers-1].Record.Cost.PeakMemoryBytes
	if early == 0 || late > early*5/4 {
		t.Errorf("after %d ledgers the process had needed %d MB, after %d it had needed %d MB", warm, early>>20, ledgers, late>>20)
	}
	cp, err := shared.cluster()
	if err != nil {
		t.Fatal(err)
	}
	for i := range ledgers {
		if _, err := cp.Get(t.Context(), fmt.Sprintf("/api/v1/namespaces/wide-%d/configmaps/ship", i)); err != nil {
			t.Errorf("the ship of ledger %d: %v", i, err)
		}
	}
}

// fleetWorld writes a fleet of ledgers, each with a namespace of the shared cluster, and gives the environment to run it in.
func fleetWorld(t *testing.T, ledgers int) (env []string, fleet string) {
	t.Helper()
	cp, err := shared.cluster()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	repo, err := servers.NewRepo(t.Context(), filepath.Join(dir, "worktree"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(t.Context(), map[string]string{"ship.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ship}\n"}, "a ship"); err != nil {
		t.Fatal(err)
	}
	if err := repo.Publish(t.Context(), filepath.Join(dir, "fleet.git"), servers.Serving{}); err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	list.WriteString("apiVersion: tidemark.dev/v1alpha1\nledgers:\n")
	for i := range ledgers {
		fmt.Fprintf(&list, "- {name: wide-%d, state: \"file://%s/states/%d\", config: %s/wide-%d.yaml}\n", i, dir, i, dir, i)
		write(fmt.Sprintf("wide-%d.yaml", i), fmt.Sprintf("apiVersion: tidemark.dev/v1alpha1\nrepositories: [{name: fleet, url: %s/fleet.git}]\napps: [{name: ship, namespace: wide-%d, createNamespace: true}]\n", dir, i))
	}
	write("fleet.yaml", list.String())
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := cp.Kubeconfig(kubeconfig, wideFleet); err != nil {
		t.Fatal(err)
	}
	return []string{"TIDEMARK_KUBECONFIG=" + kubeconfig, "HOME=" + dir}, filepath.Join(dir, "fleet.yaml")
}

// fleetRuns runs the binary, which must end well, and gives the lines of its stdout.
func fleetRuns(t *testing.T, env []string, args ...string) []fleetRun {
	t.Helper()
	result, err := binary.Run(t.Context(), env, args...)
	if err != nil {
		t.Error(err)
		return nil
	}
	if result.Exit != 0 {
		t.Errorf("%v: exit %d\n%s", args, result.Exit, result.Stderr)
	}
	var runs []fleetRun
	for line := range strings.Lines(result.Stdout) {
		var run fleetRun
		if err := json.Unmarshal([]byte(line), &run); err != nil {
			t.Errorf("%v: a line is no run: %v: %q", args, err, line)
		}
		runs = append(runs, run)
	}
	return runs
}
