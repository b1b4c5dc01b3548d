// Package progress shows how far a go command is that may take minutes, by reading what it prints on stderr.
package progress

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

// Progress is one title on stderr, under which commands run: one line that changes at a terminal, elsewhere a line every
// 20 seconds. What ends within two seconds is not mentioned.
type Progress struct {
	title    string
	started  time.Time
	terminal bool
	quit     chan struct{}
	done     sync.WaitGroup
	told     bool // once something was shown

	mu       sync.Mutex
	modules  int
	packages int
	total    int
	last     string
	other    []string // what is neither a package nor a module: the reasons, should it fail
}

const patience = 2 * time.Second

// Start begins to show; Stop ends it.
func Start(title string) *Progress {
	info, err := os.Stderr.Stat()
	p := &Progress{
		title:    title,
		started:  time.Now(),
		terminal: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb",
		quit:     make(chan struct{}),
	}
	every := 20 * time.Second
	if p.terminal {
		every = 200 * time.Millisecond
	}
	p.done.Go(func() {
		select {
		case <-time.After(patience):
			p.told = true
			fmt.Fprintf(os.Stderr, "%s: building; the first time takes minutes\n", title)
		case <-p.quit:
			return
		}
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

// Expect tells how many packages there are in all, compiled before or not.
func (p *Progress) Expect(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = total
}

// Stop ends the showing.
func (p *Progress) Stop() {
	close(p.quit)
	p.done.Wait()
	if !p.told {
		return
	}
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	fmt.Fprintf(os.Stderr, "%s: ended after %s\n", p.title, p.elapsed())
}

func (p *Progress) elapsed() time.Duration { return time.Since(p.started).Round(time.Second) }

func (p *Progress) print() {
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
		fmt.Fprint(os.Stderr, "\r\x1b[K"+line[:min(len(line), 78)])
		return
	}
	fmt.Fprintln(os.Stderr, line)
}

// Run runs the command, which should have go's -v, and counts what it says on stderr. The error bears whatever else the
// command said there.
func (p *Progress) Run(cmd *exec.Cmd) error {
	_, err := p.Output(cmd)
	return err
}

// Output does what Run does, and answers with what the command printed on stdout.
func (p *Progress) Output(cmd *exec.Cmd) (string, error) {
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

func (p *Progress) read(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.count(lines.Text())
	}
}

func (p *Progress) count(line string) {
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
