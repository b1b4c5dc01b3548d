package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// repairing runs a command that changes a ledger by hand, prints its record, and
// exits with the code that stands in it.
func (c *cli) repairing(cmd *cobra.Command, output string, wire func(*app.Session, context.Context) (reconcile.Job, error), repair func(context.Context, reconcile.Job) (state.Record, error)) (*app.Session, error) {
	if c.settings.Reason == "" {
		return nil, &app.UsageError{Message: cmd.CommandPath() + " wants a --reason: it stands in the record", Hint: "add --reason 'why this is done'"}
	}
	session, err := c.open()
	if err != nil {
		return nil, err
	}
	ctx, cancel := session.Within(cmd.Context())
	defer cancel()
	job, err := wire(session, ctx)
	if err != nil {
		return nil, err
	}
	watcher := c.watch(session.Run)
	job.Progress = watcher.Tell
	record, err := repair(ctx, job)
	if record.Seq > 0 || c.env.Terminal {
		watcher.End(record)
	}
	if record.Seq > 0 {
		err = errors.Join(err, c.printCommand(record, output))
	}
	if err != nil {
		return session, err
	}
	return session, exit(record.Exit)
}

func (c *cli) printCommand(record state.Record, output string) error {
	if output == "json" {
		return c.printJSON(record)
	}
	_, err := fmt.Fprint(c.stdout(), term.Command(record, c.style(listed)))
	return err
}

// repairFlags are those of every command that changes a ledger by hand.
func (c *cli) repairFlags(cmd *cobra.Command, output *string) {
	c.stateFlags(cmd)
	c.waitFlags(cmd)
	cmd.Flags().StringVar(&c.settings.Reason, "reason", "", "why this is done; it stands in the record")
	outputFlag(cmd, output, "text", "json")
}

// remark tells people something about what a command did.
func (c *cli) remark(session *app.Session, text string) {
	if c.env.Terminal {
		c.say(term.Hint(text, term.Style{Paint: term.NewPaint(c.env.ErrColor)}))
		return
	}
	term.NewLog(c.stderr(), session.Run, c.env.Now).Hint(text)
}
