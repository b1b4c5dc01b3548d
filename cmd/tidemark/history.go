package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile/history"
	"tidemark.dev/tidemark/state"
)

const runHelp = `A RUN is the number of its record, the id of the run or the beginning of it, or
latest, latest~1 and so on.`

// browsing opens the history of the ledger for a command that only reads it.
func (c *cli) browsing(cmd *cobra.Command, read func(context.Context, history.Book) error) error {
	return c.reading(cmd, func(ctx context.Context, ledger *state.Ledger) error {
		book, err := history.Open(ctx, ledger)
		if err != nil {
			return err
		}
		return unknownRun(read(ctx, book))
	})
}

// unknownRun makes a run or an object that there is none of a mistake in the call.
func unknownRun(err error) error {
	unknown, ok := errors.AsType[*history.UnknownError](err)
	switch {
	case ok && unknown.Object:
		return &app.UsageError{Message: term.Escape(unknown.Message), Hint: "tidemark state show --app NAME lists what an app owns; -n says which namespace is meant"}
	case ok:
		return &app.UsageError{Message: term.Escape(unknown.Message), Hint: "tidemark history lists the records"}
	}
	return err
}

// findRecord finds a record by its number or its run.
func findRecord(ctx context.Context, ledger *state.Ledger, name string) (state.Record, error) {
	book, err := history.Open(ctx, ledger)
	if err != nil {
		return state.Record{}, err
	}
	record, err := book.Find(ctx, name)
	return record, unknownRun(err)
}

func (c *cli) history() *cobra.Command {
	var limit int
	var since, output string
	cmd := &cobra.Command{
		Use:   "history [APP]",
		Short: "List the newest runs, of all apps or of one",
		Long: `History lists what the records tell, newest first: when each run ended, who or
what began it, and what became of it; for one APP its revision, its verdict and
the counts of its objects. It reads the state and nothing else.`,
		Example: "  tidemark history -n 50 --state s3://my-bucket/tidemark\n  tidemark history web --since 7d",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exactly("the name of an app")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return &app.UsageError{Message: fmt.Sprintf("--limit is %d, and must not be below 0", limit)}
			}
			query := history.Query{Limit: limit}
			var err error
			if query.Since, err = pointInTime(since, c.env.Now()); err != nil {
				return err
			}
			if len(args) == 1 {
				query.App = args[0]
			}
			return c.browsing(cmd, func(ctx context.Context, book history.Book) error {
				records, err := book.Records(ctx, query)
				if err != nil {
					return err
				}
				switch {
				case output == "json" && records == nil:
					return c.printJSON([]state.Record{})
				case output == "json":
					return c.printJSON(records)
				case query.App != "":
					_, err = fmt.Fprint(c.stdout(), term.AppHistory(query.App, records, c.style(0)))
				default:
					_, err = fmt.Fprint(c.stdout(), term.History(records, c.style(0)))
				}
				return err
			})
		},
	}
	c.stateFlags(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many records; 0 lists all")
	cmd.Flags().StringVar(&since, "since", "", "only runs that ended since then: a `time` (2026-03-04, 2026-03-04T05:06:07Z) or how long ago (90m, 36h, 7d)")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

var days = regexp.MustCompile(`^(\d{1,6})d$`)

// pointInTime reads a time, or how long ago it was; empty is the zero time.
func pointInTime(given string, now time.Time) (time.Time, error) {
	if given == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, given); err == nil {
			return at, nil
		}
	}
	if match := days.FindStringSubmatch(given); match != nil {
		n, _ := strconv.Atoi(match[1])
		return now.AddDate(0, 0, -n), nil
	}
	if ago, err := time.ParseDuration(given); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, &app.UsageError{
		Message: fmt.Sprintf("%q is neither a time nor a duration", term.Escape(given)),
		Hint:    "give 2026-03-04, 2026-03-04T05:06:07Z, 36h or 7d",
	}
}

func (c *cli) diff() *cobra.Command {
	var name, output string
	cmd := &cobra.Command{
		Use:   "diff RUN [RUN]",
		Short: "Show what changed between two runs",
		Long: `Diff compares what stood applied after one run with what stood applied after
another, the newest one when only one is given: objects that came (+), changed (~)
or went (-), field by field. It reads the state and nothing else, so that it tells
of what was wanted, not of what was changed by hand. Values of Secrets are kept
nowhere; that a Secret was written is told.

` + runHelp,
		Example: "  tidemark diff latest~1\n  tidemark diff 40 42 --app web",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return &app.UsageError{Message: fmt.Sprintf("%s wants one run or two, not %d", cmd.CommandPath(), len(args)), Hint: "see " + cmd.CommandPath() + " --help"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.browsing(cmd, func(ctx context.Context, book history.Book) error {
				var runs [2]state.Record
				for i, run := range append(args, "latest")[:2] {
					record, err := book.Find(ctx, run)
					if err != nil {
						return err
					}
					runs[i] = record
				}
				diff, err := book.Diff(ctx, runs[0], runs[1], name)
				if err != nil {
					return err
				}
				if output == "json" {
					return c.printJSON(diff)
				}
				_, err = fmt.Fprint(c.stdout(), term.Diff(diff, c.style(0)))
				return err
			})
		},
	}
	c.stateFlags(cmd)
	cmd.Flags().StringVar(&name, "app", "", "`name` of the one app to tell of")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func (c *cli) why() *cobra.Command {
	var namespace, output string
	var limit int
	cmd := &cobra.Command{
		Use:   "why KIND/NAME",
		Short: "Show which repository, commit, file and run wrote an object",
		Long: `Why tells who wrote an object and what that replaced: the runs that wrote it,
newest first, each with the repository, the commit and the file that it came from,
and the fields that it changed. It reads the state and nothing else.`,
		Example: "  tidemark why deployment/web -n shop\n  tidemark why clusterrole/reader --state s3://my-bucket/tidemark",
		Args:    exactly("KIND/NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, object, ok := strings.Cut(args[0], "/")
			if !ok || kind == "" || object == "" {
				return &app.UsageError{Message: fmt.Sprintf("%q is not KIND/NAME", term.Escape(args[0])), Hint: "as in deployment/web"}
			}
			if limit < 1 {
				return &app.UsageError{Message: fmt.Sprintf("--limit is %d, and must be 1 at least", limit)}
			}
			return c.browsing(cmd, func(ctx context.Context, book history.Book) error {
				why, err := book.Why(ctx, history.Name{Kind: kind, Namespace: namespace, Name: object}, limit)
				if err != nil {
					return err
				}
				if output == "json" {
					return c.printJSON(why)
				}
				_, err = fmt.Fprint(c.stdout(), term.Why(why, c.style(0)))
				return err
			})
		},
	}
	c.stateFlags(cmd)
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "namespace of the object")
	cmd.Flags().IntVar(&limit, "limit", 5, "how many writes to tell of")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}
