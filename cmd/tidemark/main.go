// Tidemark brings the objects of git repositories to a Kubernetes cluster, once
// per run, and leaves a mark of what it did.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
)

// version is set by the linker: -X main.version=v1.2.3.
var version string //nolint:gochecknoglobals // The linker's.

func main() {
	// Helm's packages log values of charts.
	log.SetOutput(io.Discard)
	spareMemory()
	ctx, stop := interruptible(context.Background())
	code := run(ctx, os.Args[1:], app.OS(versionOf(version)))
	stop()
	os.Exit(code)
}

// spareMemory lets the garbage collector begin at half of what Go would let pile
// up, for a Job is given its memory by its highest point; but not before there is
// something to gain: a run in which nothing changed makes little garbage, and
// collecting it costs more than it is worth. Unless GOGC says otherwise.
func spareMemory() {
	const usual, half = 100, 50
	// Go's first collection comes at 4 MB times the percentage.
	const first = 1000
	if said := debug.SetGCPercent(first); said != usual {
		debug.SetGCPercent(said)
		return
	}
	// The first collection finds the mark unreachable.
	runtime.AddCleanup(new([]byte), func(percent int) { debug.SetGCPercent(percent) }, half)
}

// interruptible gives a context that the first signal ends, so that a run can
// leave its record. The second signal ends the process.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first, more := <-signals
		if !more {
			return
		}
		cancel(&interruptError{signal: first})
		if _, more := <-signals; more {
			os.Exit(reconcile.ExitInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(context.Canceled)
	}
}

// interruptError says which signal ended a run.
type interruptError struct{ signal os.Signal }

// Error names the signal.
func (e *interruptError) Error() string { return "interrupted by the signal " + e.signal.String() }

// Is makes it a context.Canceled.
func (e *interruptError) Is(target error) bool { return target == context.Canceled }
