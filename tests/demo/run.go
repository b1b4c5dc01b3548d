package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// outcome is what the story says of a sync.
type outcome struct {
	verdict string
	counts  counts
}

type counts struct{ Created, Changed, Pruned, Drifted, Failed int }

// record is what the story reads of a run's record.
type record struct {
	Verdict string
	Exit    int
	Apps    []struct{ Counts counts }
	Cost    struct{ KubernetesRequests map[string]int }
}

// shown runs tidemark before the reader's eyes and wants the exit code.
func (s *story) shown(ctx context.Context, exit int, args ...string) error {
	s.command("tidemark " + strings.Join(args, " "))
	cmd := s.process(ctx, args...)
	cmd.Stdout = s.out
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if s.terminal {
		cmd.Stderr = os.Stderr // a progress display there, a log elsewhere
	}
	return s.wait(cmd, exit, &stderr)
}

// sync runs tidemark sync and holds the record it left against the story.
func (s *story) sync(ctx context.Context, want outcome) error {
	if err := s.shown(ctx, 0, "sync"); err != nil {
		return err
	}
	s.syncs++
	r, err := s.record(ctx)
	if err != nil {
		return err
	}
	if len(r.Apps) != 1 {
		return fmt.Errorf("the record names %d apps, the story one", len(r.Apps))
	}
	if got := (outcome{r.Verdict, r.Apps[0].Counts}); got != want {
		return fmt.Errorf("the story says %+v, the record %+v", want, got)
	}
	return nil
}

// record reads the newest record.
func (s *story) record(ctx context.Context) (record, error) {
	cmd := s.process(ctx, "audit", "show", strconv.Itoa(s.syncs), "-o", "json")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := s.wait(cmd, 0, &stderr); err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		return record{}, fmt.Errorf("decode the record: %w", err)
	}
	return r, nil
}

// process is tidemark in the story's folder, with the story's variables and nothing else of the reader's: neither their
// KUBECONFIG nor their TIDEMARK_ variables.
func (s *story) process(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.tidemark, args...)
	cmd.Dir = s.dir
	cmd.Env = append(s.variables(), "HOME="+s.dir)
	for _, name := range []string{"PATH", "TERM", "NO_COLOR", "USER", "LANG", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

func (s *story) wait(cmd *exec.Cmd, exit int, stderr *bytes.Buffer) error {
	var failure *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failure) {
		return err
	}
	if got := cmd.ProcessState.ExitCode(); got != exit {
		return fmt.Errorf("tidemark %s: exit code %d, the story says %d\n%s", strings.Join(cmd.Args[1:], " "), got, exit, stderr)
	}
	return nil
}
