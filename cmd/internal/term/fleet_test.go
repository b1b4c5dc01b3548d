package term_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/state"
)

func TestFleet(t *testing.T) {
	var text strings.Builder
	for _, run := range []struct {
		ledger string
		record state.Record
	}{
		{"shop-eu", state.Record{Verdict: state.Changed, Apps: []state.AppRecord{
			{Name: "web", Counts: state.Counts{Created: 2, Unchanged: 1}}, {Name: "db", Counts: state.Counts{Created: 1, Pruned: 1, Unchanged: 3}, Message: "not worth a word: it went well"},
		}}},
		{"lab", state.Record{Verdict: state.Skipped, Message: "run X of me@laptop holds the lease"}},
		{"shop-us", state.Record{Verdict: state.Refused, Exit: 10, Apps: []state.AppRecord{
			{Name: "web", Refusals: []state.Refusal{{Reason: "guard", Message: "it would prune a Namespace"}}, Counts: state.Counts{Unchanged: 3}},
		}}},
		{"shop-\x1b[31mxx", state.Record{Verdict: state.Failed, Exit: 12, Message: "configure: bad.yaml:3: foo: unknown field\nbad.yaml:4: " + strings.Repeat("x", 200)}},
	} {
		text.WriteString(term.LedgerRun(run.ledger, 7, run.record, term.Style{}))
	}
	text.WriteString(term.LedgerRun("shop-eu", 7, state.Record{Verdict: state.Changed}, term.Style{Paint: term.NewPaint(true)}))
	runs := map[state.Verdict]int{state.Failed: 1, state.Changed: 2}
	text.WriteString(term.Fleet{Runs: runs, Ledgers: 3, Took: 1500 * time.Millisecond}.Text(term.Style{}))
	text.WriteString(term.Fleet{Runs: runs, Ledgers: 9, Shard: "1/3", Took: time.Minute}.Text(term.Style{}))
	text.WriteString(term.Fleet{Ledgers: 1, Shard: "1/3"}.Text(term.Style{}))
	golden(t, "fleet.txt", text.String())
}

// Pieces that are written at once do not mix, and each line says whose it is.
func TestSharedAndPrefixed(t *testing.T) {
	var out bytes.Buffer
	shared := term.Shared(&out)
	var writing sync.WaitGroup
	for i := range 8 {
		writing.Go(func() {
			w := term.Prefixed(shared, fmt.Sprintf("%d: ", i))
			for range 50 {
				if n, err := w.Write([]byte("one\ntwo\n")); n != 8 || err != nil {
					t.Errorf("Write: got %d, %v", n, err)
				}
			}
		})
	}
	writing.Wait()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 800 {
		t.Fatalf("got %d lines, want 800", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		if lines[i][1:] != ": one" || lines[i+1] != lines[i][:1]+": two" {
			t.Fatalf("lines %d and %d: got %q and %q", i, i+1, lines[i], lines[i+1])
		}
	}
}
