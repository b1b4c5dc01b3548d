package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/tests/servers"
)

// When, of the request at a point, its sender dies.
const (
	before = "before" // the server never hears of it
	after  = "after"  // the server did it, and the answer finds nobody
	late   = "late"   // the server hears of it when the next run is done
)

// point is a request of a run, and when its sender dies.
type point struct {
	server, name string
	k            int
	when         string
}

func (p point) String() string { return fmt.Sprintf("%s %s #%d %s", p.server, p.name, p.k, p.when) }

// clean is the lease of runs that are not to be killed. It may be longer than that of the killed ones, so that a busy
// machine does not make them lose it: how long they wait is up to the lease of the dead.
const clean = "30s"

// sampled is how many points of each scenario a sample has.
const sampled = 6

func TestKilledAtEachPoint(t *testing.T) {
	t.Parallel()
	shared.ready(t)
	all := scenarios()
	var points, violations atomic.Int64
	t.Run("scenarios", func(t *testing.T) {
		for _, s := range all {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				killedAtEach(t, s, "s3", sampled, &points, &violations)
			})
		}
	})
	t.Logf("counts: kill -9: %d scenarios, %d points, %d violations", len(all), points.Load(), violations.Load())
}

// killedAtEach records a run of the scenario, and then kills one at each of its points, or at some of them.
func killedAtEach(t *testing.T, s *scenario, storeName string, some int, points, violations *atomic.Int64) {
	recorded, err := record(t.Context(), s, storeName)
	if err != nil {
		t.Fatalf("record a run without a fault: %v", err)
	}
	var all sync.WaitGroup
	for _, p := range choose(recorded, some) {
		points.Add(1)
		all.Go(func() {
			if err := killedAt(t.Context(), s, storeName, p); err != nil {
				violations.Add(1)
				t.Errorf("%s on %s, killed at %s:\n%v", s.name, storeName, p, err)
			}
		})
	}
	all.Wait()
}

// choose gives all points of a run; for a sample some of those at which something changes, spread evenly.
func choose(recorded []*passage, some int) []point {
	var points []point
	for _, p := range recorded {
		switch {
		case strings.HasPrefix(p.Path, "probe/") && p.K > 3:
			// The racers of the store's first trial are all alike.
		case p.Effect:
			points = append(points, point{p.Server, p.Name, p.K, before}, point{p.Server, p.Name, p.K, after}, point{p.Server, p.Name, p.K, late})
		case soak:
			points = append(points, point{p.Server, p.Name, p.K, before}, point{p.Server, p.Name, p.K, after})
		}
	}
	if soak || len(points) <= some {
		return points
	}
	spread := make([]point, some)
	for i := range spread {
		spread[i] = points[(2*i+1)*len(points)/(2*some)]
	}
	return spread
}

// record does what the killed run is to do, without a fault, and gives its requests.
func record(ctx context.Context, s *scenario, storeName string) ([]*passage, error) {
	w, err := shared.enter(ctx, s, storeName)
	if err != nil {
		return nil, err
	}
	defer w.leave()
	if err := w.prepare(ctx); err != nil {
		return nil, err
	}
	o, err := w.run(w.store.ttl)
	if err != nil {
		return nil, err
	}
	if o.exit != s.exit {
		return nil, fmt.Errorf("exit code %d, want %d:\n%s", o.exit, s.exit, o.said)
	}
	recorded := w.journal.of(w.journal.process)
	return recorded, w.recovers(ctx, nil)
}

// prepare brings a world to where its run is to be killed.
func (w *world) prepare(ctx context.Context) error {
	for _, commit := range w.scenario.before {
		if err := w.history.stand(commit); err != nil {
			return err
		}
		if o, err := w.run(clean); err != nil || o.exit != 0 {
			return fmt.Errorf("bring commit %d: exit code %d, %w\n%s", commit, o.exit, err, o.said)
		}
	}
	return w.history.stand(w.scenario.killed)
}

// killedAt kills a run at a point, and holds what follows to the invariants.
func killedAt(ctx context.Context, s *scenario, storeName string, at point) error {
	w, err := shared.enter(ctx, s, storeName)
	if err != nil {
		return err
	}
	defer w.leave()
	if err := w.prepare(ctx); err != nil {
		return err
	}
	letGo, err := w.killAt(at)
	if err != nil {
		return err
	}
	held, _, err := w.head(ctx)
	if err != nil {
		return err
	}
	if err := w.invariants(ctx); err != nil {
		return fmt.Errorf("after the kill: %w\nthe killed run had asked:\n%s", err, w.journal.text(w.journal.process))
	}
	killed := w.journal.process
	if err := errors.Join(w.recovers(ctx, letGo), w.named(ctx, held)); err != nil {
		return fmt.Errorf("%w\nthe killed run had asked:\n%s", err, w.journal.text(killed))
	}
	return nil
}

// killAt starts a run and kills it at the point. A run that ends before is one that had not come by the point. letGo, when
// it is not nil, lets a request go on that the dead run had sent, and waits for it.
func (w *world) killAt(at point) (letGo func(), err error) {
	reached := make(chan *passage, 1)
	belated, arrived := make(chan struct{}), make(chan struct{})
	w.breaks(func(p *passage) servers.Fault {
		if p.Server != at.server || p.Name != at.name || p.K != at.k {
			return servers.Fault{}
		}
		switch at.when {
		case before:
			reached <- p
			return servers.Fault{Hold: make(chan struct{})}
		case late:
			p.Belated = true
			return servers.Fault{Late: belated, Taken: func() { reached <- p }, Answered: func(int) { close(arrived) }}
		}
		return servers.Fault{Answered: func(int) { reached <- p }, HoldAnswer: make(chan struct{})}
	})
	defer w.breaks(nil)
	run, err := w.sync(w.store.ttl)
	if err != nil {
		return nil, err
	}
	select {
	case <-reached:
		if err := run.kill(); err != nil {
			return nil, err
		}
	case <-run.done:
		return nil, fmt.Errorf("the run ended with %d before it came to %s:\n%s\n%s", run.cmd.ProcessState.ExitCode(), at, run.stderr.String(), w.journal.text(run.number))
	}
	if at.when == late {
		letGo = func() {
			close(belated)
			<-arrived
		}
	}
	return letGo, run.keep()
}

// keep leaves what the process said where secrets are looked for.
func (p *process) keep() error {
	return os.WriteFile(filepath.Join(p.world.dir, fmt.Sprintf("said-%d", p.number)), append(p.stdout.Bytes(), p.stderr.Bytes()...), 0o600)
}

// recovers does clean runs, and checks that at most two of them bring the cluster to the last commit, and a third does
// nothing. letGo, when there is one, is called after the first.
func (w *world) recovers(ctx context.Context, letGo func()) error {
	s := w.scenario
	if err := w.history.stand(s.after); err != nil {
		return err
	}
	for n := 1; ; n++ {
		o, err := w.run(clean)
		if err != nil {
			return fmt.Errorf("clean run %d: %w", n, err)
		}
		if o.exit != 0 || o.record.Verdict == state.Skipped {
			return fmt.Errorf("clean run %d: exit code %d, verdict %s:\n%s\n%s", n, o.exit, o.record.Verdict, o.said, w.journal.text(w.journal.process))
		}
		if letGo != nil {
			letGo()
			letGo = nil
			continue
		}
		if o.record.Verdict == state.Unchanged && len(o.writes) == 0 {
			break
		}
		if n == 3 {
			return fmt.Errorf("clean run %d: verdict %s and %d writes, not unchanged and none:\n%s\n%s", n, o.record.Verdict, len(o.writes), o.said, w.journal.text(w.journal.process))
		}
	}
	return errors.Join(w.ends(ctx), w.verify())
}

// ends checks where a world has come to.
func (w *world) ends(ctx context.Context) error {
	if err := w.invariants(ctx); err != nil {
		return fmt.Errorf("after the clean runs: %w", err)
	}
	head, _, err := w.head(ctx)
	if err != nil {
		return err
	}
	live, err := w.ours(ctx, head.Lineage)
	if err != nil {
		return err
	}
	lasting, err := w.lasting()
	if err != nil {
		return err
	}
	gone, err := w.absent(lasting)
	if err != nil {
		return err
	}
	for _, id := range gone {
		err = errors.Join(err, fmt.Errorf("%s was wanted all the time, and deleted meanwhile", id))
	}
	return errors.Join(err, w.arrived(live, w.scenario.after))
}

// named checks that a record names the run that died with the lease in its hand.
func (w *world) named(ctx context.Context, held state.Head) error {
	if held.Seq == 0 || held.Lease.Free {
		return nil
	}
	content, err := w.store.content(ctx, w.name)
	if err != nil {
		return err
	}
	head, err := state.DecodeHead(content["head.json"])
	if err != nil {
		return err
	}
	records := [][]byte{head.Audit.Inline}
	for name, data := range content {
		if strings.HasPrefix(name, "audit/") {
			records = append(records, data)
		}
	}
	for _, data := range records {
		if record, err := state.DecodeRecord(data); err == nil && slices.Contains(record.Interrupted, held.Lease.Run) {
			return nil
		}
	}
	return fmt.Errorf("run %s died while it held the lease, and no record names it", held.Lease.Run)
}

// lasting gives the objects that every commit of the scenario wants.
func (w *world) lasting() (map[object.ID]bool, error) {
	lasting := map[object.ID]bool{}
	for i := range w.scenario.trees {
		wanted, err := w.desired(i)
		if err != nil {
			return nil, err
		}
		for id := range wanted {
			if i == 0 {
				lasting[id] = true
			}
		}
		for id := range lasting {
			if wanted[id] == nil {
				delete(lasting, id)
			}
		}
	}
	return lasting, nil
}

// verify checks the chain of records.
func (w *world) verify() error {
	p, err := w.start("audit", "verify", "--config", w.config)
	if err != nil {
		return err
	}
	if err := p.wait(); err != nil {
		return err
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("audit verify: exit code %d:\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	return p.keep()
}
