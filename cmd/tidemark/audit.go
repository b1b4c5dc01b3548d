package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/state"
)

func (c *cli) audit() *cobra.Command {
	return group(&cobra.Command{
		Use:   "audit",
		Short: "Read and verify the records of runs",
	}, c.auditShow(), c.auditVerify())
}

func (c *cli) auditShow() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "show RUN",
		Short:   "Show one record, by its number or the id of its run",
		Example: "  tidemark audit show 42 --state s3://my-bucket/tidemark\n  tidemark audit show 01JD8Z5T3M2Q8V6W0X9Y7A4B1C -o json",
		Args:    exactly("the number of a record or the id of a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.reading(cmd, func(ctx context.Context, ledger *state.Ledger) error {
				record, err := findRecord(ctx, ledger, args[0])
				if err != nil {
					return err
				}
				if output == "json" {
					return c.printBytes(ctx, ledger, record.Seq)
				}
				text := term.Heading(record, c.style(0)) + term.Record(record, c.style(0))
				_, err = fmt.Fprint(c.stdout(), text)
				return err
			})
		},
	}
	c.stateFlags(cmd)
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

// printBytes prints the very bytes of a record that the chain's hashes cover.
func (c *cli) printBytes(ctx context.Context, ledger *state.Ledger, seq uint64) error {
	head, err := ledger.Load(ctx)
	if err != nil {
		return err
	}
	_, data, err := ledger.ReadRecord(ctx, head, seq)
	if err == nil {
		_, err = fmt.Fprintf(c.stdout(), "%s\n", data)
	}
	return err
}

func (c *cli) auditVerify() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify that the chain of records is whole",
		Long: `Verify walks the chain of records and checks that none is missing and that the
hash of each is the one that the next record names. It exits with 1 when it finds
something wrong.`,
		Example: "  tidemark audit verify --state s3://my-bucket/tidemark",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.reading(cmd, func(ctx context.Context, ledger *state.Ledger) error {
				chain, err := ledger.Verify(ctx)
				if err != nil {
					return err
				}
				if err := c.printChain(chain, output); err != nil {
					return err
				}
				if len(chain.Findings) > 0 {
					return exit(exitFindings)
				}
				return nil
			})
		},
	}
	c.stateFlags(cmd)
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

// verified is what audit verify -o json prints.
type verified struct {
	Records  uint64    `json:"records"`
	Findings []finding `json:"findings"`
}

type finding struct {
	Seq     uint64 `json:"seq"`
	Message string `json:"message"`
}

func (c *cli) printChain(chain state.Chain, output string) error {
	found := verified{Records: chain.Records, Findings: []finding{}}
	for _, f := range chain.Findings {
		found.Findings = append(found.Findings, finding{Seq: f.Seq, Message: f.Message})
	}
	if output == "json" {
		return c.printJSON(found)
	}
	_, err := fmt.Fprint(c.stdout(), term.Chain(chain, c.style(0)))
	return err
}
