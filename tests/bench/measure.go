package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Sample is one measured run of one contestant.
type Sample struct {
	Contestant string `json:"contestant"`
	Workload   string `json:"workload"`
	Objects    int    `json:"objects"`
	Scenario   string `json:"scenario"`
	Round      int    `json:"round"`
	// Seconds is the wall time from the start of the process to its end.
	Seconds float64 `json:"seconds"`
	// ClientCPU is the processor time of the process and its children, ServerCPU that of the API server meanwhile.
	ClientCPU float64 `json:"clientCPU"`
	ServerCPU float64 `json:"serverCPU"`
	PeakBytes int64   `json:"peakBytes"`
	// Requests are those to the API server, by verb, as its audit log has them.
	Requests map[string]int `json:"requests,omitempty"`
	// StoreRequests are those to the store, by method.
	StoreRequests map[string]int `json:"storeRequests,omitempty"`
	// GitBytes is what the git server answered.
	GitBytes int64 `json:"gitBytes,omitempty"`
	// TreeBytes is what all folders of the commit take in git, OwnBytes what the manifests of the touched app do.
	TreeBytes int64 `json:"treeBytes,omitempty"`
	OwnBytes  int64 `json:"ownBytes,omitempty"`
	// Record is the cost that Tidemark itself noted.
	Record json.RawMessage `json:"record,omitempty"`
	// Inner is what the program itself says its work took, without the start of the process.
	Inner float64 `json:"inner,omitempty"`
	// Mended says, of a run after an edit by hand, that the edit is gone.
	Mended bool `json:"mended,omitempty"`
	// InTurn is the same with one request at a time.
	InTurn float64 `json:"inTurn,omitempty"`

	trips []trip
}

// command is a program to measure.
type command struct {
	argv []string
	env  []string
	dir  string
}

// measure runs the program at the place and gives what it took and what it printed. An exit code other than 0 is an
// error.
func (b *bench) measure(ctx context.Context, p *place, c command) (Sample, []byte, error) {
	if _, err := p.requests(); err != nil {
		return Sample{}, nil, err
	}
	p.gitBytes()
	p.watched.since()
	before, err := p.serverCPU()
	if err != nil {
		return Sample{}, nil, err
	}
	s, out, err := b.meter(ctx, p.dir, c)
	if err != nil {
		return s, out, err
	}
	after, err := p.serverCPU()
	if err != nil {
		return s, out, err
	}
	s.ServerCPU = after - before
	s.GitBytes = p.gitBytes()
	s.trips = p.watched.since()
	s.StoreRequests = methods(s.trips)
	s.Requests, err = p.requests()
	return s, out, err
}

// meter runs a program with nothing of the caller's environment and gives what it took and what it printed.
func (b *bench) meter(ctx context.Context, dir string, c command) (Sample, []byte, error) {
	file := filepath.Join(dir, "meter.json")
	cmd := exec.CommandContext(ctx, b.programs["meter"], append([]string{file}, c.argv...)...)
	cmd.Dir = c.dir
	cmd.Env = append([]string{"HOME=" + filepath.Join(dir, "home"), "PATH=/nonexistent", "TMPDIR=" + dir}, c.env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return Sample{}, nil, fmt.Errorf("measure %s: %w: %s", c.argv[0], err, stderr.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return Sample{}, nil, err
	}
	var reading struct {
		Exit    int
		Seconds float64
		CPU     float64
		PeakKiB int64
	}
	if err := json.Unmarshal(text, &reading); err != nil {
		return Sample{}, nil, err
	}
	s := Sample{Seconds: reading.Seconds, ClientCPU: reading.CPU, PeakBytes: reading.PeakKiB << 10}
	if reading.Exit != 0 {
		return s, []byte(stdout.String()), errors.Join(fmt.Errorf("%s: exit code %d", strings.Join(c.argv, " "), reading.Exit),
			errors.New(last(stdout.String())), errors.New(last(stderr.String())))
	}
	return s, []byte(stdout.String()), nil
}

// last keeps the end of what a program said.
func last(text string) string {
	const most = 2000
	return text[max(0, len(text)-most):]
}
