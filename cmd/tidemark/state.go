package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

func (c *cli) state() *cobra.Command {
	return group(&cobra.Command{
		Use:   "state",
		Short: "Look into the state, and repair it",
	}, c.stateShow(), c.stateRebuild(), c.stateAdoptCluster())
}

func (c *cli) stateShow() *cobra.Command {
	var name, output string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show what the state holds: ledger, lease, and the objects of each app",
		Long: `Show reads the state and nothing else: which ledger and cluster it is, who has the
lease and for how long, and how many objects each app owns. With --app it lists
those objects. What cannot be read is said, with exit code 13.`,
		Example: "  tidemark state show --state s3://my-bucket/tidemark\n  tidemark state show --app shop -o json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.reading(cmd, func(ctx context.Context, ledger *state.Ledger) error {
				head, err := ledger.Load(ctx)
				if err != nil {
					return err
				}
				holdings := reconcile.Holdings(ctx, ledger, head)
				if name != "" {
					holdings = slices.DeleteFunc(holdings, func(h reconcile.Holding) bool { return h.Name != name })
					if len(holdings) == 0 {
						return &app.UsageError{Message: fmt.Sprintf("the state knows no app %q", term.Escape(name)), Hint: "tidemark state show lists what there is"}
					}
				}
				if err := c.printLedger(term.Ledger{Head: head, Holdings: holdings, Members: name != "", Now: c.env.Now()}, output); err != nil {
					return err
				}
				broken := []error{ledger.CheckRolledBack(ctx, head)}
				for _, h := range holdings {
					broken = append(broken, h.Err)
				}
				return errors.Join(broken...)
			})
		},
	}
	c.stateFlags(cmd)
	cmd.Flags().StringVar(&name, "app", "", "`name` of an app whose objects to list")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

// shown is what state show -o json prints.
type shown struct {
	Lineage   string `json:"lineage"`
	Label     string `json:"label"`
	Cluster   string `json:"cluster"`
	Seq       uint64 `json:"seq"`
	Epoch     uint64 `json:"epoch"`
	Witnessed uint64 `json:"witnessed"`
	Config    string `json:"config"`
	Lease     struct {
		state.Lease
		// AgeSeconds is how long ago the head was written, by the store's clock.
		AgeSeconds float64 `json:"ageSeconds"`
	} `json:"lease"`
	Records uint64     `json:"records"`
	Apps    []shownApp `json:"apps"`
}

type shownApp struct {
	Name       string            `json:"name"`
	Revision   *state.Revision   `json:"revision"`
	Chart      *state.Chart      `json:"chart,omitempty"`
	Tally      reconcile.Tally   `json:"tally"`
	PlanOpen   bool              `json:"planOpen"`
	NewCluster bool              `json:"newCluster,omitempty"`
	Quarantine *state.Quarantine `json:"quarantine,omitempty"`
	Pin        *state.Pin        `json:"pin,omitempty"`
	Approval   *state.Approval   `json:"approval,omitempty"`
	// Members are listed for an app that was named.
	Members []state.Member `json:"members,omitempty"`
	Damaged string         `json:"damaged,omitempty"`
}

func (c *cli) printLedger(l term.Ledger, output string) error {
	if output != "json" {
		_, err := fmt.Fprint(c.stdout(), l.Text(c.style(0)))
		return err
	}
	h := l.Head
	out := shown{
		Cluster: h.Cluster, Seq: h.Seq, Epoch: h.Epoch, Witnessed: h.Witnessed, Config: h.Config, Records: h.Audit.Seq, Apps: []shownApp{},
	}
	out.Lease.Lease = h.Lease
	if h.Seq > 0 { // otherwise a lineage is only proposed
		out.Lineage, out.Label = h.Lineage, reconcile.LedgerLabel(h.Lineage)
		out.Lease.AgeSeconds = h.Stamp.Now.Sub(h.Stamp.Modified).Round(time.Millisecond).Seconds()
	}
	for _, holding := range l.Holdings {
		one := shownApp{
			Name: holding.Name, Revision: holding.Revision, Chart: holding.Chart, Tally: holding.Tally(), PlanOpen: holding.Plan != nil, NewCluster: holding.NewCluster,
			Quarantine: holding.Quarantine, Pin: holding.Pin, Approval: holding.Approval,
		}
		if l.Members {
			one.Members = holding.Members
		}
		if holding.Err != nil {
			one.Damaged = holding.Err.Error()
		}
		out.Apps = append(out.Apps, one)
	}
	return c.printJSON(out)
}
