package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/cmd/internal/fleet"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// sideBySide is how many ledgers run at once when nothing is said. A run waits
// for networks most of its time, so that a few fill a core; each may need the
// memory of a run of its own.
const sideBySide = 4

// fleetFlags say which ledgers of a fleet are meant, and how many run at once.
type fleetFlags struct {
	file, shard string
	parallel    int
}

func (f *fleetFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "fleet", "", "`file` that lists ledgers, to run them all; see cmd/internal/config/reference.md")
	flags.StringVar(&f.shard, "shard", "", "`INDEX/COUNT`: of the fleet, only the ledgers of this share, counted from 0 (default what an Indexed Job with TIDEMARK_SHARDS or a Cloud Run job says, else all)")
	flags.IntVar(&f.parallel, "parallel", sideBySide, "how many ledgers of the fleet run at once; each may need the memory of a run")
}

// ofOneLedger are the flags that make no sense for many ledgers; git-… are too.
var ofOneLedger = []string{ //nolint:gochecknoglobals // a table
	"config", "state", "app", "repo", "ref", "path", "namespace", "confirm", "reason", "plan", "out",
}

// isGiven says whether a fleet is meant, and refuses flags that do not go with
// that.
func (f *fleetFlags) isGiven(cmd *cobra.Command) (bool, error) {
	if f.file == "" {
		for _, name := range []string{"shard", "parallel"} {
			if cmd.Flags().Changed(name) {
				return false, &app.UsageError{Message: "--" + name + " says something of a fleet, and there is none", Hint: "name the file that lists its ledgers with --fleet"}
			}
		}
		return false, nil
	}
	var beside []string
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if slices.Contains(ofOneLedger, flag.Name) || strings.HasPrefix(flag.Name, "git-") {
			beside = append(beside, "--"+flag.Name)
		}
	})
	switch {
	case len(beside) > 0:
		return false, &app.UsageError{
			Message: "beside --fleet, " + strings.Join(beside, ", ") + " would be said of every ledger",
			Hint:    "say it in " + f.file + " of the ledgers that it is true of; mind that a flag may be given by its variable, such as " + app.Variable(beside[0][2:]),
		}
	case f.parallel < 1:
		return false, &app.UsageError{Message: fmt.Sprintf("--parallel is %d; at least one ledger runs at once", f.parallel)}
	}
	return true, nil
}

// sharing is what this process has to do of a fleet.
type sharing struct {
	shard fleet.Shard
	// all is how many ledgers the fleet has.
	all  int
	mine []config.Ledger
}

// share finds out what this process has to do. What is wrong with the fleet as
// a whole is found here, before anything is done.
func (c *cli) share(f fleetFlags) (sharing, error) {
	shard, err := c.env.Shard(f.shard)
	if err != nil {
		return sharing{}, err
	}
	if err := c.settings.Check(); err != nil {
		return sharing{}, err
	}
	listed, err := c.env.Fleet(f.file)
	if err != nil {
		return sharing{}, err
	}
	mine := slices.DeleteFunc(slices.Clone(listed.Ledgers), func(l config.Ledger) bool { return !shard.Has(l.Name) })
	return sharing{shard: shard, all: len(listed.Ledgers), mine: mine}, nil
}

// fleetEnd is how the runs of this process's share went.
type fleetEnd struct {
	sharing
	exits    []int
	verdicts map[state.Verdict]int
	took     time.Duration
}

// eachLedger does a run of each ledger of this process's share, some at once.
// Each has a session, a record and an end of its own; show tells of one, for
// names of that width, and is called from several goroutines.
func (c *cli) eachLedger(ctx context.Context, f fleetFlags, mode reconcile.Mode, show func(one *cli, width int, report reconcile.Report) error) (fleetEnd, error) {
	share, err := c.share(f)
	if err != nil {
		return fleetEnd{}, err
	}
	if limit := c.settings.Timeout; limit > 0 {
		// The bound is for the whole command; those of the configurations are for
		// their runs.
		bounded, cancel := context.WithTimeoutCause(ctx, limit, &app.TimeoutError{After: limit})
		defer cancel()
		ctx, c.settings.Timeout = bounded, 0
	}
	started := c.env.Now()
	c.env.Stdout, c.env.Stderr = term.Shared(c.env.Stdout), term.Shared(c.env.Stderr)
	width := 0
	for _, l := range share.mine {
		width = max(width, len(l.Name))
	}
	end := fleetEnd{sharing: share, verdicts: map[state.Verdict]int{}}
	var mu sync.Mutex
	var runs errgroup.Group
	runs.SetLimit(f.parallel)
	for _, l := range share.mine {
		runs.Go(func() error {
			one := c.of(l)
			record, err := one.doLedger(ctx, mode, func(report reconcile.Report) error { return show(one, width, report) })
			mu.Lock()
			defer mu.Unlock()
			end.exits = append(end.exits, record.Exit)
			end.verdicts[record.Verdict]++
			return err
		})
	}
	err = runs.Wait()
	end.took = c.env.Now().Sub(started)
	return end, err
}

func (c *cli) syncFleet(ctx context.Context, f fleetFlags, output string) error {
	end, err := c.eachLedger(ctx, f, reconcile.Sync, func(one *cli, width int, report reconcile.Report) error {
		if output == "json" {
			return one.printLine(ledgerRun{Ledger: one.ledger, Record: report.Record})
		}
		one.unrecorded(report)
		_, err := io.WriteString(one.stdout(), term.LedgerRun(one.ledger, width, report.Record, one.style(0)))
		return err
	})
	if err == nil && output == "text" {
		err = c.printFleet(end)
	}
	if err != nil {
		return err
	}
	return exit(reconcile.Worst(end.exits...))
}

func (c *cli) planFleet(ctx context.Context, f fleetFlags, output string, detailed bool) error {
	if output == "markdown" {
		return &app.UsageError{Message: "-o markdown shows the plan of one ledger", Hint: "leave --fleet out, or take -o json"}
	}
	var acts atomic.Bool
	end, err := c.eachLedger(ctx, f, reconcile.PlanOnly, func(one *cli, width int, report reconcile.Report) error {
		if changes(report.Plans) {
			acts.Store(true)
		}
		return one.printLedgerPlan(report, width, output)
	})
	if err != nil {
		return err
	}
	code := reconcile.Worst(end.exits...)
	if code == 0 && detailed && acts.Load() {
		code = exitChanges
	}
	return exit(code)
}

// of gives the invocation for one ledger of the fleet: what it says is told
// apart from what the others say.
func (c *cli) of(l config.Ledger) *cli {
	one := &cli{env: c.env, settings: c.settings.Of(l), redactor: &term.Redactor{}, ledger: l.Name}
	if one.env.Terminal {
		one.env.Stderr = term.Prefixed(c.env.Stderr, l.Name+": ")
	}
	return one
}

// doLedger does the run of one ledger and gives its record. A run that could not
// even begin has one too, which is kept nowhere.
func (c *cli) doLedger(ctx context.Context, mode reconcile.Mode, show func(reconcile.Report) error) (state.Record, error) {
	if ctx.Err() != nil {
		unbegun := c.env.Unbegun("", fmt.Errorf("not begun: %w", context.Cause(ctx)))
		return unbegun, show(reconcile.Report{Record: unbegun})
	}
	var shown error
	report, err := c.do(ctx, mode, func(report reconcile.Report) error {
		shown = show(report)
		return nil
	})
	if err == nil {
		return report.Record, shown
	}
	c.complain(err)
	if report.Record.Format == 0 {
		report.Record = c.env.Unbegun("", err)
	}
	return report.Record, show(report)
}

// ledgerRun is a line of what sync --fleet -o json prints.
type ledgerRun struct {
	Ledger string       `json:"ledger"`
	Record state.Record `json:"record"`
}

// ledgerPlan is a line of what plan --fleet -o json prints.
type ledgerPlan struct {
	Ledger string `json:"ledger"`
	planned
}

// printLedgerPlan shows a plan below the ledger's name. Where there is none, or
// none that could be carried out, the line that a sync has says why.
func (c *cli) printLedgerPlan(report reconcile.Report, width int, output string) error {
	value := ledgerPlan{Ledger: c.ledger, planned: plannedOf(report)}
	switch output {
	case "json":
		return c.printLine(value)
	case "yaml":
		data, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("print plan: %w", err)
		}
		_, err = c.stdout().Write(append([]byte("---\n"), data...))
		return err
	}
	text := c.ledger + "\n"
	if len(report.Plans) == 0 || report.Record.Exit != 0 {
		text = term.LedgerRun(c.ledger, width, report.Record, c.style(0))
	}
	if len(report.Plans) > 0 {
		text += term.Plans(report.Record, report.Plans, c.style(0)) + "\n"
	}
	_, err := io.WriteString(c.stdout(), text)
	return err
}

// printLine prints a value as one line of JSON.
func (c *cli) printLine(value any) error {
	encoder := json.NewEncoder(c.stdout())
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func (c *cli) printFleet(end fleetEnd) error {
	summary := term.Fleet{Runs: end.verdicts, Ledgers: end.all, Took: end.took}
	if end.shard != fleet.Whole {
		summary.Shard = end.shard.String()
	}
	_, err := io.WriteString(c.stdout(), summary.Text(c.style(0)))
	return err
}
