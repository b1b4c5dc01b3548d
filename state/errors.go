package state

import (
	"errors"
	"fmt"
)

// What can be wrong with a ledger; each is exit code 13.
var (
	// ErrDamaged: bytes that no Tidemark wrote, a broken sum or chain, or a blob
	// that the head names and that is missing.
	ErrDamaged = errors.New("the ledger is damaged")
	// ErrNewer: written by a newer Tidemark.
	ErrNewer = errors.New("written by a newer Tidemark")
	// ErrRolledBack: the head is older than something that was written after it.
	ErrRolledBack = errors.New("the head was rolled back")
	// ErrUnfit: the store breaks a condition that everything rests on.
	ErrUnfit = errors.New("the store is unfit for a ledger")
)

// How a run can fail to write.
var (
	// ErrLost: the lease was lost while holding it, or the right to act ended
	// (exit 14). Stop all work and clean up nothing.
	ErrLost = errors.New("the lease was lost")
	// ErrRestart: another run changed what this one was decided on. Load again and
	// start over at fetch, Restarts times at most.
	ErrRestart = errors.New("the ledger moved on")
	// ErrNoAnswer: the store does not answer, or a write's outcome stayed unknown
	// (exit 15).
	ErrNoAnswer = errors.New("the store does not answer")
)

// Restarts is how often a run starts over after ErrRestart.
const Restarts = 3

// HeldError says that another run holds the lease, or left a plan open: Wait.
type HeldError struct {
	Head Head
}

// Error names the holder.
func (e *HeldError) Error() string {
	if e.Head.Lease.Free {
		return fmt.Sprintf("run %s left a plan open", e.Head.Lease.Run)
	}
	return fmt.Sprintf("run %s of %s holds the lease", e.Head.Lease.Run, e.Head.Lease.Holder)
}
