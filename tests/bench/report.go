package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is what bench.json holds.
type Report struct {
	Machine string    `json:"machine"`
	When    time.Time `json:"when"`
	Minutes float64   `json:"minutes"`
	Rounds  int       `json:"rounds"`
	Smoke   bool      `json:"smoke"`
	// Full: the other tools were measured at the largest size too.
	Full    bool              `json:"full"`
	Absent  map[string]string `json:"absent"`
	Missing []string          `json:"notMeasured,omitempty"`
	Bars    []Bar             `json:"bars"`
	Samples []Sample          `json:"samples"`

	sizes []int // in objects
	peers []string
	apps  int
	files int
}

func newReport(b *bench, samples []Sample, smoke, full bool, failures []error) *Report {
	r := &Report{
		Machine: machine(), When: b.began.UTC().Truncate(time.Second), Minutes: time.Since(b.began).Minutes(),
		Rounds: b.rounds, Smoke: smoke, Full: full, Absent: b.absent, Samples: samples, peers: b.rivals, apps: b.apps, files: 40 * b.apps,
	}
	for _, n := range b.sizes {
		r.sizes = append(r.sizes, b.per*n)
	}
	for _, err := range failures {
		r.Missing = append(r.Missing, err.Error())
	}
	r.Bars = r.bars()
	for _, bar := range r.Bars {
		if !bar.Measured && len(b.only) == 0 {
			r.Missing = append(r.Missing, "the bar: "+bar.What)
		}
	}
	return r
}

func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
}

// write prints the report and leaves bench.json and the plots in the folder.
func (r *Report) write(dir string, to io.Writer) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), append(text, '\n'), 0o600); err != nil {
		return err
	}
	for _, p := range r.plots() {
		if err := os.WriteFile(filepath.Join(dir, p.file), []byte(p.svg()), 0o600); err != nil {
			return err
		}
	}
	_, err = io.WriteString(to, r.text(dir))
	return err
}

func (r *Report) text(dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What Tidemark costs\n\n%s, %s, %.0f min.\n", r.Machine, r.When.Format("2006-01-02 15:04 MST"), r.Minutes)
	fmt.Fprintf(&b, "Medians of %d rounds in which the contestants took turns, each with a cluster of its own that nobody had used.\n", r.Rounds)
	b.WriteString("Wall time is that of the whole process. API server: its processor time meanwhile. Requests: those of the audit log.\n")
	b.WriteString("Memory: resident at its highest, pages of the program's file included, which was read from the disk.\n")
	if r.Smoke {
		b.WriteString("SMOKE: tiny sizes, one round: this proves that all can be measured; the numbers say nothing.\n")
	}
	if !r.Full {
		fmt.Fprintf(&b, "With %s objects only Tidemark and the floor are measured, and slow tools do some scenarios once; make bench FULL=1 does all.\n", thousands(r.sizes[len(r.sizes)-1]))
	}
	for _, name := range sortedKeys(r.Absent) {
		fmt.Fprintf(&b, "Not measured: %s (%s).\n", name, r.Absent[name])
	}
	for _, size := range r.sizes {
		fmt.Fprintf(&b, "\n## The mix, %s objects\n\n%s", thousands(size), r.table("mix", size))
	}
	fmt.Fprintf(&b, "\n## %d apps in one repository of %s files\n\n%s", r.apps, thousands(r.files), r.table(monorepo, 0))
	fmt.Fprintf(&b, "\n## Cold start\n\n%s", r.table("cold start", 0))
	fmt.Fprintf(&b, "\nEvery sample: %s\n", filepath.Join(dir, "bench.json"))
	for _, p := range r.plots() {
		fmt.Fprintf(&b, "Plot: %s\n", filepath.Join(dir, p.file))
	}
	fmt.Fprintf(&b, "\n## Bars\n\n%s", barTable(r.Bars))
	for _, missing := range r.Missing {
		fmt.Fprintf(&b, "\nNOT MEASURED: %s\n", missing)
	}
	return b.String()
}

// table has one row for each scenario and contestant of a workload; size 0 is any.
func (r *Report) table(workload string, size int) string {
	rows := [][]string{{"scenario", "who", "runs", "wall, s", "least–most", "client CPU, s", "API server CPU, s", "peak, MB", "requests", "by verb", "from git"}}
	var keys [][2]string
	for _, s := range r.Samples {
		key := [2]string{s.Scenario, s.Contestant}
		if s.Workload == workload && (size == 0 || s.Objects == size) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	order := []string{first, unchanged, changed, touched, drifted, removed, start, lists, ref, trips}
	slices.SortStableFunc(keys, func(a, b [2]string) int { return slices.Index(order, a[0]) - slices.Index(order, b[0]) })
	for _, key := range keys {
		those := r.of(key[1], workload, size, key[0])
		walls := each(those, wall)
		last := those[len(those)-1]
		requests, verbs := "", ""
		if last.Requests != nil {
			requests, verbs = thousands(sum(last.Requests)), byVerb(last.Requests)
		}
		fromGit := ""
		if last.GitBytes > 0 {
			fromGit = size10(median(each(those, func(s Sample) float64 { return float64(s.GitBytes) })))
		}
		who := key[1]
		if key[0] == drifted && !all(those, func(s Sample) bool { return s.Mended }) {
			who += " (not mended)"
		}
		rows = append(rows, []string{
			key[0], who, fmt.Sprint(len(those)), seconds(median(walls)), seconds(slices.Min(walls)) + "–" + seconds(slices.Max(walls)),
			optional(median(each(those, func(s Sample) float64 { return s.ClientCPU }))), optional(median(each(those, func(s Sample) float64 { return s.ServerCPU }))),
			optional0(median(each(those, peak)) / 1e6), requests, verbs, fromGit,
		})
	}
	return aligned(rows)
}

// of gives the samples of a contestant, in order of time; size 0 is any.
func (r *Report) of(contestant, workload string, size int, scenario string) []Sample {
	var those []Sample
	for _, s := range r.Samples {
		if s.Contestant == contestant && s.Workload == workload && s.Scenario == scenario && (size == 0 || s.Objects == size) {
			those = append(those, s)
		}
	}
	return those
}

func wall(s Sample) float64 { return s.Seconds }
func peak(s Sample) float64 { return float64(s.PeakBytes) }

func each(samples []Sample, value func(Sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = value(s)
	}
	return values
}

func all(samples []Sample, holds func(Sample) bool) bool {
	return !slices.ContainsFunc(samples, func(s Sample) bool { return !holds(s) })
}

// aligned is a table in Markdown whose columns stand under each other.
func aligned(rows [][]string) string {
	if len(rows) < 2 {
		return "nothing was measured\n"
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	line := func(row []string, fill string) {
		for i, cell := range row {
			fmt.Fprintf(&b, "| %s%s ", cell, strings.Repeat(fill, widths[i]-len([]rune(cell))))
		}
		b.WriteString("|\n")
	}
	for i, row := range rows {
		line(row, " ")
		if i == 0 {
			line(make([]string, len(row)), "-")
		}
	}
	return b.String()
}

func byVerb(counts map[string]int) string {
	var parts []string
	for _, verb := range sortedKeys(counts) {
		parts = append(parts, fmt.Sprintf("%s %d", verb, counts[verb]))
	}
	return strings.Join(parts, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func sum(counts map[string]int) int {
	n := 0
	for _, count := range counts {
		n += count
	}
	return n
}

func seconds(s float64) string {
	switch {
	case s < 0.1:
		return fmt.Sprintf("%.4f", s)
	case s < 10:
		return fmt.Sprintf("%.3f", s)
	}
	return fmt.Sprintf("%.1f", s)
}

func optional(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", v)
}

func optional0(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", v)
}

func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func size10(bytes float64) string {
	switch {
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", bytes/1e6)
	case bytes >= 1e3:
		return fmt.Sprintf("%.1f kB", bytes/1e3)
	}
	return fmt.Sprintf("%.0f B", bytes)
}
