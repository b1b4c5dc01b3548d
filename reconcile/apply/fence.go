package apply

import (
	"context"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/plan"
)

// Fence touches the objects that the changes name, each in exactly the state
// that live holds, so that no request that was made on that state, or on one
// before, takes effect from now on. It gives what became of each: Fenced, with
// the metadata that it has now, or why the object has no fence.
func Fence(ctx context.Context, cluster Cluster, changes []plan.Change, live plan.Live, epoch uint64, options Options) []Outcome {
	d := doer{cluster: cluster, work: Work{Live: live}, options: options}
	outcomes := make([]Outcome, len(changes))
	var group errgroup.Group
	group.SetLimit(options.width())
	for i, c := range changes {
		group.Go(func() error {
			outcomes[i] = d.touch(ctx, c, epoch)
			return nil
		})
	}
	_ = group.Wait()
	return outcomes
}

// touch fences one object.
func (d *doer) touch(ctx context.Context, c plan.Change, epoch uint64) Outcome {
	at := Target{UID: c.UID, ResourceVersion: c.ResourceVersion}
	var meta plan.Meta
	err := d.retry(ctx, c, d.work.Live[c.ID].Meta, &at, func(ctx context.Context) (err error) {
		meta, err = d.cluster.Touch(ctx, c.ID, c.Version, at, epoch)
		return err
	})
	if err != nil {
		return d.unsettled(c, err)
	}
	return Outcome{Change: c, Verdict: Fenced, Meta: meta}
}
