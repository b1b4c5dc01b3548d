package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is one running server program.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	// gone is closed when the program has ended and was waited for; err then says how.
	gone chan struct{}
	err  error
}

// startProcess runs the program with its output in dir/name.log and returns once ready answers nil. The program's
// environment is env alone, so that nothing of the caller's leaks into it.
func startProcess(ctx context.Context, dir, name string, env []string, argv []string, ready func(context.Context) error) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), gone: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir = dir
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = dieWithParent()

	started := make(chan error)
	go func() {
		// The kernel ends the program when the thread that started it ends, so this one stays as long as the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		close(p.gone)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}

	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	waiting := make(chan struct{})
	defer close(waiting)
	go func() {
		select {
		case <-p.gone:
			giveUp(fmt.Errorf("ended: %w", p.exit()))
		case <-waiting:
		}
	}()
	if err := poll(ctx, ready); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w\nlast lines of %s:\n%s", name, err, p.log, p.tail()), p.Kill())
	}
	return p, nil
}

func (p *process) exit() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// Stop asks the program to end, makes it end after ten seconds, and waits for it.
func (p *process) Stop() error { return p.end(syscall.SIGTERM) }

// Kill ends the program at once, as a crash would, and waits for it.
func (p *process) Kill() error { return p.end(syscall.SIGKILL) }

func (p *process) end(signal syscall.Signal) error {
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", p.name, err)
	}
	patience := time.NewTimer(10 * time.Second)
	defer patience.Stop()
	select {
	case <-p.gone:
		return nil
	case <-patience.C:
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", p.name, err)
	}
	<-p.gone
	return nil
}

func (p *process) tail() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}
