package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// variables gives each flag that was not set the value of its variable.
func (c *cli) variables(cmd *cobra.Command) error {
	if err := c.env.Variables(cmd.Flags()); err != nil {
		return err
	}
	for name, words := range outputs(cmd) {
		if f := cmd.Flags().Lookup(name); f != nil {
			if err := oneOf(name, f.Value.String(), words); err != nil {
				return err
			}
		}
	}
	return nil
}

const outputKey = "tidemark.dev/one-of"

// outputs gives the flags of a command that allow only some words.
func outputs(cmd *cobra.Command) map[string][]string {
	found := map[string][]string{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if words := f.Annotations[outputKey]; len(words) > 0 {
			found[f.Name] = words
		}
	})
	return found
}

// outputFlag adds -o; the first word is the default.
func outputFlag(cmd *cobra.Command, into *string, words ...string) {
	cmd.Flags().StringVarP(into, "output", "o", words[0], "how to print the result: "+strings.Join(words, ", "))
	cmd.Flags().Lookup("output").Annotations = map[string][]string{outputKey: words}
	_ = cmd.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return slices.Clone(words), cobra.ShellCompDirectiveNoFileComp
	})
}

// stateFlags say which ledger is meant.
func (c *cli) stateFlags(cmd *cobra.Command) { c.settings.StateFlags(cmd.Flags()) }

// waitFlags say how long to wait for others.
func (c *cli) waitFlags(cmd *cobra.Command) { c.settings.WaitFlags(cmd.Flags()) }

// appFlags say what is wanted.
func (c *cli) appFlags(cmd *cobra.Command) { c.settings.AppFlags(cmd.Flags()) }

// clusterFlags say which cluster is the target.
func (c *cli) clusterFlags(cmd *cobra.Command) { c.settings.ClusterFlags(cmd.Flags()) }
