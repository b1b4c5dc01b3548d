package faults_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/tests/binary"
)

// process is one running tidemark, the leader of a process group of its own.
type process struct {
	world          *world
	number         int // in the journal
	cmd            *exec.Cmd
	tmp            string
	stdout, stderr bytes.Buffer // complete once done is closed
	began          time.Time
	took           time.Duration
	left           error         // what went wrong with reading what it had sent
	ended          chan struct{} // closed when the process has ended
	done           chan struct{} // closed when, besides, all that it had sent was read
}

// patience is how long any run of these tests may take. A run is told less, so that it ends by itself.
const patience = 90 * time.Second

// start begins a run of the binary, as a user of the cluster, with nothing of this process's environment.
func (w *world) start(as string, args ...string) (*process, error) {
	bin, err := binary.Path()
	if err != nil {
		return nil, err
	}
	p := &process{world: w, number: w.journal.begin(as), ended: make(chan struct{}), done: make(chan struct{})}
	p.tmp = filepath.Join(w.dir, fmt.Sprintf("tmp-%d", p.number))
	if err := os.Mkdir(p.tmp, 0o700); err != nil {
		return nil, err
	}
	p.cmd = exec.Command(bin, args...)
	p.cmd.Dir = w.dir
	p.cmd.Env = append([]string{"HOME=/nonexistent", "PATH=/nonexistent", "TMPDIR=" + p.tmp, "GIT_PASSWORD=" + gitPassword}, w.store.env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	w.running.Add(1)
	go func() {
		_ = p.cmd.Wait() // the exit code is asked for
		p.took = time.Since(p.began)
		close(p.ended)
		if w.running.Add(-1) == 0 {
			p.left = w.drain()
		}
		close(p.done)
	}()
	return p, nil
}

// sync begins a run of tidemark sync.
func (w *world) sync(as, ttl string, more ...string) (*process, error) {
	return w.start(as, append([]string{"sync", "--config", w.config(as), "--lease-ttl", ttl, "--timeout", "60s", "--output", "json"}, more...)...)
}

// signal sends a signal to the whole group.
func (p *process) signal(s syscall.Signal) error {
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s: %w", s, err)
	}
	return nil
}

// kill ends the group at once and waits for it.
func (p *process) kill() error {
	err := p.signal(syscall.SIGKILL)
	<-p.done
	return errors.Join(err, p.left)
}

// wait waits for the process to end by itself. What is still there afterwards of its group is an error.
func (p *process) wait() error {
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.signal(syscall.SIGQUIT) // it says where it hangs
		<-p.done
		return fmt.Errorf("it did not end in %s:\n%s", patience, p.stderr.String())
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		_ = p.signal(syscall.SIGKILL)
		return errors.Join(errors.New("it left a child process"), err)
	}
	return p.left
}

// outcome is what a run that ended by itself says about itself.
type outcome struct {
	exit   int
	record state.Record
	said   string
	// writes are its requests that change the cluster, those for leases included.
	writes []*passage
}

// exits are the exit codes of runs (DESIGN §8).
var exits = []int{0, 10, 11, 12, 13, 14, 15, 16, 18}

// outcome waits for a run to end and holds it to what holds for each run.
func (p *process) outcome() (outcome, error) {
	if err := p.wait(); err != nil {
		return outcome{}, err
	}
	o := outcome{exit: p.cmd.ProcessState.ExitCode(), said: p.stdout.String() + p.stderr.String()}
	for _, passage := range p.world.journal.of(p.number) {
		if passage.Server == "cluster" && passage.Effect {
			o.writes = append(o.writes, passage)
		}
	}
	var errs []error
	if !slices.Contains(exits, o.exit) {
		errs = append(errs, fmt.Errorf("exit code %d is not in the table", o.exit))
	}
	if err := json.Unmarshal(p.stdout.Bytes(), &o.record); err != nil {
		errs = append(errs, fmt.Errorf("decode the record: %w", err))
	} else if o.record.Exit != o.exit {
		errs = append(errs, fmt.Errorf("exit code %d, but its record says %d", o.exit, o.record.Exit))
	}
	if o.exit != 0 {
		errs = append(errs, p.explained(o))
	}
	left, err := os.ReadDir(p.tmp)
	if err != nil || len(left) > 0 {
		errs = append(errs, fmt.Errorf("left in the temporary folder: %v", left), err)
	}
	if err := errors.Join(errs...); err != nil {
		return o, fmt.Errorf("%w\n%s", err, o.said)
	}
	return o, nil
}

// explained holds a run that went wrong to saying why, and what to do.
func (p *process) explained(o outcome) error {
	var cause strings.Builder
	cause.WriteString(o.record.Message)
	for _, app := range o.record.Apps {
		cause.WriteString(app.Message)
		for _, refusal := range app.Refusals {
			cause.WriteString(refusal.Message)
		}
		for _, change := range app.Changes {
			cause.WriteString(change.Message)
		}
	}
	if cause.String() == "" {
		return fmt.Errorf("exit code %d without a cause", o.exit)
	}
	for line := range strings.Lines(p.stderr.String()) {
		var entry struct{ Hint string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Hint != "" {
			return nil
		}
	}
	return fmt.Errorf("exit code %d without a hint", o.exit)
}

// run does one sync to its end.
func (w *world) run(ttl string, more ...string) (outcome, error) {
	p, err := w.sync(user, ttl, more...)
	if err != nil {
		return outcome{}, err
	}
	return p.outcome()
}
