package app

import (
	"context"

	"tidemark.dev/tidemark/reconcile"
)

// Repair gives the job of a command that repairs a ledger: it needs the state and
// the cluster, and neither a configuration nor repositories. A configuration that
// is named all the same may say where both are, so that it must be readable.
func (s *Session) Repair(ctx context.Context) (reconcile.Job, error) {
	job, err := s.RepairState(ctx)
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
	job.Cluster, job.Witness = target, witness
	return job, nil
}

// RepairState is Repair for a command that needs the state and no cluster.
func (s *Session) RepairState(ctx context.Context) (reconcile.Job, error) {
	if s.localErr != nil {
		return reconcile.Job{}, s.localErr
	}
	ledger, err := s.Ledger(ctx)
	if err != nil {
		return reconcile.Job{}, err
	}
	return reconcile.Job{
		Ledger: ledger, Reason: s.settings.Reason, LockTimeout: s.settings.LockWait, PeakMemory: peakMemory,
		Trigger: s.env.Trigger(), Actor: s.env.Actor(), Tool: s.Tool(), Redact: s.Redactor.Text, Now: s.env.Now,
	}, nil
}

// Configured says whether the configuration that is known without a run holds an
// app, and which file that is.
func (s *Session) Configured(name string) (file string, configured bool) {
	for _, a := range s.local.Apps {
		if a.Name == name {
			return s.settings.Config, true
		}
	}
	return "", false
}

// Doctor gives the job that a doctor looks at, as far as it can be opened.
// Without a configuration it has no Configure.
func (s *Session) Doctor(ctx context.Context) (reconcile.Job, reconcile.Unopened) {
	var unopened reconcile.Unopened
	job := reconcile.Job{
		Git: s.gitCost, Trigger: s.env.Trigger(), Actor: s.env.Actor(), Tool: s.Tool(), Redact: s.Redactor.Text, Now: s.env.Now,
	}
	job.Ledger, unopened.Ledger = s.Ledger(ctx)
	if unopened.Ledger != nil && s.localErr != nil {
		unopened.Ledger = s.localErr // it might have named the state
	}
	// A nil *cluster.Cluster must not become a Cluster that is not nil.
	if target, err := s.Cluster(ctx); err != nil {
		unopened.Cluster = err
	} else {
		job.Cluster, job.Watcher = target, target
		if witness, err := s.Witness(ctx); err == nil && s.stateURL() != "" {
			job.Witness = witness
		}
	}
	if s.settings.isCommitted() || s.settings.isLocalFile() || s.settings.isSingle() {
		job.Configure = s.Configure
	}
	if !s.settings.isSingle() {
		job.Only = s.settings.Apps
	}
	return job, unopened
}
