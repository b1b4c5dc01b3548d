package main

import (
	"fmt"
	"strings"

	"tidemark.dev/tidemark/reconcile"
)

// The exit codes that no run gives.
const (
	exitUsage    = 1
	exitFindings = 1
	exitChanges  = 2
)

// exits is the one table of exit codes: it stands in --help, and a test holds
// the README to it.
var exits = []struct { //nolint:gochecknoglobals // a table
	code    int
	meaning string
}{
	{reconcile.ExitOK, "in sync, changed, waiting for approval, or skipped because another run holds the lease"},
	{exitUsage, "usage; audit verify, doctor: findings"},
	{exitChanges, "only plan --detailed-exitcode: the plan holds changes"},
	{reconcile.ExitRefused, "a guard refused"},
	{reconcile.ExitPartial, "partly applied, or not healthy in time"},
	{reconcile.ExitConfig, "configuration, reference, credentials or render"},
	{reconcile.ExitState, "state"},
	{reconcile.ExitLost, "lease lost while holding it"},
	{reconcile.ExitUnreachable, "git, store or cluster does not answer"},
	{reconcile.ExitInterrupted, "interrupted, or out of time"},
	{reconcile.ExitRolledBack, "rolled back"},
}

// exitHelp gives the table for --help.
func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, e := range exits {
		fmt.Fprintf(&b, "  %2d  %s\n", e.code, e.meaning)
	}
	b.WriteString("With several apps, or ledgers of a fleet: the first present of 14, 13, 16, 15, 12, 18, 11, 10.")
	return b.String()
}

// exitError ends a command with a code and without a message: everything was
// said.
type exitError int

// Error names the code.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
