package main

import (
	"context"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

func (c *cli) resume() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "resume [APP...] --reason REASON",
		Short: "Let runs act again on what was suspended, pinned or quarantined",
		Long: `Resume ends the suspension, the pin and the quarantine of an app or, without an
APP, the freeze of the whole ledger. The next run acts on what it finds then.`,
		Example: "  tidemark resume shop --reason 'the move is done' --state s3://my-bucket/tidemark",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, apps []string) error {
			_, err := c.repairing(cmd, output, (*app.Session).RepairState, func(ctx context.Context, job reconcile.Job) (state.Record, error) {
				return reconcile.Resume(ctx, job, apps)
			})
			return err
		},
	}
	c.repairFlags(cmd, &output)
	return cmd
}
