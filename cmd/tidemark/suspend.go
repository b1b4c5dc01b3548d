package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

func (c *cli) suspend() *cobra.Command {
	var until, output string
	cmd := &cobra.Command{
		Use:   "suspend [APP...] --reason REASON [--until TIME|DURATION]",
		Short: "Let runs look and plan, but not act: one app, or everything",
		Long: `Suspend keeps runs from acting on an app: they go on to look and to plan, the
app's verdict is waiting when there is something to do, and the exit code is 0.
Without an APP the whole ledger is frozen. Who, why and until when stand in the
record and in tidemark status. A run that is at work is waited for.`,
		Example: `  tidemark suspend shop --reason 'the shop is being moved' --until 2h --state s3://my-bucket/tidemark
  tidemark suspend --reason 'sales week' --until 2026-12-01T08:00:00Z --config tidemark.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, apps []string) error {
			end, err := moment(until, c.env.Now())
			if err != nil {
				return err
			}
			_, err = c.repairing(cmd, output, (*app.Session).RepairState, func(ctx context.Context, job reconcile.Job) (state.Record, error) {
				return reconcile.Suspend(ctx, job, apps, end)
			})
			return err
		},
	}
	c.repairFlags(cmd, &output)
	cmd.Flags().StringVar(&until, "until", "", "`time` (RFC 3339) or duration (2h) after which it ends by itself (default never)")
	return cmd
}

// moment reads a time, or a duration from now; the zero time for nothing.
func moment(given string, now time.Time) (time.Time, error) {
	if given == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(given); err == nil && d > 0 {
		return now.Add(d), nil
	}
	t, err := time.Parse(time.RFC3339, given)
	if err != nil || !t.After(now) {
		return time.Time{}, &app.UsageError{
			Message: fmt.Sprintf("--until %q is neither a time that comes nor a duration", given),
			Hint:    "write it as 2026-12-01T08:00:00Z or as 90m",
		}
	}
	return t, nil
}
