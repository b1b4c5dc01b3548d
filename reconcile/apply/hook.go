package apply

import (
	"context"
	"errors"
	"maps"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// goneTime bounds the wait until what is left of a hook is gone.
const goneTime = time.Minute

// run makes a hook anew: what is left of it from before goes first.
func (d *doer) run(ctx context.Context, c plan.Change) Outcome {
	uid := c.UID
	if made, before := d.made[c.ID]; before {
		uid = made // by an earlier stage of this very run
	}
	if uid != "" {
		if err := d.clear(ctx, c, uid); err != nil {
			return d.unsettled(c, err)
		}
	}
	return d.create(ctx, c)
}

// clear deletes an object, unless another one has its name by now, and waits until
// it is gone.
func (d *doer) clear(ctx context.Context, c plan.Change, uid string) error {
	for range int(goneTime / time.Second) {
		meta, err := d.read(ctx, c)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil
		case err != nil:
			return err
		case meta.UID != uid:
			return errMoved
		case !meta.Terminating:
			err := d.send(ctx, func(ctx context.Context) error {
				return d.cluster.Delete(ctx, c.ID, c.Version, Target{UID: uid, ResourceVersion: meta.ResourceVersion}, "background")
			})
			if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrConflict) {
				return err
			}
			continue
		}
		if err := d.options.Sleep(ctx, time.Second); err != nil {
			return errUnsent{err}
		}
	}
	return errors.New("what is left of it from before is not gone in time")
}

// finish waits until the hooks of a level have ended.
func (d *doer) finish(ctx context.Context, changes []plan.Change, outcomes []Outcome) {
	var ids []object.ID
	for i, c := range changes {
		if c.IsHook() && (outcomes[i].Verdict == Created || outcomes[i].Verdict == Pending) {
			ids = append(ids, c.ID)
			if d.made != nil && outcomes[i].Meta.UID != "" {
				d.made[c.ID] = outcomes[i].Meta.UID
			}
		}
	}
	if len(ids) == 0 {
		return
	}
	ill := d.outlast(ctx, ids)
	for i, c := range changes {
		o := &outcomes[i]
		if !c.IsHook() || o.Verdict != Created && o.Verdict != Pending {
			continue
		}
		why, is := ill[c.ID]
		switch {
		case ctx.Err() != nil:
			o.Verdict, o.Message = Pending, "the run ended before the hook did"
		case !is:
			o.Verdict, o.Message = Ran, ""
		case why.Failed:
			o.Verdict, o.Message, o.Ended = Failed, "the hook failed: "+why.Message, true
		default:
			o.Verdict, o.Message = Pending, "the hook has not ended: "+why.Message
		}
	}
}

// outlast waits until all hooks have ended, well or not, and gives those that did
// not end well.
func (d *doer) outlast(ctx context.Context, ids []object.ID) map[object.ID]Unhealthy {
	all := map[object.ID]Unhealthy{}
	for d.options.Healthy != nil && ctx.Err() == nil && len(ids) > 0 {
		var left []object.ID
		ill := d.options.Healthy(ctx, ids)
		maps.Copy(all, ill)
		for _, id := range ids {
			// One that failed ends the wait for the others.
			if why, is := ill[id]; is && !why.Failed {
				left = append(left, id)
				delete(all, id)
			}
		}
		if len(left) == len(ill) {
			maps.Copy(all, ill) // nothing failed: there was no more time
			break
		}
		ids = left
	}
	return all
}

// end ends a stage of hooks: it is made known which ended and how, and then those
// go whose policy says so.
func (d *doer) end(ctx context.Context, outcomes []Outcome) {
	var ended []Outcome
	deletes := false
	for _, o := range outcomes {
		if o.Change.IsHook() && (o.Verdict == Ran || o.Ended) {
			ended = append(ended, o)
			deletes = deletes || o.Verdict == Ran && o.Change.DeleteSucceeded || o.Ended && o.Change.DeleteFailed
		}
	}
	if len(ended) == 0 || d.options.HooksEnded == nil {
		return
	}
	if ctx.Err() != nil || d.options.HooksEnded(ctx, ended) != nil {
		for i, o := range outcomes {
			if o.Change.IsHook() && (o.Verdict == Ran || o.Ended) {
				// What is not known to have ended must stay.
				outcomes[i].Verdict, outcomes[i].Ended, outcomes[i].Message = Pending, false, "that it ended is not in the state"
			}
		}
		return
	}
	if !deletes {
		return
	}
	for i, o := range outcomes {
		if !(o.Verdict == Ran && o.Change.DeleteSucceeded || o.Ended && o.Change.DeleteFailed) || !o.Change.IsHook() {
			continue
		}
		uid := o.Change.UID
		if made, is := d.made[o.Change.ID]; is {
			uid = made
		}
		if err := d.clear(ctx, o.Change, uid); err != nil {
			if o.Verdict == Ran {
				outcomes[i].Verdict, outcomes[i].Message = Pending, "it ended, and is yet to be deleted: "+err.Error()
			}
			continue
		}
		outcomes[i].Gone = true
		delete(d.made, o.Change.ID)
	}
}
