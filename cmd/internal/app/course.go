package app

import (
	"context"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// Watcher is told of a run while it goes on, and of its end.
type Watcher interface {
	Tell(reconcile.Event)
	End(state.Record)
}

// Do does the run of this session, for whoever started it: a command, a function.
// watch is called when the run begins, and gives who watches it. A run that could
// not even begin calls it not; it has a record too, which is kept nowhere. Other
// errors are those of reconcile.Run.
func (s *Session) Do(ctx context.Context, mode reconcile.Mode, watch func() Watcher) (reconcile.Report, error) {
	ctx, cancel := s.Within(ctx)
	defer cancel()
	job, err := s.Job(ctx, mode)
	if err != nil {
		return reconcile.Report{Record: s.env.Unbegun(s.Run, err)}, err
	}
	watcher := watch()
	job.Progress = watcher.Tell
	report, err := reconcile.Run(ctx, job)
	watcher.End(report.Record)
	return report, err
}

// Unbegun is the record of a run that could not begin.
func (e Env) Unbegun(run string, err error) state.Record {
	now := e.Now().UTC()
	record := state.Record{
		Format: state.Format, Run: run, Trigger: e.Trigger(), Actor: e.Actor(), Tool: e.Tool(),
		Started: now, Finished: now, Verdict: state.Failed, Exit: reconcile.ExitOf(err), Message: err.Error(), Apps: []state.AppRecord{},
	}
	if record.Exit == reconcile.ExitInterrupted {
		record.Verdict = state.Interrupted
	}
	return record
}
