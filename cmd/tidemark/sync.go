package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
)

const syncExample = `  # One app, from flags
  tidemark sync --app web --repo https://github.com/stefanprodan/podinfo --ref semver:6.x \
    --path kustomize --namespace web --state file:///var/lib/tidemark

  # Every app of a configuration, or some of them
  tidemark sync --config tidemark.yaml
  tidemark sync --config tidemark.yaml --app web --app db

  # Approve what a guard held back, and carry it out
  tidemark sync --confirm 3f0c9a51 --reason 'the old queue is retired'

  # Exactly a plan that was kept
  tidemark plan --out plan.json
  tidemark sync --plan plan.json

  # The record of the run for a program
  tidemark sync -o json | jq .verdict

  # Every ledger of a fleet, or the second of three shares of them
  tidemark sync --fleet fleet.yaml
  tidemark sync --fleet fleet.yaml --shard 1/3`

func (c *cli) sync() *cobra.Command {
	var output, planFile string
	var fleet fleetFlags
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Bring the cluster to the newest revision",
		Long: `Sync pulls the repositories, renders what should exist, compares it with what is
live, applies and prunes the difference, and leaves a record. When nothing
changed it costs a look-up of the ref, a read of the state and a metadata LIST
per kind.

With --fleet it does so for each ledger that a file lists, or for a share of
them; with -o json it prints one line for each: {"ledger": NAME, "record": …}.

` + exitHelp(),
		Example: syncExample,
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if many, err := fleet.isGiven(cmd); err != nil {
				return err
			} else if many {
				return c.syncFleet(cmd.Context(), fleet, output)
			}
			if err := c.readPlan(planFile); err != nil {
				return err
			}
			if len(c.settings.Confirm) > 0 && c.settings.Reason == "" {
				return &app.UsageError{Message: "--confirm wants a --reason: it stands in the record", Hint: "add --reason 'why this may happen'"}
			}
			for i, given := range c.settings.Confirm {
				hash, err := planHash(given)
				if err != nil {
					return err
				}
				c.settings.Confirm[i] = hash
			}
			show := func(report reconcile.Report) error { return c.printRun(report, output) }
			report, err := c.do(cmd.Context(), reconcile.Sync, show)
			if err != nil && output == "json" && !isUsage(err) {
				err = errors.Join(err, c.printJSON(report.Record))
			}
			if err != nil {
				return err
			}
			return exit(report.Record.Exit)
		},
	}
	c.stateFlags(cmd)
	c.waitFlags(cmd)
	c.appFlags(cmd)
	c.clusterFlags(cmd)
	cmd.Flags().StringSliceVar(&c.settings.Confirm, "confirm", nil, "approve the plan with this `hash` (8 digits of it at least) and carry it out in one go (repeatable)")
	cmd.Flags().StringVar(&c.settings.Reason, "reason", "", "why --confirm approves it, or --plan; it stands in the record")
	cmd.Flags().StringVar(&planFile, "plan", "", "carry out exactly the plan in this `file` (of tidemark plan --out), or nothing; with --reason it is approved, too")
	fleet.add(cmd)
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func (c *cli) printRun(report reconcile.Report, output string) error {
	if output == "json" {
		return c.printJSON(report.Record)
	}
	_, err := fmt.Fprint(c.stdout(), term.Record(report.Record, c.style(listed)))
	c.unrecorded(report)
	return err
}
