package main

import (
	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
)

func (c *cli) stateRebuild() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "rebuild --reason REASON",
		Short: "Make a lost, damaged or rolled back state anew from the marks in the cluster",
		Long: `Rebuild searches the cluster for objects that bear the ledger's marks, and writes a
head that knows them: one write, over exactly what was found. Which ledger it is,
the old head tells, else the cluster's witness, else the newest record; the chain
of records goes on. Nothing in the cluster is changed but the witness.

How the objects came to be there is lost, so that all count as adopted: no run
prunes one of them without an approval. Pins and quarantines of an old head stay,
approvals do not. The next sync looks at everything, and fences each object off
against requests that were sent before the state was lost.

It is refused when the head is whole and nothing is newer, and it needs the right
to list objects of all kinds in the whole cluster: what it cannot see it would
forget.`,
		Example: "  tidemark state rebuild --reason 'the bucket was emptied by accident' --state s3://my-bucket/tidemark",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := c.repairing(cmd, output, (*app.Session).Repair, reconcile.Rebuild)
			return err
		},
	}
	c.repairFlags(cmd, &output)
	c.clusterFlags(cmd)
	return cmd
}
