package term

import (
	"io"
	"time"

	"github.com/rs/zerolog"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/state"
)

// Log writes a run as JSON lines with the keys level, time, run, ledger, stage,
// app, object, action, reason, outcome, done, total and message; the last line has
// verdict, exit, seconds and record. Lines about what went wrong may have hint,
// and that of a run which could leave no record has it under unrecorded. It is
// not safe for concurrent use.
type Log struct {
	logger zerolog.Logger
	now    func() time.Time
}

// NewLog makes a Log of one run.
func NewLog(w io.Writer, run string, now func() time.Time) *Log {
	logger := zerolog.New(w)
	if run != "" {
		logger = logger.With().Str("run", run).Logger()
	}
	return &Log{logger: logger, now: now}
}

// Of gives the Log of a run of one ledger of a fleet: each line has its name
// under ledger. Without a name it is the Log itself.
func (l *Log) Of(ledger string) *Log {
	if ledger == "" {
		return l
	}
	return &Log{logger: l.logger.With().Str("ledger", ledger).Logger(), now: l.now}
}

func (l *Log) begin(level zerolog.Level) *zerolog.Event {
	return l.logger.WithLevel(level).Time(zerolog.TimestampFieldName, l.now().UTC())
}

func text(e *zerolog.Event, key, value string) {
	if value != "" {
		e.Str(key, value)
	}
}

// Tell takes what happens now.
func (l *Log) Tell(e reconcile.Event) {
	level := levelOf(e.Outcome)
	if e.Change == nil && e.Message == "" {
		level = zerolog.DebugLevel
	}
	line := l.begin(level)
	text(line, "stage", e.Stage)
	text(line, "app", e.App)
	if e.Change != nil {
		line.Str("object", e.Change.ID.String())
		text(line, "action", string(e.Change.Action))
		text(line, "reason", string(e.Change.Reason))
	}
	text(line, "outcome", e.Outcome)
	if e.Total > 0 {
		line.Int("done", e.Done).Int("total", e.Total)
	}
	message := e.Message
	if message == "" {
		message = e.Stage
		if e.Change != nil {
			message = e.Outcome
		}
	}
	line.Msg(message)
}

func levelOf(outcome string) zerolog.Level {
	switch apply.Verdict(outcome) {
	case apply.Failed, apply.Unknown:
		return zerolog.ErrorLevel
	case apply.Deferred, apply.Moved, apply.TakenFirst, apply.Unsent, apply.Held, apply.Pending:
		return zerolog.WarnLevel
	case apply.Created, apply.Changed, apply.Adopted, apply.Replaced, apply.Pruned, apply.Fenced, apply.HandedOver, apply.Kept, apply.Forgotten, apply.Reported, apply.Ran, apply.Spared:
	}
	return zerolog.InfoLevel
}

// End takes how the run ended: a line for each app and each warning, and one
// for the run.
func (l *Log) End(r state.Record) {
	for _, warning := range r.Warnings {
		l.begin(zerolog.WarnLevel).Msg(warning)
	}
	for _, app := range r.Apps {
		l.app(app)
	}
	line := l.begin(runLevel(r.Exit)).Str("verdict", string(r.Verdict)).Int("exit", r.Exit).Float64("seconds", r.Cost.Seconds)
	if r.Seq > 0 {
		line.Uint64("record", r.Seq)
	}
	message := r.Message
	if message == "" {
		message = "run ended"
	}
	line.Msg(message)
}

func (l *Log) app(app state.AppRecord) {
	for _, warning := range app.Warnings {
		l.begin(zerolog.WarnLevel).Str("app", app.Name).Msg(warning)
	}
	for _, r := range app.Refusals {
		line := l.begin(zerolog.ErrorLevel).Str("app", app.Name).Str("reason", r.Reason)
		text(line, "planHash", r.PlanHash)
		line.Msg(r.Message)
	}
	line := l.begin(appLevel(app.Verdict)).Str("app", app.Name).Str("verdict", string(app.Verdict))
	if app.Revision != nil {
		text(line, "commit", app.Revision.Commit)
	}
	text(line, "engine", app.Engine)
	c := app.Counts
	for _, n := range []count{
		{c.Created, "created"},
		{c.Changed, "changed"},
		{c.Pruned, "pruned"},
		{c.Adopted, "adopted"},
		{c.Unchanged, "unchanged"},
		{c.Drifted, "drifted"},
		{c.Failed, "failed"},
		{c.Deferred, "deferred"},
		{c.Kept, "kept"},
	} {
		if n.n > 0 {
			line.Int(n.word, n.n)
		}
	}
	message := app.Message
	if message == "" {
		message = "app " + string(app.Verdict)
	}
	line.Msg(message)
}

func appLevel(v state.Verdict) zerolog.Level {
	switch v {
	case state.Failed, state.Refused, state.Partial, state.Interrupted:
		return zerolog.ErrorLevel
	case state.RolledBack, state.Waiting:
		return zerolog.WarnLevel
	case state.Changed, state.Unchanged, state.Skipped:
	}
	return zerolog.InfoLevel
}

func runLevel(exit int) zerolog.Level {
	if exit == 0 {
		return zerolog.InfoLevel
	}
	return zerolog.ErrorLevel
}

// Fault takes an error that ended a command before there was a run.
func (l *Log) Fault(err error, hint string) {
	line := l.begin(zerolog.ErrorLevel)
	text(line, "hint", hint)
	line.Msg(err.Error())
}

// Warn takes what is worth a look and stops nothing.
func (l *Log) Warn(warning string) { l.begin(zerolog.WarnLevel).Msg(warning) }

// Hint takes what to do about something that went wrong.
func (l *Log) Hint(hint string) {
	l.begin(zerolog.WarnLevel).Str("hint", hint).Msg("what to do about it")
}

// Unrecorded takes the record, in JSON, of a run that could not leave it.
func (l *Log) Unrecorded(record []byte) {
	l.begin(zerolog.ErrorLevel).RawJSON("unrecorded", record).Msg("this run could leave no record")
}
