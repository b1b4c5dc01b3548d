package app

import (
	"context"

	"tidemark.dev/tidemark/reconcile"
)

// Job gives the run of this session, ready to go but for its Progress. Trouble with the
// configuration is left to the run, which makes a record of it; what is missing
// to make that record is an error here.
func (s *Session) Job(ctx context.Context, mode reconcile.Mode) (reconcile.Job, error) {
	if err := s.ready(); err != nil {
		return reconcile.Job{}, err
	}
	ledger, err := s.Ledger(ctx)
	if err != nil {
		return reconcile.Job{}, err
	}
	target, err := s.Cluster(ctx)
	if err != nil {
		return reconcile.Job{}, err
	}
	witness, err := s.Witness(ctx)
	if err != nil {
		return reconcile.Job{}, err
	}
	unseal, err := s.unseal()
	if err != nil {
		return reconcile.Job{}, err
	}
	self, made := s.self(ctx)
	trigger, actor := s.env.origin(made)
	job := reconcile.Job{
		Unseal: unseal, Rollback: s.settings.Rollback,
		Mode: mode, Configure: s.Configure, Ledger: ledger, Cluster: target, Witness: witness, Watcher: target,
		Approve: s.settings.Confirm, Reason: s.settings.Reason, LockTimeout: s.settings.LockWait,
		Self: self, Git: s.gitCost, PeakMemory: peakMemory,
		Trigger: trigger, Actor: actor, Tool: s.Tool(), Redact: s.Redactor.Text, Now: s.env.Now,
	}
	if !s.settings.isSingle() {
		job.Only = s.settings.Apps
	}
	return job, nil
}

// ready says what is missing for a run to begin at all. A configuration that
// cannot be read is left to the run, as long as the state is known.
func (s *Session) ready() error {
	if !s.settings.isCommitted() && !s.settings.isLocalFile() && !s.settings.isSingle() {
		return errNothing()
	}
	if s.localErr != nil && s.stateURL() == "" {
		return s.localErr
	}
	return nil
}
