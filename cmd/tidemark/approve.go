package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
)

func (c *cli) approve() *cobra.Command {
	var name, reason, output string
	cmd := &cobra.Command{
		Use:   "approve HASH --reason REASON",
		Short: "Let one plan pass the guards that ask for approval, once",
		Long: `Approve notes in the state that the next sync may carry out exactly the plan with
this hash, although a guard asks for approval. Commits that the app does not read
leave the plan, and the approval, as they are; when what the app renders to or
what is live moves on, the plan is another one, and the approval is worth nothing.
The beginning of the hash, of 8 digits at least, is enough. Who approved what and
why stands in the record.`,
		Example: `  tidemark approve 3f0c9a51 --reason 'the old queue is retired' --state s3://my-bucket/tidemark`,
		Args:    exactly("the plan's hash"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return &app.UsageError{Message: "an approval wants a --reason: it stands in the record", Hint: "add --reason 'why this may happen'"}
			}
			hash, err := planHash(args[0])
			if err != nil {
				return err
			}
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
			record, err := reconcile.Approve(ctx, ledger, reconcile.Approval{
				Hash: hash, App: name, Reason: reason, LockTimeout: c.settings.LockWait,
				Trigger: c.env.Trigger(), Actor: c.env.Actor(), Tool: session.Tool(), Now: c.env.Now,
			})
			if err != nil {
				return err
			}
			if output == "json" {
				return c.printJSON(record)
			}
			_, err = fmt.Fprintf(c.stdout(), "%s (record %d)\n", term.Escape(record.Message), record.Seq)
			return err
		},
	}
	c.stateFlags(cmd)
	c.waitFlags(cmd)
	cmd.Flags().StringVar(&name, "app", "", "`name` of the app, for a plan that was only shown and is in no record")
	cmd.Flags().StringVar(&reason, "reason", "", "why the plan may be carried out")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

var hashDigits = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// planHash checks the hash of a plan, or the beginning of one.
func planHash(given string) (string, error) {
	hash := strings.ToLower(given)
	if !hashDigits.MatchString(hash) {
		return "", &app.UsageError{
			Message: fmt.Sprintf("%q is not the hash of a plan", term.Escape(given)),
			Hint:    "give its first 8 digits at least, as the plan or the record shows them",
		}
	}
	return hash, nil
}
