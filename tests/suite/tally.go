package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// event is one line of go test -json (go doc test2json, go help buildjson).
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// testRun is a test that has begun.
type testRun struct {
	output   []string
	parent   bool // it has subtests
	failing  bool // a subtest failed
	finished bool
}

// tally prints what go test would, less the noise, and counts.
type tally struct {
	out                     io.Writer
	passed, failed, skipped int
	skips                   []string
	failures                []string
	counts                  []string
	builds                  map[string][]string            // import path: what the compiler said
	running                 map[string]map[string]*testRun // package: test
	spoken                  map[string][]string            // package: output outside of tests
}

func newTally(out io.Writer) *tally {
	return &tally{out: out, builds: map[string][]string{}, running: map[string]map[string]*testRun{}, spoken: map[string][]string{}}
}

func (t *tally) summary() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)
}

// close prints what a reader of a long output would otherwise have to look for,
// and what passing tests counted.
func (t *tally) close() {
	slices.Sort(t.counts)
	for _, list := range []struct {
		title string
		names []string
	}{{"Skipped", t.skips}, {"Failed", t.failures}, {"Counts", t.counts}} {
		if len(list.names) > 0 {
			fmt.Fprintf(t.out, "\n%s:\n  %s\n", list.title, strings.Join(list.names, "\n  "))
		}
	}
}

func (t *tally) read(events io.Reader) error {
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			// go test itself speaks plainly when it cannot start.
			fmt.Fprintln(t.out, lines.Text())
			continue
		}
		t.add(e)
	}
	return lines.Err()
}

func (t *tally) add(e event) {
	switch {
	case e.Action == "build-output":
		t.builds[e.ImportPath] = append(t.builds[e.ImportPath], e.Output)
	case e.Test != "":
		t.addTest(e)
	case e.Action == "output":
		t.spoken[e.Package] = append(t.spoken[e.Package], e.Output)
	case e.Action == "pass", e.Action == "fail", e.Action == "skip":
		t.endPackage(e)
	}
}

func (t *tally) addTest(e event) {
	tests := t.running[e.Package]
	if tests == nil {
		tests = map[string]*testRun{}
		t.running[e.Package] = tests
	}
	if tests[e.Test] == nil {
		tests[e.Test] = &testRun{}
	}
	switch e.Action {
	case "run":
		for _, parent := range holders(tests, e.Test) {
			parent.parent = true
		}
	case "output":
		tests[e.Test].output = append(tests[e.Test].output, e.Output)
	case "pass", "fail", "skip":
		t.endTest(e.Package, e.Test, e.Action)
	}
}

func (t *tally) endTest(pkg, name, action string) {
	tests := t.running[pkg]
	run := tests[name]
	run.finished = true
	title := pkg + " " + name
	if action == "pass" {
		t.counts = append(t.counts, counted(run.output)...)
	}
	switch {
	case action == "fail" && !run.failing:
		for _, parent := range holders(tests, name) {
			parent.failing = true
		}
		t.failed++
		t.failures = append(t.failures, title)
		fmt.Fprintf(t.out, "FAIL %s\n%s", title, said(run.output))
	case action == "fail":
		fmt.Fprint(t.out, said(run.output))
	case run.parent:
	case action == "skip":
		t.skipped++
		t.skips = append(t.skips, fmt.Sprintf("%s: %s", title, reason(run.output)))
	default:
		t.passed++
	}
}

func (t *tally) endPackage(e event) {
	tests := t.running[e.Package]
	failed, ran := t.failed, len(tests)
	// Subtests come before what holds them.
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(tests))) {
		if !tests[name].finished {
			// The package ended under it: a panic, an exit, a time-out.
			t.endTest(e.Package, name, "fail")
		}
	}
	delete(t.running, e.Package)
	took := time.Duration(e.Elapsed * float64(time.Second)).Round(100 * time.Millisecond)
	switch {
	case e.Action == "fail" && e.FailedBuild != "":
		t.failPackage(e.Package+" (build)", t.builds[e.FailedBuild])
	case e.Action == "fail":
		if failed == t.failed && !t.hasFailure(e.Package) {
			t.failPackage(e.Package, t.spoken[e.Package])
		} else if failed != t.failed {
			fmt.Fprint(t.out, said(t.spoken[e.Package]))
		}
		fmt.Fprintf(t.out, "FAIL %s  %s\n", e.Package, took)
	case ran > 0:
		fmt.Fprintf(t.out, "ok   %s  %s\n", e.Package, took)
	}
	delete(t.spoken, e.Package)
}

func (t *tally) hasFailure(pkg string) bool {
	return slices.ContainsFunc(t.failures, func(title string) bool { return strings.HasPrefix(title, pkg+" ") })
}

func (t *tally) failPackage(title string, output []string) {
	t.failed++
	t.failures = append(t.failures, title)
	fmt.Fprintf(t.out, "FAIL %s\n%s", title, said(output))
}

// holders are the tests that hold the subtest. A slash may also be a part of a name.
func holders(tests map[string]*testRun, name string) []*testRun {
	var all []*testRun
	for i, c := range name {
		if c == '/' && tests[name[:i]] != nil {
			all = append(all, tests[name[:i]])
		}
	}
	return all
}

// said is the output less go test's own headings.
func said(output []string) string {
	var b strings.Builder
	for _, line := range output {
		heading := strings.TrimLeft(line, " ")
		if !strings.HasPrefix(heading, "=== ") {
			b.WriteString("  " + line)
		}
	}
	return b.String()
}

// counted is what a test logged as its counts ("counts: races: 10,000 …"), less
// the place in the source.
func counted(output []string) []string {
	var counts []string
	for _, line := range output {
		if _, count, found := strings.Cut(line, ": counts: "); found {
			counts = append(counts, strings.TrimSpace(count))
		}
	}
	return counts
}

// reason is what t.Skip was told, less the place in the source.
func reason(output []string) string {
	for _, line := range output {
		if _, why, found := strings.Cut(line, "_test.go:"); found {
			if _, why, found = strings.Cut(why, ": "); found {
				return strings.TrimSpace(why)
			}
		}
	}
	return "no reason given"
}
