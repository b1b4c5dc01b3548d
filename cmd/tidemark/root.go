package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
)

// cli is one invocation of the program.
type cli struct {
	env      app.Env
	settings app.Settings
	redactor *term.Redactor
	// ledger is its name when it is one of a fleet.
	ledger string
}

// run does what the arguments say and gives the exit code.
func run(ctx context.Context, args []string, env app.Env) int {
	c := &cli{env: env, redactor: &term.Redactor{}}
	root := c.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	}
	c.complain(err)
	return codeOf(err)
}

func (c *cli) stdout() io.Writer { return c.redactor.Writer(c.env.Stdout) }
func (c *cli) stderr() io.Writer { return c.redactor.Writer(c.env.Stderr) }

// say tells people something. That nobody hears it is no reason to end a run.
func (c *cli) say(text string) { _, _ = io.WriteString(c.stderr(), text) }

// log gives the log of a run, or of what happens without one.
func (c *cli) log(run string) *term.Log { return term.NewLog(c.stderr(), run, c.env.Now).Of(c.ledger) }

// complain shows an error and what to do about it: to people in words, to
// others as a line of JSON.
func (c *cli) complain(err error) {
	if c.env.Terminal || isUsage(err) && c.ledger == "" {
		c.say(term.Fault(err, advice(err), term.Style{Paint: term.NewPaint(c.env.ErrColor)}))
		return
	}
	c.log("").Fault(err, advice(err))
}

const rootLong = `Tidemark brings what git repositories describe to a Kubernetes cluster, and
keeps no controller there. One run pulls the repository, compares it with what
it applied last and with what is live, applies and prunes the difference, leaves
a record, and ends. State and records are kept in object storage.`

const rootExample = `  # Show what a sync would do; nothing is written anywhere
  tidemark plan --app web --repo https://github.com/stefanprodan/podinfo --path kustomize \
    --namespace web --state s3://my-bucket/tidemark

  # Do it
  tidemark sync --app web --repo https://github.com/stefanprodan/podinfo --path kustomize \
    --namespace web --state s3://my-bucket/tidemark

  # The same for everything that a configuration describes
  tidemark sync --config tidemark.yaml

  # The configuration itself is a file of the repository
  tidemark sync --repo https://github.com/acme/platform --config tidemark.yaml --state gs://my-bucket/prod`

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "tidemark",
		Short:         "GitOps without a controller",
		Long:          rootLong + "\n\n" + exitHelp() + "\n\nEvery flag can be given as a variable too: --state as TIDEMARK_STATE.",
		Example:       rootExample,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(cmd, args[0])
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.variables(cmd) },
	}
	root.SetOut(c.env.Stdout)
	root.SetErr(c.env.Stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &app.UsageError{Message: err.Error(), Hint: "see " + cmd.CommandPath() + " --help"}
	})
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(c.sync(), c.plan(), c.approve(), c.rollback(), c.drift(), c.suspend(), c.resume(), c.render(), c.status(), c.history(), c.diff(), c.why(), c.audit(), c.detach(), c.unlock(), c.state(), c.doctor(), c.rbac(), c.version())
	return root
}

// unknown says that there is no such command.
func unknown(cmd *cobra.Command, name string) error {
	hint := "see " + cmd.CommandPath() + " --help"
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		hint = "did you mean " + cmd.CommandPath() + " " + near[0] + "?"
	}
	return &app.UsageError{Message: fmt.Sprintf("there is no command %q", name), Hint: hint}
}

// none refuses arguments.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &app.UsageError{Message: fmt.Sprintf("%s takes no argument, and %q is one", cmd.CommandPath(), args[0]), Hint: "see " + cmd.CommandPath() + " --help"}
	}
	return nil
}

// exactly wants one argument of a name.
func exactly(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return &app.UsageError{Message: fmt.Sprintf("%s wants one argument, %s, not %d", cmd.CommandPath(), name, len(args)), Hint: "see " + cmd.CommandPath() + " --help"}
		}
		return nil
	}
}

// group is a command that only holds others.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown(cmd, args[0])
		}
		return cmd.Help()
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(commands...)
	return cmd
}

// oneOf refuses a word that is not on a list.
func oneOf(flag, word string, words []string) error {
	if slices.Contains(words, word) {
		return nil
	}
	return &app.UsageError{Message: fmt.Sprintf("--%s is %q, not %s", flag, word, strings.Join(words, ", "))}
}
