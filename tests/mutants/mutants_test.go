package main

import (
	"strings"
	"testing"
)

// Every safeguard still stands where the table looks for it; whether a test notices its loss is what make mutants shows.
func TestSafeguardsAreFound(t *testing.T) {
	t.Chdir("../..")
	seen := map[string]bool{}
	for _, m := range mutants {
		if seen[m.safeguard] || len(m.tests) == 0 {
			t.Errorf("%s: named twice, or without a test that should notice", m.safeguard)
		}
		seen[m.safeguard] = true
		text, err := m.changed()
		if err != nil {
			t.Errorf("%s: %v", m.safeguard, err)
		} else if m.new != "" && !strings.Contains(text, m.new) {
			t.Errorf("%s: the file does not hold the edit", m.safeguard)
		}
	}
}

func TestFailed(t *testing.T) {
	for output, want := range map[string]string{
		"--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/one (0.0s)\n        x_test.go:1: no\n    --- FAIL: TestA/two (0.0s)\nFAIL\n": "TestA/one",
		"panic: boom\nFAIL\n": "a panic",
	} {
		if got := failed([]byte(output)); got != want {
			t.Errorf("failed(%q) = %q, want %q", output, got, want)
		}
	}
}
