package main

import (
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	tests := []struct {
		name, events, summary string
		shown                 []string
	}{
		{
			name: "subtests are counted, what holds them is not",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"run","Package":"p","Test":"TestA/one"}
				{"Action":"run","Package":"p","Test":"TestA/two/parts"}
				{"Action":"pass","Package":"p","Test":"TestA/one"}
				{"Action":"pass","Package":"p","Test":"TestA/two/parts"}
				{"Action":"pass","Package":"p","Test":"TestA"}
				{"Action":"pass","Package":"p","Elapsed":1.25}`,
			summary: "2 passed, 0 failed, 0 skipped",
			shown:   []string{"ok   p  1.3s"},
		},
		{
			name: "a failed subtest fails once",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"run","Package":"p","Test":"TestA/one"}
				{"Action":"output","Package":"p","Test":"TestA/one","Output":"    a_test.go:9: got 1, want 2\n"}
				{"Action":"fail","Package":"p","Test":"TestA/one"}
				{"Action":"fail","Package":"p","Test":"TestA"}
				{"Action":"fail","Package":"p"}`,
			summary: "0 passed, 1 failed, 0 skipped",
			shown:   []string{"FAIL p TestA/one\n", "got 1, want 2", "Failed:\n  p TestA/one\n"},
		},
		{
			name: "a skipped test is named with its reason",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: no sshd: install it\n"}
				{"Action":"skip","Package":"p","Test":"TestA"}
				{"Action":"pass","Package":"p"}`,
			summary: "0 passed, 0 failed, 1 skipped",
			shown:   []string{"Skipped:\n  p TestA: no sshd: install it\n"},
		},
		{
			name: "a panic fails the tests under way",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"run","Package":"p","Test":"TestA/one"}
				{"Action":"output","Package":"p","Test":"TestA/one","Output":"panic: boom\n"}
				{"Action":"fail","Package":"p"}`,
			summary: "0 passed, 1 failed, 0 skipped",
			shown:   []string{"panic: boom"},
		},
		{
			name: "a package that fails outside of its tests is a failure",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
				{"Action":"pass","Package":"p","Test":"TestA"}
				{"Action":"output","Package":"p","Output":"exit status 3\n"}
				{"Action":"fail","Package":"p"}`,
			summary: "1 passed, 1 failed, 0 skipped",
			shown:   []string{"exit status 3"},
		},
		{
			name: "what passing tests counted is shown",
			events: `{"Action":"run","Package":"p","Test":"TestB"}
				{"Action":"run","Package":"p","Test":"TestB/dir"}
				{"Action":"output","Package":"p","Test":"TestB/dir","Output":"        races.go:9: counts: races: dir 10,000\n"}
				{"Action":"run","Package":"p","Test":"TestC"}
				{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:9: counts: a lie\n"}
				{"Action":"pass","Package":"p","Test":"TestB/dir"}
				{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: counts: damage: 7 heads\n"}
				{"Action":"pass","Package":"p","Test":"TestB"}
				{"Action":"fail","Package":"p","Test":"TestC"}
				{"Action":"fail","Package":"p"}`,
			summary: "1 passed, 1 failed, 0 skipped",
			shown:   []string{"Failed:\n  p TestC\n\nCounts:\n  damage: 7 heads\n  races: dir 10,000\n"},
		},
		{
			name: "what does not compile is a failure",
			events: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"a.go:1: undefined: x\n"}
				{"ImportPath":"p [p.test]","Action":"build-fail"}
				{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			summary: "0 passed, 1 failed, 0 skipped",
			shown:   []string{"FAIL p (build)", "undefined: x"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			tally := newTally(&out)
			if err := tally.read(strings.NewReader(test.events)); err != nil {
				t.Fatal(err)
			}
			tally.close()
			if got := tally.summary(); got != test.summary {
				t.Errorf("summary: got %q, want %q", got, test.summary)
			}
			for _, want := range test.shown {
				if !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}
