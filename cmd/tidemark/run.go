package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/term"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// listed is how many changes of an app people are shown of a sync.
const listed = 30

// silentEnd keeps the verdicts of a plan, which are those of a sync that did not
// happen, out of the log.
type silentEnd struct{ app.Watcher }

// End says nothing.
func (silentEnd) End(state.Record) {}

// open begins a session; from here on its credentials are kept out of
// everything that is printed.
func (c *cli) open() (*app.Session, error) {
	session, err := app.Open(c.env, c.settings)
	if err != nil {
		return nil, err
	}
	c.redactor = session.Redactor
	return session, nil
}

// watch gives what fits who watches.
func (c *cli) watch(run string) app.Watcher {
	switch {
	case c.env.Terminal && c.ledger != "":
		return trouble{c}
	case c.env.Terminal:
		return term.NewLine(c.stderr(), term.NewPaint(c.env.ErrColor), c.env.Width)
	}
	return c.log(run)
}

// trouble shows people, of one of many runs, only how it ended, when that was
// not well.
type trouble struct{ *cli }

// Tell says nothing.
func (trouble) Tell(reconcile.Event) {}

// End shows the record.
func (t trouble) End(r state.Record) {
	if r.Exit != 0 {
		style := t.style(listed)
		style.Paint = term.NewPaint(t.env.ErrColor)
		t.say(term.Record(r, style))
	}
}

// working shows people that something goes on, until the function it gives is
// called.
func (c *cli) working(stage string) (done func()) {
	if !c.env.Terminal {
		return func() {}
	}
	line := c.watch("")
	line.Tell(reconcile.Event{Stage: stage})
	return func() { line.End(state.Record{}) }
}

// do does one run, shows its report, and then says what to do about what went
// wrong. A run that could not even begin gives an error and the record of that.
func (c *cli) do(ctx context.Context, mode reconcile.Mode, show func(reconcile.Report) error) (reconcile.Report, error) {
	session, err := c.open()
	if err != nil {
		return reconcile.Report{}, err
	}
	defer session.Close()
	begun := false
	report, err := session.Do(ctx, mode, func() app.Watcher {
		begun = true
		c.warn(session)
		watcher := c.watch(session.Run)
		if mode == reconcile.PlanOnly && (!c.env.Terminal || c.ledger != "") {
			return silentEnd{watcher}
		}
		return watcher
	})
	if !begun {
		return report, err
	}
	if bad := show(report); bad != nil {
		return report, bad
	}
	c.advise(session, mode, report, err)
	return report, nil
}

// warn tells what a session found before its run.
func (c *cli) warn(session *app.Session) {
	for _, warning := range session.Warnings() {
		if c.env.Terminal {
			c.say(term.Warning(warning, term.Style{Paint: term.NewPaint(c.env.ErrColor)}))
			continue
		}
		c.log(session.Run).Warn(warning)
	}
}

// advise says what to do about what went wrong, and first what went wrong with
// the run as a whole, unless the log has it.
func (c *cli) advise(session *app.Session, mode reconcile.Mode, report reconcile.Report, err error) {
	switch {
	case err != nil && (c.env.Terminal || mode == reconcile.PlanOnly):
		c.complain(err)
		return
	case report.Record.Exit == 0:
		return
	}
	var texts []string
	for _, fault := range append(session.Faults(), err) {
		if text := hint(fault); text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		texts = []string{nextSteps[report.Record.Exit]}
	}
	for _, text := range texts {
		if c.env.Terminal {
			c.say(term.Hint(text, term.Style{Paint: term.NewPaint(c.env.ErrColor)}))
			continue
		}
		c.log(session.Run).Hint(text)
	}
}

// style says how results are shown on stdout.
func (c *cli) style(limit int) term.Style {
	return term.Style{Paint: term.NewPaint(c.env.Color), Limit: limit, Flags: c.ledgerFlags()}
}

// ledgerFlags are the flags by which another command finds the same ledger.
func (c *cli) ledgerFlags() string {
	var flags []string
	if c.settings.Config != "" && c.settings.Repo == "" {
		flags = append(flags, "--config "+shellQuote(c.settings.Config))
	}
	if c.settings.State != "" {
		flags = append(flags, "--state "+shellQuote(c.settings.State))
	}
	return strings.Join(flags, " ")
}

// shellQuote quotes a word for a shell where it needs quotes.
func shellQuote(word string) string {
	if !strings.ContainsAny(word, " \t\n'\"\\$`!*?[](){}<>|&;#~") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// unrecorded prints the record of a run that could not leave it.
func (c *cli) unrecorded(report reconcile.Report) {
	if report.Recorded || report.Record.Verdict == state.Skipped || report.Record.Run == "" {
		return
	}
	data, err := json.Marshal(report.Record)
	if err != nil {
		return
	}
	if !c.env.Terminal {
		c.log(report.Record.Run).Unrecorded(data)
		return
	}
	c.say(fmt.Sprintf("tidemark: this run could leave no record; it is: %s\n", data))
}

// exit ends a command with a code.
func exit(code int) error {
	if code == 0 {
		return nil
	}
	return exitError(code)
}
