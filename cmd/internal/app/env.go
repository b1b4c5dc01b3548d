package app

import (
	"context"
	"io"
	"os"
	"os/user"
	"time"

	"golang.org/x/term"
)

// Env is what a process is given besides its arguments. Everything else of
// Tidemark gets its environment from here.
type Env struct {
	// Lookup gives an environment variable.
	Lookup func(string) (string, bool)
	Stdout io.Writer
	Stderr io.Writer
	// Terminal says whether Stderr is a terminal, and Width how wide it is.
	Terminal bool
	Width    func() int
	// Color says whether Stdout, and Stderr, may be coloured.
	Color, ErrColor bool
	// Home is the user's home directory, User and Host name who runs where.
	Home, User, Host string
	// Now is the wall clock.
	Now func() time.Time
	// Version is Tidemark's own, "v1.2.3".
	Version string
}

// OS gives the environment of this process.
func OS(version string) Env {
	e := Env{
		// Kustomize hides os.Stderr while it builds, so that it is held here.
		Stdout: os.Stdout, Stderr: os.Stderr,
		Lookup: os.LookupEnv, Now: time.Now, Version: version,
	}
	stderr := int(os.Stderr.Fd())
	e.Terminal = term.IsTerminal(stderr) && e.Get("TERM") != "dumb"
	e.Width = func() int {
		if width, _, err := term.GetSize(stderr); err == nil && width > 0 {
			return width
		}
		return 80
	}
	// https://no-color.org: any value but an empty one counts.
	plain := e.Get("NO_COLOR") != "" || e.Get("TERM") == "dumb"
	e.ErrColor = e.Terminal && !plain
	e.Color = term.IsTerminal(int(os.Stdout.Fd())) && !plain
	e.Home, _ = os.UserHomeDir()
	e.Host, _ = os.Hostname()
	if u, err := user.Current(); err == nil {
		e.User = u.Username
	}
	return e
}

// Tool names this program for the record.
func (e Env) Tool() string { return "tidemark " + e.Version }

// Get gives an environment variable, empty when it is not set.
func (e Env) Get(name string) string {
	value, _ := e.Lookup(name)
	return value
}

// Variable gives the name of the environment variable of a flag.
func Variable(flag string) string {
	name := []byte("TIDEMARK_" + flag)
	for i, c := range name {
		switch {
		case c == '-':
			name[i] = '_'
		case 'a' <= c && c <= 'z':
			name[i] = c - 'a' + 'A'
		}
	}
	return string(name)
}

// within bounds a context by a timeout above 0.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, timeout, &TimeoutError{After: timeout})
}

// TimeoutError says that the run was given no more time.
type TimeoutError struct{ After time.Duration }

// Error names the time that was given.
func (e *TimeoutError) Error() string { return "the run took longer than " + e.After.String() }

// Is makes it a context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
