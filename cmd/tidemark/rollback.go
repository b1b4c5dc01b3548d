package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

const rollbackExample = `  # Back to the set before the present one, until somebody resumes
  tidemark rollback shop --reason 'incident 7' --config tidemark.yaml

  # What it would do
  tidemark rollback shop --reason 'incident 7' --config tidemark.yaml --dry-run

  # To what a run applied, or a commit, for two hours or until the fix comes
  tidemark rollback shop --to 3f0c9a51 --until 2h --reason 'incident 7'
  tidemark rollback shop --until change --reason 'incident 7'`

// untilChange is what --until says of a pin that ends with other inputs.
const untilChange = "change"

func (c *cli) rollback() *cobra.Command {
	var back reconcile.Rollback
	var until, output string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "rollback APP --reason REASON [--to RUN|REVISION] [--until TIME|DURATION|change]",
		Short: "Take an app back to a set that it had before, and pin it there",
		Long: `Rollback takes an app back to a set that an earlier run applied in full, at once:
through the same plan and guards as every run, and without a repository, so that
it works while git is down. The app is pinned there, which every command shows,
until tidemark resume, until a time, or until what it is made of changes. The data of Secrets is only put back with the key to it (--age-identity);
otherwise live Secrets stay as they are.

` + exitHelp(),
		Example: rollbackExample,
		Args:    exactly("the app"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.settings.Reason == "" {
				return &app.UsageError{Message: "a rollback wants a --reason: it stands in the record", Hint: "add --reason 'why this is done'"}
			}
			back.App, back.UntilChange = args[0], until == untilChange
			if !back.UntilChange {
				var err error
				if back.Until, err = moment(until, c.env.Now()); err != nil {
					return err
				}
			}
			c.settings.Apps, c.settings.Rollback, c.settings.LastConfig = args, &back, true
			return c.rollBack(cmd.Context(), output, dryRun)
		},
	}
	c.stateFlags(cmd)
	c.waitFlags(cmd)
	c.clusterFlags(cmd)
	f, s := cmd.Flags(), &c.settings
	f.StringVar(&s.Repo, "repo", "", "`URL` or path of the git repository that holds the configuration")
	f.StringVar(&s.Ref, "ref", "", "branch, tag, full ref name, commit or semver:RANGE of it")
	f.StringVar(&back.To, "to", "", "`run`, commit or chart version to go back to (default the set before the present one)")
	f.StringVar(&until, "until", "", "`time` (RFC 3339) or duration (2h) after which the pin ends, or change: with other inputs (default never)")
	f.StringVar(&s.AgeIdentity, "age-identity", "", "`file` with the key to the data of kept Secrets")
	f.StringVar(&s.Reason, "reason", "", "why this is done; it stands in the record")
	f.StringSliceVar(&s.Confirm, "confirm", nil, "approve the plan with this `hash` (8 digits of it at least) (repeatable)")
	f.BoolVar(&dryRun, "dry-run", false, "show the plan, and write nothing")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

// rollBack does the run, and does it again while another one is at work.
func (c *cli) rollBack(ctx context.Context, output string, dryRun bool) error {
	mode, show := reconcile.Sync, func(report reconcile.Report) error { return c.printRun(report, output) }
	if dryRun {
		mode, show = reconcile.PlanOnly, func(report reconcile.Report) error { return c.printPlan(report, output) }
	}
	for {
		skipped := false
		report, err := c.do(ctx, mode, func(report reconcile.Report) error {
			if skipped = report.Record.Verdict == state.Skipped && c.settings.LockWait == 0; skipped {
				return nil // it is tried again
			}
			return show(report)
		})
		switch {
		case err != nil:
			return err
		case !skipped && report.Record.Verdict == state.Skipped:
			return fmt.Errorf("roll back: %w", reconcile.Refused(fmt.Errorf("another run is at work: %s", report.Record.Message)))
		case !skipped:
			return exit(report.Record.Exit)
		}
	}
}
