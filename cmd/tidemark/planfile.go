package main

import (
	"fmt"
	"os"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/render/source"
)

// keepPlan writes a plan to a file, without a credential that the session knows.
func (c *cli) keepPlan(report reconcile.Report, path string) error {
	if path == "" || len(report.Saved.Apps) == 0 {
		return nil
	}
	data, err := report.Saved.Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(c.redactor.Text(string(data))), 0o600); err != nil {
		return fmt.Errorf("keep the plan: %w", err)
	}
	where := ""
	if report.Kept != nil {
		where = ", and in the ledger as " + report.Kept.Path
	}
	c.say(fmt.Sprintf("tidemark: the plan is kept in %s%s\n", term.Escape(path), where))
	return nil
}

// readPlan reads a plan that is to be carried out. With a reason it is approved,
// too.
func (c *cli) readPlan(path string) error {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path) //nolint:gosec // The operator names it.
	if err != nil {
		return &app.UsageError{Message: "read the plan: " + err.Error(), Hint: "make one with tidemark plan --out " + term.Escape(path)}
	}
	saved, err := reconcile.DecodeSaved(data)
	switch {
	case err != nil:
		return &app.UsageError{Message: fmt.Sprintf("%s: %v", path, err), Hint: "make one with tidemark plan --out"}
	case saved.Offline:
		return &app.UsageError{Message: path + " was made with --offline, which only shows what a commit changes", Hint: "make one that looked at the cluster: tidemark plan --out, without --offline"}
	case len(c.settings.Apps) > 0 && c.settings.Repo == "":
		return &app.UsageError{Message: "--plan says which apps it is about, and --app does too", Hint: "leave --app out"}
	}
	c.settings.Exactly = &saved
	if c.settings.Reason != "" {
		for _, hash := range saved.Hashes() {
			c.settings.Confirm = append(c.settings.Confirm, hash)
		}
	}
	return nil
}

// commitsOf gives, by app, the commits since what was applied before. Where nothing
// was, the whole history would be theirs.
func commitsOf(saved reconcile.Saved) map[string]*source.Log {
	logs := map[string]*source.Log{}
	for _, a := range saved.Apps {
		if a.Log != nil && a.From != "" {
			logs[a.Name] = a.Log
		}
	}
	return logs
}
