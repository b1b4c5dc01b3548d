package main

import (
	"context"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

func (c *cli) detach() *cobra.Command {
	var name, output string
	cmd := &cobra.Command{
		Use:   "detach --app NAME [OBJECT...] --reason REASON",
		Short: "Let go of an app, or of some of its objects: they stay, our marks go",
		Long: `Detach takes our marks off the objects of an app, and the objects off its
inventory: they stay in the cluster as they are, and no later run prunes them.
Without an OBJECT it lets go of the whole app, which leaves the ledger then. An
OBJECT is written as Tidemark prints it, "Deployment.apps shop/web", or as
apps/Deployment/shop/web. Objects that were kept when they left the repository
are let go of in the same way.

What could not be proven to be without our marks stays in the inventory: exit 11,
and the same command may be given again. An app that is still in the
configuration takes its objects over again with the next sync.`,
		Example: `  tidemark detach --app legacy --reason 'moves to another team' --state s3://my-bucket/tidemark
  tidemark detach --app shop 'ConfigMap shop/old-settings' --reason 'kept by hand' --config tidemark.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, objects []string) error {
			if name == "" {
				return &app.UsageError{Message: "which app is to be let go of?", Hint: "name it with --app; tidemark status lists what there is"}
			}
			session, err := c.repairing(cmd, output, (*app.Session).Repair, func(ctx context.Context, job reconcile.Job) (state.Record, error) {
				return reconcile.Detach(ctx, job, name, objects)
			})
			if session == nil {
				return err
			}
			if file, configured := session.Configured(name); configured && len(objects) == 0 && err == nil {
				c.remark(session, "the app "+name+" is still in "+file+": take it out, or the next sync takes its objects over again")
			}
			return err
		},
	}
	c.repairFlags(cmd, &output)
	c.clusterFlags(cmd)
	cmd.Flags().StringVar(&name, "app", "", "`name` of the app")
	return cmd
}
