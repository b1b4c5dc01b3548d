package main

import (
	"context"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

func (c *cli) unlock() *cobra.Command {
	var run, output string
	var force bool
	cmd := &cobra.Command{
		Use:   "unlock --run ID --reason REASON",
		Short: "Take the lease away from a run that is dead",
		Long: `Unlock frees the lease of a run that died, so that the next run need not wait for
it. It watches the lease for a little longer than its time, and is refused when
the run shows life meanwhile, when the run has ended, or when another one has the
lease. What the run may have left on its way to the cluster is fenced off by the
next run.

With --force it does not watch. A run that is alive loses the lease and stops at
its next renewal, with exit code 14; until then, a quarter of the lease's time, it
may still write to the cluster.`,
		Example: "  tidemark unlock --run 01JD8Z5T3M2Q8V6W0X9Y7A4B1C --reason 'its node is gone' --state s3://my-bucket/tidemark",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if run == "" {
				return &app.UsageError{Message: "which run has the lease?", Hint: "name it with --run; tidemark status tells who holds the lease"}
			}
			_, err := c.repairing(cmd, output, (*app.Session).RepairState, func(ctx context.Context, job reconcile.Job) (state.Record, error) {
				return reconcile.Unlock(ctx, job, run, force)
			})
			return err
		},
	}
	c.repairFlags(cmd, &output)
	cmd.Flags().StringVar(&run, "run", "", "`id` of the run that has the lease")
	cmd.Flags().BoolVar(&force, "force", false, "do not watch whether the run is alive")
	return cmd
}
