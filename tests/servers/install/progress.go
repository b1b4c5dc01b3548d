package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// progress tells on stderr how far the go command is, by reading what it prints: one line that changes at a terminal,
// elsewhere a line every 20 seconds.
type progress struct {
	title    string
	started  time.Time
	terminal bool
	quit     chan struct{}
	done     sync.WaitGroup

	mu       sync.Mutex
	modules  int
	packages int
	total    int
	last     string
	other    []string // what is neither a package nor a module: the reasons, should it fail
}

func newProgress(title string) *progress {
	info, err := os.Stderr.Stat()
	p := &progress{
		title:    title,
		started:  time.Now(),
		terminal: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb",
		quit:     make(chan struct{}),
	}
	fmt.Fprintf(os.Stderr, "%s: building, once; this takes some minutes\n", title)
	every := 20 * time.Second
	if p.terminal {
		every = 200 * time.Millisecond
	}
	p.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.print()
			case <-p.quit:
				return
			}
		}
	})
	return p
}

func (p *progress) expect(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = total
}

func (p *progress) stop() {
	close(p.quit)
	p.done.Wait()
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	fmt.Fprintf(os.Stderr, "%s: ended after %s\n", p.title, p.elapsed())
}

func (p *progress) elapsed() time.Duration { return time.Since(p.started).Round(time.Second) }

func (p *progress) print() {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("%s: %s", p.title, p.elapsed())
	if p.modules > 0 {
		line += fmt.Sprintf(", %d modules fetched", p.modules)
	}
	if p.packages > 0 {
		line += fmt.Sprintf(", %d", p.packages)
		if p.total > 0 {
			// Packages that were compiled before are not printed, so this may end below the total.
			line += fmt.Sprintf(" of %d", p.total)
		}
		line += " packages compiled, now " + p.last
	}
	if p.terminal {
		if len(line) > 110 {
			line = line[:110]
		}
		fmt.Fprint(os.Stderr, "\r\x1b[K"+line)
		return
	}
	fmt.Fprintln(os.Stderr, line)
}

// run starts the command and counts what it says on stderr.
func (p *progress) run(cmd *exec.Cmd) error {
	_, err := p.output(cmd)
	return err
}

func (p *progress) output(cmd *exec.Cmd) (string, error) {
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	p.read(stderr)
	if err := cmd.Wait(); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, strings.Join(p.other, "\n"))
	}
	return stdout.String(), nil
}

func (p *progress) read(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.count(lines.Text())
	}
}

func (p *progress) count(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		p.modules++
	case line != "" && !strings.ContainsAny(line, " \t:"):
		p.packages++
		p.last = line
	default:
		p.other = append(p.other, line)
	}
}
