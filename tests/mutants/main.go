// Command mutants takes each safeguard of Tidemark away, one at a time, and shows which fast test notices:
//
//	go run ./tests/mutants [-run REGEXP] [-v]
//
// The files stay as they are: go test is given the changed one as an overlay. A safeguard whose loss no test notices is a
// failure, as is a change that does not compile or no longer finds its place.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"text/tabwriter"
	"time"
)

func main() {
	only := flag.String("run", "", "only the safeguards whose name matches this `regexp`")
	verbose := flag.Bool("v", false, "show what the tests said")
	flag.Parse()
	if err := run(*only, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(only string, verbose bool) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "safeguard taken away\tfile\tnoticed by\ttime")
	taken, survived := 0, 0
	var errs []error
	for _, m := range mutants {
		if !wanted.MatchString(m.safeguard) {
			continue
		}
		taken++
		began := time.Now()
		verdict, err := m.test()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.safeguard, err))
			continue
		}
		noticed := verdict.test
		if noticed == "" {
			survived++
			noticed = "NOBODY"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", m.safeguard, m.file, noticed, time.Since(began).Round(100*time.Millisecond))
		fmt.Fprintf(os.Stderr, "%s: %s\n", m.safeguard, noticed)
		if verbose {
			fmt.Fprintf(os.Stderr, "%s\n", verdict.output)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("\n%d safeguards taken away, %d unnoticed\n", taken, survived)
	if survived > 0 || taken == 0 {
		errs = append(errs, errors.New("a safeguard can be lost without a test that fails"))
	}
	return errors.Join(errs...)
}
