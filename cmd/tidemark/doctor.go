package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

func (c *cli) doctor() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that runs need, and say what to do",
		Long: `Doctor checks that the store honours conditional writes (32 writers race for one
object), the clocks, the state and its records, that the cluster is the right one,
what its witness knows, that repositories and charts can be fetched and rendered,
and the permissions that runs need in the cluster: get, list, create, patch and
delete for each kind, where its objects are, and watch where an app waits.

It changes nothing, but for an object under probe/ in the store, which it removes
again. Without a configuration it checks what the state and the cluster tell. It
exits with 1 when a check failed.`,
		Example: "  tidemark doctor --config tidemark.yaml\n  tidemark doctor --state s3://my-bucket/tidemark -o json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			session, err := c.open()
			if err != nil {
				return err
			}
			ctx, cancel := session.Within(cmd.Context())
			defer cancel()
			job, unopened := session.Doctor(ctx)
			end := func() {}
			if c.env.Terminal {
				watcher := c.watch(session.Run)
				job.Progress = watcher.Tell
				end = func() { watcher.End(state.Record{}) }
			}
			checks := reconcile.Doctor(ctx, job, unopened)
			end()
			return c.printChecks(checks, output)
		},
	}
	c.stateFlags(cmd)
	c.appFlags(cmd)
	c.clusterFlags(cmd)
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

// examination is what doctor -o json prints.
type examination struct {
	Checks []examined `json:"checks"`
	Failed int        `json:"failed"`
}

type examined struct {
	Part    string           `json:"part"`
	Name    string           `json:"name"`
	Health  reconcile.Health `json:"health"`
	Message string           `json:"message"`
	Advice  string           `json:"advice,omitempty"`
}

func (c *cli) printChecks(checks []reconcile.Check, output string) error {
	found := examination{Checks: []examined{}}
	var shown []term.Examined
	for _, check := range checks {
		advice := hint(check.Err)
		if check.Health == reconcile.Failed {
			found.Failed++
		}
		found.Checks = append(found.Checks, examined{Part: check.Part, Name: check.What, Health: check.Health, Message: check.Message, Advice: advice})
		shown = append(shown, term.Examined{Check: check, Advice: advice})
	}
	var err error
	if output == "json" {
		err = c.printJSON(found)
	} else {
		_, err = fmt.Fprint(c.stdout(), term.Doctor(shown, c.style(0)))
	}
	if err == nil && found.Failed > 0 {
		return exit(exitFindings)
	}
	return err
}
