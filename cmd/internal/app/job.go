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
	unseal, err := s.unseal()
	if err != nil {
		return reconcile.Job{}, err
	}
	self, made := s.self(ctx)
	trigger, actor := s.env.origin(made)
	job := reconcile.Job{
		Unseal: unseal, Rollback: s.settings.Rollback,
		Mode: mode, Configure: s.Configure, Ledger: ledger,
		Approve: s.settings.Confirm, Reason: s.settings.Reason, LockTimeout: s.settings.LockWait,
		Exactly: s.settings.Exactly, Keep: s.settings.Keep, Commits: s.settings.Commits, Offline: s.settings.Offline,
		Self: self, Git: s.gitCost, PeakMemory: peakMemory,
		Trigger: trigger, Actor: actor, Tool: s.Tool(), Redact: s.Redactor.Text, Now: s.env.Now,
	}
	if !s.settings.isSingle() {
		job.Only = s.settings.Apps
		if job.Exactly != nil {
			job.Only = job.Exactly.Only
		}
	}
	return job, s.aim(ctx, &job)
}

// aim gives a run its cluster, or what the ledger remembers of it.
func (s *Session) aim(ctx context.Context, job *reconcile.Job) error {
	if s.settings.Offline {
		remembered, err := reconcile.Remembered(ctx, job.Ledger, s.settings.KubeVersion)
		job.Cluster = remembered
		return err
	}
	target, err := s.Cluster(ctx)
	if err != nil {
		return err
	}
	witness, err := s.Witness(ctx)
	if err != nil {
		return err
	}
	job.Cluster, job.Witness, job.Watcher = target, witness, target
	return nil
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
