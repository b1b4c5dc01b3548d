package fleet_test

import (
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/tidemark/cmd/internal/fleet"
)

// names are those of a fleet, alike as such names are.
func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("shop-%04d", i)
	}
	return all
}

// shardOf gives the one shard that has the ledger.
func shardOf(t *testing.T, ledger string, count int) int {
	t.Helper()
	found := -1
	for i := range count {
		if !(fleet.Shard{Index: i, Count: count}).Has(ledger) {
			continue
		}
		if found >= 0 {
			t.Fatalf("%s belongs to the shards %d and %d of %d", ledger, found, i, count)
		}
		found = i
	}
	if found < 0 {
		t.Fatalf("%s belongs to no shard of %d", ledger, count)
	}
	return found
}

func TestEachLedgerHasOneShard(t *testing.T) {
	odd := []string{"", "a", "0", "1/a", "ö", strings.Repeat("x", 63)}
	for count := 1; count <= 16; count++ {
		for _, ledger := range append(names(200), odd...) {
			shardOf(t, ledger, count)
		}
	}
	if !fleet.Whole.Has("anything") {
		t.Error("the whole fleet lacks a ledger")
	}
}

// A further shard takes its share, and no ledger goes from an old shard to
// another old one.
func TestFurtherShardMovesItsShareOnly(t *testing.T) {
	ledgers := names(2000)
	for count := 1; count <= 12; count++ {
		moved := 0
		for _, ledger := range ledgers {
			before, after := shardOf(t, ledger, count), shardOf(t, ledger, count+1)
			if before == after {
				continue
			}
			if moved++; after != count {
				t.Errorf("%s goes from shard %d to %d when shard %d comes", ledger, before, after, count)
			}
		}
		if most := 1.3 * float64(len(ledgers)) / float64(count+1); float64(moved) > most {
			t.Errorf("from %d to %d shards: %d of %d ledgers move, more than %.0f", count, count+1, moved, len(ledgers), most)
		}
	}
}

func TestShardsAreOfOneSize(t *testing.T) {
	const each = 500
	for _, count := range []int{2, 3, 7, 10} {
		got := make([]int, count)
		for _, ledger := range names(each * count) {
			got[shardOf(t, ledger, count)]++
		}
		for i, n := range got {
			// Four standard deviations.
			if n < each-90 || n > each+90 {
				t.Errorf("shard %d/%d has %d ledgers, want about %d", i, count, n, each)
			}
		}
	}
}

// Two versions of Tidemark may share a fleet, so that these never change.
func TestShardsNeverChange(t *testing.T) {
	for ledger, want := range map[string]map[int]int{
		"a":                                 {2: 0, 3: 0, 10: 9, 100: 91},
		"shop-eu":                           {2: 0, 3: 0, 10: 7, 100: 55},
		"shop-us":                           {2: 1, 3: 1, 10: 1, 100: 32},
		"prod":                              {2: 0, 3: 0, 10: 5, 100: 92},
		"cluster-0001":                      {2: 1, 3: 1, 10: 4, 100: 58},
		"cluster-0002":                      {2: 1, 3: 2, 10: 7, 100: 7},
		"tenant-" + strings.Repeat("x", 56): {2: 1, 3: 2, 10: 2, 100: 67},
	} {
		for count, shard := range want {
			if got := shardOf(t, ledger, count); got != shard {
				t.Errorf("%q belongs to shard %d/%d, want %d: an assignment is for ever", ledger, got, count, shard)
			}
		}
	}
}

func TestParseShard(t *testing.T) {
	for text, want := range map[string]fleet.Shard{"0/1": fleet.Whole, "0/3": {0, 3}, "2/3": {2, 3}, "9999/10000": {9999, 10000}} {
		got, err := fleet.ParseShard(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseShard(%q): got %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":               "is not INDEX/COUNT",
		"1":              "is not INDEX/COUNT",
		"/3":             "is not INDEX/COUNT",
		"1/":             "is not INDEX/COUNT",
		"1/2/3":          "is not INDEX/COUNT",
		"-1/3":           "is not INDEX/COUNT",
		"+1/3":           "is not INDEX/COUNT",
		"0x1/3":          "is not INDEX/COUNT",
		" 1/3":           "is not INDEX/COUNT",
		"a/b":            "is not INDEX/COUNT",
		"0/0":            "at least one",
		"3/3":            "the last of 3 is 2",
		"0/10001":        "at most 10000",
		"1/999999999999": "is not INDEX/COUNT",
	} {
		if got, err := fleet.ParseShard(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseShard(%q): got %v, %v, want an error that says %q", text, got, err, want)
		}
	}
}
