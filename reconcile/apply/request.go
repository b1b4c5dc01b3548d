package apply

import (
	"context"
	"errors"
	"maps"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// create makes an object that was absent when the plan was made. Whoever made the
// object in between keeps it.
func (d *doer) create(ctx context.Context, c plan.Change) Outcome {
	want, ok := d.wanted(c)
	if !ok {
		return Outcome{Change: c, Verdict: Failed, Message: "the plan creates an object that is not in the set"}
	}
	var meta plan.Meta
	err := d.sendWanted(ctx, c, func(ctx context.Context) (err error) {
		meta, err = d.cluster.Apply(ctx, want, Target{}, false)
		return err
	})
	switch {
	case err == nil:
		d.options.Applied.Add(meta.UID)
		return Outcome{Change: c, Verdict: Created, Meta: meta}
	case errors.Is(err, ErrConflict):
		return d.taken(ctx, c, err)
	case errors.Is(err, ErrUnanswered):
		// The answer is lost, not the object: it may be there. When it is not,
		// the request may still be on its way.
		meta, readErr := d.read(ctx, c)
		if owner, _, _ := plan.OwnerOf(c.ID, meta, d.work.Ledger); readErr == nil && owner == plan.Ours {
			d.options.Applied.Add(meta.UID)
			return Outcome{Change: c, Verdict: Created, Meta: meta}
		}
	}
	return d.failed(c, err)
}

// taken gives the outcome of a create that found an object there. Only one that is
// not ours proves that there is nothing of ours to remember.
func (d *doer) taken(ctx context.Context, c plan.Change, conflict error) Outcome {
	meta, err := d.read(ctx, c)
	switch owner, _, _ := plan.OwnerOf(c.ID, meta, d.work.Ledger); {
	case errors.Is(err, ErrNotFound), err == nil && owner == plan.Ours:
		return Outcome{Change: c, Verdict: Moved, Message: errMoved.Error()}
	case err != nil:
		return Outcome{Change: c, Verdict: Failed, Message: errors.Join(conflict, err).Error()}
	}
	return Outcome{Change: c, Verdict: TakenFirst, Message: "somebody else made it since the plan: " + conflict.Error()}
}

// update applies the desired object to exactly the object that was compared.
func (d *doer) update(ctx context.Context, c plan.Change, done Verdict) Outcome {
	want, ok := d.work.Want.Get(c.ID)
	if !ok {
		return Outcome{Change: c, Verdict: Failed, Message: "the plan changes an object that is not in the set"}
	}
	if shared := d.work.Live[c.ID].Shared; shared != nil {
		want = *shared
	}
	at := Target{UID: c.UID, ResourceVersion: c.ResourceVersion}
	seen := d.work.Live[c.ID].Meta
	d.options.Applied.Add(c.UID) // before it is sent: the answer may be lost
	if seen.ClientSideApplied {
		err := d.retry(ctx, c, seen, &at, func(ctx context.Context) error {
			meta, err := d.cluster.Migrate(ctx, c.ID, c.Version, at)
			if err == nil {
				seen, at.ResourceVersion = meta, meta.ResourceVersion
			}
			return err
		})
		if err != nil {
			return d.unsettled(c, err)
		}
	}
	var meta plan.Meta
	err := d.retry(ctx, c, seen, &at, func(ctx context.Context) (err error) {
		meta, err = d.cluster.Apply(ctx, want, at, d.work.Force)
		return err
	})
	if err != nil {
		return d.unsettled(c, err)
	}
	return Outcome{Change: c, Verdict: done, Meta: meta}
}

// prune deletes exactly the object that was compared, and looks whether it is
// gone.
func (d *doer) prune(ctx context.Context, c plan.Change) Outcome {
	if d.options.Applied.has(c.UID) {
		return Outcome{Change: c, Verdict: Kept, Message: "this run applied the same object under another name"}
	}
	at := Target{UID: c.UID, ResourceVersion: c.ResourceVersion}
	err := d.retry(ctx, c, d.work.Live[c.ID].Meta, &at, func(ctx context.Context) error {
		return d.cluster.Delete(ctx, c.ID, c.Version, at, d.work.Propagation)
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return d.unsettled(c, err)
	}
	meta, err := d.read(ctx, c)
	if errors.Is(err, ErrNotFound) || err == nil && meta.UID != c.UID {
		return Outcome{Change: c, Verdict: Pruned, Gone: true}
	}
	return Outcome{Change: c, Verdict: Pruned, Meta: meta}
}

// errMoved says that an object is not as the plan saw it.
var errMoved = errors.New("it changed since the plan was made; the next run plans anew")

// retry sends a request with a precondition; when only noise moved the
// resourceVersion, it sends it again with the new one. A conflict about fields
// stays one.
func (d *doer) retry(ctx context.Context, c plan.Change, seen plan.Meta, at *Target, request func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := d.sendWanted(ctx, c, request)
		var fields *FieldConflictError
		if !errors.Is(err, ErrConflict) || errors.As(err, &fields) || attempt == attempts {
			return err
		}
		now, readErr := d.read(ctx, c)
		if readErr != nil {
			return readErr
		}
		if now.ResourceVersion == at.ResourceVersion {
			return err // the conflict is about something else
		}
		if !noise(c, seen, now) {
			return errMoved
		}
		at.ResourceVersion = now.ResourceVersion
	}
}

// noise says whether nothing that a plan looks at changed between two looks.
// An apply is made on the fields that are ours, so that a controller's own
// annotation does not stand in its way (reconcile/decisions/0001); a prune, or
// an adoption, is made on everything that metadata tells.
func noise(c plan.Change, seen, now plan.Meta) bool {
	if seen.UID != now.UID || seen.Owned != now.Owned || seen.Terminating != now.Terminating || seen.Controller != now.Controller {
		return false
	}
	if seen.Annotations[object.AnnotationRecovered] != now.Annotations[object.AnnotationRecovered] {
		return false // a newer run fenced it off, from this one
	}
	if (c.Action == plan.Update || c.Action == plan.Fence) && seen.Owned != "" {
		return true
	}
	return seen.Generation == now.Generation && maps.Equal(seen.Labels, now.Labels) && maps.Equal(seen.Annotations, now.Annotations)
}

func (d *doer) read(ctx context.Context, c plan.Change) (plan.Meta, error) {
	var meta plan.Meta
	err := d.send(ctx, func(ctx context.Context) (err error) {
		meta, err = d.cluster.Metadata(ctx, c.ID, c.Version)
		return err
	})
	return meta, err
}

// unsettled gives the outcome of a request with a precondition that did not
// succeed.
func (d *doer) unsettled(c plan.Change, err error) Outcome {
	if errors.Is(err, errMoved) || errors.Is(err, ErrNotFound) {
		return Outcome{Change: c, Verdict: Moved, Message: err.Error()}
	}
	return d.failed(c, err)
}
