package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/state"
)

// ErrWitness is the case of a state that was lost, rolled back or replaced: the
// target cluster remembers more of the ledger than it knows (exit 13).
var ErrWitness = errors.New("the state does not fit what the cluster remembers of it")

// testimony is what the witness said, and what of it is known to be true now.
type testimony struct {
	apply.Witness
	// mute says why the witness cannot be used; empty when it can.
	mute string
	// unheard is the error of a server that did not answer.
	unheard error
	// behind: the cluster forgot what was written to it: it was restored from a
	// backup, or somebody deleted the witness.
	behind bool
	// written is the epoch that this run wrote, 0 when it wrote none.
	written uint64
	// refused: the cluster does not let the witness be written.
	refused bool
}

// hear asks the witness whether the head is the newest one, before anything is
// done on its word. With state.ErrRestart another run moved the head meanwhile.
func (r *runner) hear(ctx context.Context, l *ledger) error {
	if r.job.Witness == nil {
		return nil
	}
	known, err := r.job.Witness.ReadWitness(ctx)
	switch {
	case err == nil:
		l.witness.Witness = known
		if err := r.contradicts(ctx, l, known); err != nil {
			return err
		}
		l.witness.behind = known.Epoch < l.head.Witnessed
	case errors.Is(err, apply.ErrNotFound):
		l.witness.behind = l.head.Witnessed > 0
	case errors.Is(err, apply.ErrRejected):
		l.silence(r, err)
	default:
		l.witness.unheard = fmt.Errorf("read the witness: %w", within(ctx, err))
	}
	return nil
}

// contradicts says what the witness knows and the head should.
func (r *runner) contradicts(ctx context.Context, l *ledger, known apply.Witness) error {
	wrong := ""
	switch {
	case l.head.Seq == 0:
		wrong = fmt.Sprintf("there is no head, but the cluster knows this ledger (lineage %s, epoch %d)", known.Lineage, known.Epoch)
	case known.Lineage != l.head.Lineage:
		wrong = fmt.Sprintf("the head is of the lineage %s, but the cluster knows this ledger as %s", l.head.Lineage, known.Lineage)
	case known.Epoch > l.head.Heard:
		wrong = fmt.Sprintf("the head is at epoch %d, but the cluster has seen epoch %d", l.head.Heard, known.Epoch)
	default:
		return nil
	}
	// Another run may have moved the head between the two questions.
	current, err := r.job.Ledger.Load(ctx)
	switch {
	case err != nil:
		return within(ctx, err)
	case current.Nonce != l.head.Nonce:
		return fmt.Errorf("%w: %s", state.ErrRestart, wrong)
	}
	return fmt.Errorf("%w: %s", ErrWitness, wrong)
}

// hears notes in a head that is about to take the lease that its run has heard
// the witness, and may write it.
func hears(head *state.Head) { head.Heard = head.Epoch + 1 }

// into notes in the head which epoch the witness has. One that cannot be written
// any more counts as none, so that it is not missed in each run from now on.
func (t testimony) into(head *state.Head) {
	head.Witnessed = max(head.Witnessed, t.written)
	if t.refused {
		head.Witnessed = 0
	}
}

// silence goes on without the witness, and says so.
func (l *ledger) silence(r *runner, why error) {
	l.witness.mute = why.Error()
	r.warn("without the witness a state that is lost or rolled back goes unnoticed: " + l.witness.mute)
}

// witnessing is how often the witness is written again after an answer that
// leaves it open whether it was.
const witnessing = 5

// testify writes the epoch of this run into the witness, before anything else of
// it reaches the cluster. The witness is never lowered.
func (r *runner) testify(ctx context.Context, l *ledger) error {
	epoch := l.tenure.Epoch()
	if r.job.Witness == nil || l.witness.mute != "" || l.witness.written == epoch {
		return nil
	}
	know := apply.Witness{Lineage: l.head.Lineage, Epoch: epoch, Holder: l.tenure.Head().Lease.Holder, Version: l.witness.Version}
	for attempt := 1; ; attempt++ {
		err := l.send(ctx, func(ctx context.Context) error { return r.job.Witness.WriteWitness(ctx, know) })
		switch {
		case err == nil:
			l.witness.written = epoch
			return nil
		case errors.Is(err, apply.ErrRejected):
			l.witness.refused = true
			l.silence(r, err)
			return nil
		case ctx.Err() != nil, errors.Is(err, state.ErrLost), attempt == witnessing:
			return fmt.Errorf("write the witness: %w", within(ctx, err))
		}
		if busy, ok := errors.AsType[*apply.BusyError](err); ok {
			if bad := sleep(ctx, min(max(busy.After, time.Second), 30*time.Second)); bad != nil {
				return fmt.Errorf("write the witness: %w: %w", bad, err)
			}
		}
		known, readErr := r.reread(ctx, l)
		switch {
		case readErr != nil:
			return fmt.Errorf("write the witness: %w: %w", within(ctx, readErr), err)
		case known.Version != "" && known.Lineage != know.Lineage:
			return fmt.Errorf("%w: the cluster knows this ledger as %s by now", ErrWitness, known.Lineage)
		case known.Epoch > epoch:
			return fmt.Errorf("%w: the cluster has seen epoch %d, of %s", state.ErrLost, known.Epoch, known.Holder)
		case known.Epoch == epoch:
			l.witness.written = epoch // by the very request whose answer was lost
			return nil
		}
		know.Version = known.Version
	}
}

// reread gives what the witness knows now; nothing when there is none.
func (r *runner) reread(ctx context.Context, l *ledger) (known apply.Witness, err error) {
	err = l.send(ctx, func(ctx context.Context) (err error) {
		known, err = r.job.Witness.ReadWitness(ctx)
		if errors.Is(err, apply.ErrNotFound) {
			known, err = apply.Witness{}, nil
		}
		return err
	})
	return known, err
}
