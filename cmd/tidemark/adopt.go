package main

import (
	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
)

func (c *cli) stateAdoptCluster() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "adopt-cluster --reason REASON",
		Short: "Give the state to a cluster that was rebuilt, or restored elsewhere",
		Long: `A state belongs to one cluster, and runs that reach another one are refused. When
the cluster was rebuilt, or restored from a backup as another one, adopt-cluster
gives it the state: nothing that was known of the objects counts any more, but that
they are ours.

The next sync applies everything and prunes nothing; what it finds live with our
marks and not wanted is left to the sync after it, which prunes as usual. What a
backup brought back that the state had forgotten counts as adopted, and is pruned
only with an approval.

It is refused when the cluster is the state's already, and it needs the right to
list objects of all kinds in the whole cluster.`,
		Example: "  tidemark state adopt-cluster --reason 'restored after the fire' --state s3://my-bucket/tidemark --context new",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := c.repairing(cmd, output, (*app.Session).Repair, reconcile.AdoptCluster)
			return err
		},
	}
	c.repairFlags(cmd, &output)
	c.clusterFlags(cmd)
	return cmd
}
