package reconcile

import (
	"context"
	"errors"
	"slices"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/state"
)

// Exit codes of a run (DESIGN §8).
const (
	ExitOK          = 0
	ExitRefused     = 10
	ExitPartial     = 11
	ExitConfig      = 12
	ExitState       = 13
	ExitLost        = 14
	ExitUnreachable = 15
	ExitInterrupted = 16
	ExitRolledBack  = 18
)

// severity is the order in which one exit code is chosen of several.
var severity = []int{ //nolint:gochecknoglobals // a table
	ExitLost, ExitState, ExitInterrupted, ExitUnreachable, ExitConfig, ExitRolledBack, ExitPartial, ExitRefused,
}

// Worst gives the code to exit with when each of codes is due: of several apps, or
// of several ledgers. Codes that no run gives count as none.
func Worst(codes ...int) int {
	for _, code := range severity {
		if slices.Contains(codes, code) {
			return code
		}
	}
	return ExitOK
}

// Fault is an error with the exit code it asks for. Sources and renderers give
// one to tell a server that does not answer (15) from input that is wrong (12).
type Fault struct {
	Exit int
	Err  error
}

// Error gives the cause's text.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Unreachable marks an error as that of a server that does not answer.
func Unreachable(err error) error { return &Fault{Exit: ExitUnreachable, Err: err} }

// ExitOf gives the exit code that an error asks for; what is not known better
// is wrong input.
func ExitOf(err error) int {
	var fault *Fault
	var busy *apply.BusyError
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, state.ErrLost):
		return ExitLost
	case errors.As(err, &fault):
		return fault.Exit
	case errors.Is(err, state.ErrDamaged), errors.Is(err, state.ErrNewer), errors.Is(err, state.ErrRolledBack),
		errors.Is(err, state.ErrUnfit), errors.Is(err, ErrWitness):
		return ExitState
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ExitInterrupted
	case isHeld(err), errors.Is(err, state.ErrRestart), errors.Is(err, state.ErrNoAnswer), errors.Is(err, apply.ErrUnreachable), errors.Is(err, apply.ErrUnanswered), errors.As(err, &busy):
		return ExitUnreachable
	}
	return ExitConfig
}

// isHeld says whether another run stood in the way for longer than one would
// wait.
func isHeld(err error) bool {
	_, held := errors.AsType[*state.HeldError](err)
	return held
}

// within gives the error that a context's end asks for in place of err: the
// many ways in which libraries tell of a cancelled context are one case.
func within(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}
