package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/state"
)

// reading opens the ledger for a command that only reads it.
func (c *cli) reading(cmd *cobra.Command, read func(context.Context, *state.Ledger) error) error {
	session, err := c.open()
	if err != nil {
		return err
	}
	ctx, cancel := session.Within(cmd.Context())
	defer cancel()
	ledger, err := session.Ledger(ctx)
	if err != nil {
		return err
	}
	return read(ctx, ledger)
}

// standing is what status -o json prints.
type standing struct {
	Head state.Head `json:"head"`
	// Newest is the newest record, null when there is none.
	Newest *state.Record `json:"newest"`
}

// looked is how many records status looks through for the newest word on each
// app.
const looked = 20

func (c *cli) status() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the state says: revisions, last verdicts, who works, what waits",
		Long: `Status reads the state and nothing else: which revision each app is at, how its
last run went, who holds the lease, which plans wait for approval.`,
		Example: "  tidemark status --state s3://my-bucket/tidemark\n  tidemark status --config tidemark.yaml -o json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.reading(cmd, func(ctx context.Context, ledger *state.Ledger) error {
				head, err := ledger.Load(ctx)
				if err != nil {
					return err
				}
				records, err := ledger.History(ctx, looked)
				if err != nil {
					return err
				}
				if output == "json" {
					now := standing{Head: head}
					if len(records) > 0 {
						now.Newest = &records[0]
					}
					return c.printJSON(now)
				}
				_, err = fmt.Fprint(c.stdout(), term.Status{Head: head, Records: records, Now: c.env.Now()}.Text(c.style(0)))
				return err
			})
		},
	}
	c.stateFlags(cmd)
	outputFlag(cmd, &output, "text", "json")
	return cmd
}
