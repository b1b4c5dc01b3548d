package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/state"
)

// ttl is the lease of all runs.
const ttl = time.Minute

// process is one run on one machine, whose clocks may be wrong or stand still. It
// is a state.Clock.
type process struct {
	*world
	name  string
	skew  time.Duration
	begun time.Time
	// forces: it is a person who takes the lease from a run that may be alive.
	forces bool
	// approves: it is a person who approves a plan.
	approves bool
	ctx      context.Context //nolint:containedctx // The life of the process.
	end      context.CancelCauseFunc
	died     chan struct{}

	// What follows is guarded by the network's lock.
	dead     bool
	standing bool
	still    bool          // while it stands, its monotonic clock does too
	since    time.Time     // since when it stands
	stood    time.Duration // for how long its monotonic clock stood, before
	moved    chan struct{} // closed when it goes on
	ended    bool

	report    reconcile.Report
	err       error
	writes    int // to the cluster, as sent
	effective int // of these, those that took effect
	// wants is what its revision holds of each app, as far as it was looked up. Of
	// one that waits it moves no more: it only looks whether git names another.
	wants map[string]string
	waits bool
}

// asked is the run of which a person asks something.
const asked = "p1"

// start begins a run as a process of its own, after a while; git names ref from
// then on.
func (w *world) start(name, ref string, wait, skew time.Duration) *process {
	return w.begin(name, ref, wait, skew, func(p *process, job reconcile.Job) {
		p.report, p.err = reconcile.Run(p.ctx, job)
	})
}

// unlock begins a person's command after a while: to take the lease from whoever
// has it, alive or not.
func (w *world) unlock(name, ref string, wait time.Duration) *process {
	return w.begin(name, ref, wait, 0, func(p *process, job reconcile.Job) {
		p.forces, job.Reason = true, "it hangs"
		if head, err := job.Ledger.Load(p.ctx); err == nil {
			_, _ = reconcile.Unlock(p.ctx, job, head.Lease.Run, true)
		}
	})
}

func (w *world) begin(name, ref string, wait, skew time.Duration, do func(*process, reconcile.Job)) *process {
	p := &process{world: w, name: name, skew: skew, begun: time.Now(), died: make(chan struct{}), wants: map[string]string{}}
	p.ctx, p.end = context.WithCancelCause(context.Background())
	w.processes = append(w.processes, p)
	w.mu.Lock()
	w.open++
	w.mu.Unlock()
	go func() {
		defer w.finish(p)
		time.Sleep(wait)
		job := p.job()
		begin := effect{name: "start", unreachable: errNoStart, unanswered: errNoStart, cut: context.Cause}
		_, err := send(p.ctx, p, begin, func() (none struct{}, _ error) {
			w.ref = ref
			return
		})
		if name == asked && w.asks != nil {
			w.asks(&job)
		}
		if err == nil {
			do(p, job)
		}
	}()
	return p
}

// job gives what the run of this process is made of.
func (p *process) job() reconcile.Job {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%s %d", p.name, p.seed))
	random := rand.NewChaCha8(seed)
	run, err := state.NewRunID(p.Wall(), random)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.names[run] = p.name
	p.mu.Unlock()
	ledger, err := state.Open(remote{p}, state.Options{Run: run, Holder: p.name, TTL: ttl, Clock: p, Random: random, Racers: 2})
	if err != nil {
		p.t.Fatal(err)
	}
	target := &client{process: p}
	var witness reconcile.Witness = target
	if p.unwitnessed {
		witness = nil
	}
	return reconcile.Job{
		Ledger: ledger, Cluster: target, Witness: witness, Watcher: target, Configure: p.configure, Now: p.Wall,
		Trigger: "schedule", Actor: "tide", Tool: "tidemark simulated",
		Redact: func(text string) string { return strings.ReplaceAll(text, credential, "[redacted]") },
	}
}

// errNoStart: the process could not be started.
var errNoStart = errors.New("not started")

// started says whether there was a run, and not only a process.
func (p *process) started() bool { return p.report.Record.Run != "" }

// over says whether nothing more comes of the process.
func (p *process) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended || p.dead
}

func (w *world) finish(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.ended = true
	p.end(nil)
	w.open--
	w.poke()
}

// kill ends the process. What it had on its way is lost, or, with arrive above 0,
// takes effect so much later.
func (p *process) kill(arrive time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || p.ended {
		return
	}
	p.dead = true
	close(p.died)
	p.end(errDead)
	var left []*message
	for _, m := range p.pending {
		if m.from == p && (!m.writes || arrive == 0) {
			continue
		}
		if m.from == p {
			m.due, m.gone = time.Now().Add(arrive), true
			time.AfterFunc(arrive, p.poke)
		}
		left = append(left, m)
	}
	p.pending = left
}

// interrupt tells the process to end, as SIGTERM does.
func (p *process) interrupt() { p.end(context.Canceled) }

// pause lets the process stand still for a while. Nothing that it sent before
// is on its way yet.
func (p *process) pause(d time.Duration, still bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.standing || p.dead {
		return
	}
	p.standing, p.still, p.since, p.moved = true, still, time.Now(), make(chan struct{})
	time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if still {
			p.stood += time.Since(p.since)
		}
		p.standing = false
		close(p.moved)
		p.poke()
	})
}

// later does something, and wakes the scheduler.
func (w *world) later(d time.Duration, do func()) {
	time.AfterFunc(d, func() {
		do()
		w.poke()
	})
}

// Wall is state.Clock's.
func (p *process) Wall() time.Time { return time.Now().Add(p.skew) }

// Mono is state.Clock's.
func (p *process) Mono() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.standing && p.still {
		now = p.since
	}
	return now.Sub(p.begun) - p.stood
}

// Sleep is state.Clock's. A process that stands still does not wake up.
func (p *process) Sleep(ctx context.Context, d time.Duration) error {
	until := p.Mono() + d
	for {
		p.mu.Lock()
		standing, moved := p.standing, p.moved
		p.mu.Unlock()
		var wake <-chan time.Time
		left := until - p.Mono()
		switch {
		case !standing && left <= 0:
			return nil
		case !standing:
			timer := time.NewTimer(left)
			defer timer.Stop()
			wake, moved = timer.C, nil
		}
		select {
		case <-wake:
		case <-moved:
		case <-p.died:
			return errDead
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
