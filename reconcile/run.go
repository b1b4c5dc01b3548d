// Package reconcile closes the gap between a repository and a cluster, once: Run
// reads what should exist, what we own and what is there, plans, acts, and
// leaves a record.
//
// Laws: decide, then act; own before you create; one app's trouble stays its
// own; every run leaves a record, failed runs too. The stages stand in this file
// in their order; each has a file of its name.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// Report is what one run tells.
type Report struct {
	// Record is the run's audit record. Its Exit is the exit code of the run.
	Record state.Record
	// Recorded: the record is in the ledger. Otherwise the caller must show it.
	Recorded bool
	// Plans are the plans of all apps that could be planned, in the order of the
	// configuration.
	Plans []plan.Plan
	// Saved is the same, to be kept; Kept is where it is in the ledger, nil when
	// nobody asked for that or it could not be put there.
	Saved Saved
	Kept  *state.Ref
}

// Run does one run of a ledger. The error says why the run as a whole could not
// do its work; the trouble of single apps, and refusals, are only in the Report,
// whose record is complete in either case.
func Run(ctx context.Context, job Job) (Report, error) {
	r := start(job)
	if job.Offline {
		r.warn("planned offline, against what was applied last: what the cluster made of it, drift, owners, and the values of Secrets are not known")
	}
	err := r.once(ctx)
	for range state.Restarts {
		if !errors.Is(err, state.ErrRestart) {
			break
		}
		r.warn("another run changed the ledger: started over")
		err = r.once(ctx)
	}
	if errors.Is(err, state.ErrRestart) {
		err = fmt.Errorf("other runs were faster %d times, nothing was applied: %w", state.Restarts+1, err)
		r.report.Record.Verdict, r.report.Record.Exit, r.report.Record.Message = state.Failed, ExitOf(err), err.Error()
	}
	return r.report, err
}

// once goes through all stages. With state.ErrRestart another run changed the
// ledger meanwhile, and nothing was done.
func (r *runner) once(ctx context.Context) error {
	ledger, err := r.load(ctx)
	if err != nil || ledger.skipped {
		return r.settle(ctx, ledger, nil, err)
	}
	proven := r.prove(ctx, ledger) // what a store is fit for, before its first use
	var apps []*app
	err = ledger.holding(ctx, func(ctx context.Context) (err error) {
		apps, err = r.prepare(ctx, ledger)
		return err
	})
	if unfit := proven(); unfit != nil {
		return r.settle(ctx, ledger, nil, unfit)
	}
	if err == nil && r.job.Mode == Sync && r.mustAct(ledger, apps) {
		if err = r.claim(ctx, ledger, apps); err == nil {
			err = ledger.holding(ctx, func(ctx context.Context) error { return r.act(ctx, ledger, apps) })
		}
	}
	return r.settle(ctx, ledger, apps, err)
}

// prepare goes through the stages that only read. Their last is the plan.
func (r *runner) prepare(ctx context.Context, ledger *ledger) ([]*app, error) {
	apps, err := r.configure(ctx, ledger) // which apps there are, and what each owns
	if err != nil {
		return nil, err
	}
	if err := r.discover(ctx, ledger, apps); err != nil { // which cluster it is, and what it serves
		return apps, err
	}
	looked := r.look(ctx, ledger, apps) // what there is: a metadata LIST per kind, meanwhile
	r.resolve(ctx, ledger, apps)        // the revisions that are wanted
	err = r.compare(ctx, ledger, apps)  // which of them bring anything new
	if looked(); err != nil {
		return apps, err
	}
	r.observe(ctx, ledger, apps)                       // of which apps anything moved
	if err := r.learn(ctx, ledger, apps); err != nil { // what only a run needs in which anything moved
		return apps, err
	}
	r.render(ctx, ledger, apps)       // what should exist, where anything moved
	heard := r.hearCommits(ctx, apps) // which commits come, and which plans they approve, meanwhile
	r.inspect(ctx, ledger, apps)      // a closer look at what is suspect or new
	if heard(); ctx.Err() != nil {
		return apps, context.Cause(ctx) // what was not seen in time must not be planned on
	}
	r.decide(ledger, apps) // the plans
	return apps, nil
}

// act goes through the stages that write to the cluster, under the lease.
func (r *runner) act(ctx context.Context, ledger *ledger, apps []*app) error {
	if err := r.testify(ctx, ledger); err != nil { // the cluster learns of the epoch
		return err
	}
	r.fence(ctx, ledger, apps)                         // what a run before left in doubt
	if err := r.apply(ctx, ledger, apps); err != nil { // the plans
		return err
	}
	r.collect(ctx, ledger) // blobs that nothing needs any more
	return nil
}

// mustAct says whether the run has to take the lease: there is something to
// write to the cluster.
func (r *runner) mustAct(l *ledger, apps []*app) bool {
	return acts(apps) || r.awaits(apps) || slices.ContainsFunc(apps, (*app).proves) || doubts(l, apps) || l.witness.behind && l.witness.mute == ""
}

// runner is one run: its job, and what is gathered for its record.
type runner struct {
	job      Job
	began    time.Time
	stages   map[string]float64
	renders  int64
	config   Config
	warnings []string
	// pins are what becomes of the apps' pins, nil for one that ended.
	pins   map[string]*state.Pin
	report Report
	// gate is passed by each request to the cluster while apps are looked at and
	// applied side by side.
	gate chan struct{}
	// mu guards warnings, stages, renders and who watches.
	mu sync.Mutex
	// anyCluster: another cluster than the ledger's is what the run is about.
	anyCluster bool
}

func start(job Job) *runner {
	if job.Now == nil {
		job.Now = time.Now //nolint:forbidigo // The default of a seam.
	}
	return &runner{job: job, began: job.Now(), stages: map[string]float64{}, gate: make(chan struct{}, width)}
}

// stage tells who watches that a stage begins, and notes how long it takes.
func (r *runner) stage(name string) (end func()) {
	r.tell(Event{Stage: name})
	began := r.job.Now()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stages[name] += r.job.Now().Sub(began).Seconds()
	}
}

func (r *runner) tell(e Event) {
	if r.job.Progress != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.job.Progress(e)
	}
}

func (r *runner) warn(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.warnings = append(r.warnings, text)
}
