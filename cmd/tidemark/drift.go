package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// drifted is one object of what drift -o json prints.
type drifted struct {
	App    string           `json:"app"`
	ID     object.ID        `json:"id"`
	Reason plan.Reason      `json:"reason"`
	Fields []plan.FieldDiff `json:"fields,omitempty"`
	// Contested: it drifts back run after run.
	Contested *state.Contest `json:"contested,omitempty"`
}

// contestOf gives what the record says of an object that is contested.
func contestOf(record state.Record, app string, id object.ID) *state.Contest {
	for _, a := range record.Apps {
		for _, c := range a.Contested {
			if a.Name == app && c.ID == id {
				return &c
			}
		}
	}
	return nil
}

func (c *cli) drift() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "drift [APP...]",
		Short: "List what others changed of our objects, and who",
		Long: `Drift looks at the cluster as plan does, and lists only what somebody else did to
objects of the apps: each field with its live value, the one that is wanted, and
the manager that wrote it last. Values of Secrets are never shown, and what the
configuration or an object says is off is left out. Nothing is written. It exits
with 1 when there is drift.`,
		Example: "  tidemark drift --config tidemark.yaml\n  tidemark drift shop --config tidemark.yaml -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, apps []string) error {
			c.settings.Apps = append(c.settings.Apps, apps...)
			found := []drifted{}
			report, err := c.do(cmd.Context(), reconcile.PlanOnly, func(report reconcile.Report) error {
				for _, p := range report.Plans {
					for _, change := range p.Changes {
						if change.Drifts() {
							found = append(found, drifted{App: p.App, ID: change.ID, Reason: change.Reason, Fields: change.Diff, Contested: contestOf(report.Record, p.App, change.ID)})
						}
					}
				}
				if output == "json" {
					return c.printJSON(found)
				}
				_, err := fmt.Fprint(c.stdout(), term.Drift(report.Record, report.Plans, c.style(0)))
				return err
			})
			if err != nil {
				return err
			}
			if code := report.Record.Exit; code != 0 && code != int(reconcile.ExitRefused) {
				return exit(code)
			}
			if len(found) > 0 {
				return exit(1)
			}
			return nil
		},
	}
	c.stateFlags(cmd)
	c.waitFlags(cmd)
	c.appFlags(cmd)
	c.clusterFlags(cmd)
	outputFlag(cmd, &output, "text", "json")
	return cmd
}
