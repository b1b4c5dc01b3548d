package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

func (c *cli) plan() *cobra.Command {
	var output, out string
	var detailed bool
	var fleet fleetFlags
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what a sync would do, and why",
		Long: `Plan does everything that sync does up to the first write, and shows it: objects
to create (+), change (~), adopt (>) and prune (-), what is put off (?) or left
alone (=), each with its reason and the fields that differ. Values of Secrets
are never shown. Nothing is written, neither to the cluster nor to the head of
the state.

With --out the plan is kept, in a file and in the ledger: tidemark sync --plan
carries out exactly that, or nothing. With --offline no cluster is asked: what is
wanted is compared with what was applied last, as the ledger has it. -o markdown
is fit for a comment of a pull request, whose size it never exceeds.

With --fleet it does so for each ledger that a file lists, or for a share of
them; with -o json it prints one line for each.

` + exitHelp(),
		Example: `  tidemark plan --config tidemark.yaml
  tidemark plan --config tidemark.yaml --app web -o yaml

  # For a pull request: fail when something would change
  tidemark plan --config tidemark.yaml --detailed-exitcode

  # In CI, without a credential of the cluster
  tidemark plan --config tidemark.yaml --offline -o markdown > comment.md

  # What is agreed on is what is done
  tidemark plan --config tidemark.yaml --out plan.json
  tidemark sync --config tidemark.yaml --plan plan.json`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if many, err := fleet.isGiven(cmd); err != nil {
				return err
			} else if many {
				return c.planFleet(cmd.Context(), fleet, output, detailed)
			}
			c.settings.Keep, c.settings.Commits = out != "", true
			show := func(report reconcile.Report) error {
				return errors.Join(c.printPlan(report, output), c.keepPlan(report, out))
			}
			report, err := c.do(cmd.Context(), reconcile.PlanOnly, show)
			if err != nil {
				return err
			}
			if report.Record.Exit == 0 && detailed && changes(report.Plans) {
				return exit(exitChanges)
			}
			return exit(report.Record.Exit)
		},
	}
	c.stateFlags(cmd)
	c.waitFlags(cmd)
	c.appFlags(cmd)
	c.clusterFlags(cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when the plan holds changes")
	cmd.Flags().StringVar(&out, "out", "", "keep the plan in this `file`, for tidemark sync --plan")
	cmd.Flags().BoolVar(&c.settings.Offline, "offline", false, "ask no cluster: compare with what was applied last")
	cmd.Flags().StringVar(&c.settings.KubeVersion, "kube-version", "", "`version` of Kubernetes that Helm charts see with --offline")
	fleet.add(cmd)
	outputFlag(cmd, &output, "text", "json", "yaml", "markdown")
	return cmd
}

func changes(plans []plan.Plan) bool {
	for _, p := range plans {
		if p.Acts() {
			return true
		}
	}
	return false
}

// planned is what plan -o json prints.
type planned struct {
	// Record says for each app which revision is wanted, and what stood in the
	// way of a plan. It is not kept anywhere.
	Record state.Record `json:"record"`
	Plans  []plan.Plan  `json:"plans"`
	// Commits are those that an app's plan brings, by app.
	Commits map[string]*source.Log `json:"commits,omitempty"`
}

func plannedOf(report reconcile.Report) planned {
	value := planned{Record: report.Record, Plans: report.Plans, Commits: commitsOf(report.Saved)}
	if value.Plans == nil {
		value.Plans = []plan.Plan{}
	}
	return value
}

func (c *cli) printPlan(report reconcile.Report, output string) error {
	value := plannedOf(report)
	switch output {
	case "json":
		return c.printJSON(value)
	case "yaml":
		data, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("print plan: %w", err)
		}
		_, err = c.stdout().Write(data)
		return err
	case "markdown":
		_, err := io.WriteString(c.stdout(), term.Markdown(report.Saved, c.ledgerFlags()))
		return err
	}
	style := c.style(0)
	style.Logs = commitsOf(report.Saved)
	_, err := fmt.Fprint(c.stdout(), term.Plans(report.Record, report.Plans, style))
	return err
}
