package faults_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

func (p point) is(other *passage) bool {
	return p.server == other.Server && p.name == other.Name && p.k == other.K
}

func (p point) String() string { return fmt.Sprintf("%s %s #%d %s", p.server, p.name, p.k, p.when) }

// sampled is how many points of each scenario a sample has, and sampledTimes how many random times.
const (
	sampled      = 4
	sampledTimes = 10
	allTimes     = 100
)

// seed draws the random times: the kills of make soak are those of the seeds that follow it.
var seed = flag.Uint64("seed", 1, "first seed of the kills at random times")

// tally counts what was tried. It is safe for concurrent use.
type tally struct{ points, passed, times, violations atomic.Int64 }

func TestKilled(t *testing.T) {
	t.Parallel()
	shared.ready(t)
	all := scenarios()
	var count tally
	t.Run("scenarios", func(t *testing.T) {
		for _, s := range all {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				killedAtEach(t, s, "s3", sampled, &count)
			})
		}
		for i, s := range all {
			// It lasts three times as long as on S3: one point of each second scenario is the sample.
			if soak || i%2 == 0 {
				t.Run(s.name+" on GCS", func(t *testing.T) {
					t.Parallel()
					killedAtEach(t, s, "gcs", 1, &count)
				})
			}
		}
		n := uint64(sampledTimes)
		if soak {
			n = allTimes
		}
		for each := *seed; each < *seed+n; each++ {
			t.Run(fmt.Sprintf("random time, seed %d", each), func(t *testing.T) {
				t.Parallel()
				count.times.Add(1)
				killedAnyTime(t, all, each, &count)
			})
		}
	})
	t.Logf("counts: kill -9: %d scenarios, %d points (%d of them not come by), %d random times from seed %d, %d violations",
		len(all), count.points.Load(), count.passed.Load(), count.times.Load(), *seed, count.violations.Load())
}

// killedAtEach records a run of the scenario, and then kills one at each of its points, or at some of them.
func killedAtEach(t *testing.T, s *scenario, storeName string, some int, count *tally) {
	recorded, err := shared.recorded(s, storeName)
	if err != nil {
		count.violations.Add(1)
		t.Fatalf("record a run without a fault: %v", err)
	}
	var all sync.WaitGroup
	for _, p := range choose(recorded.passages, some) {
		count.points.Add(1)
		all.Go(func() {
			reached, err := killed(t.Context(), s, storeName, func(w *world) (death, error) { return w.killAt(p.when, p.is) })
			if !reached {
				count.passed.Add(1)
			}
			if err != nil {
				count.violations.Add(1)
				t.Errorf("%s on %s, killed at %s:\n%v", s.name, storeName, p, err)
			}
		})
	}
	all.Wait()
}

// killedAnyTime kills a run of some scenario at some time, both drawn with the seed.
func killedAnyTime(t *testing.T, all []*scenario, seed uint64, count *tally) {
	random := rand.New(rand.NewPCG(seed, 0))
	s, storeName := all[random.IntN(len(all))], []string{"s3", "s3", "gcs", "dir"}[random.IntN(4)]
	recorded, err := shared.recorded(s, storeName)
	if err != nil {
		t.Fatalf("record a run without a fault: %v", err)
	}
	after := time.Duration(random.Float64() * float64(recorded.took))
	_, err = killed(t.Context(), s, storeName, func(w *world) (death, error) { return w.killAfter(after) })
	if err != nil {
		count.violations.Add(1)
		t.Errorf("seed %d: %s on %s, killed after %s:\n%v", seed, s.name, storeName, after, err)
	}
}

// choose gives all points of a run; for a sample some of those at which something changes, spread evenly.
func choose(recorded []*passage, some int) []point {
	whens := []string{before, after, late}
	var points []point
	var effects []*passage
	for _, p := range recorded {
		if strings.HasPrefix(p.Path, "probe/") && p.K > 3 {
			continue // the racers of the store's first trial are all alike
		}
		of := whens[:2]
		if p.Effect {
			of, effects = whens, append(effects, p)
		}
		for _, when := range of {
			points = append(points, point{p.Server, p.Name, p.K, when})
		}
	}
	if soak {
		return points
	}
	some = min(some, len(effects))
	spread := make([]point, some)
	for i := range spread {
		p := effects[(2*i+1)*len(effects)/(2*some)]
		spread[i] = point{p.Server, p.Name, p.K, whens[(i+len(effects))%len(whens)]}
	}
	return spread
}

// recording is what a run asks when nothing happens to it.
type recording struct {
	passages []*passage
	took     time.Duration
}

// recorded does once what the killed runs of a scenario are to do, without a fault.
func (c *cast) recorded(s *scenario, storeName string) (recording, error) {
	once, _ := c.recordings.LoadOrStore(s.name+" "+storeName, sync.OnceValues(func() (recording, error) {
		return record(context.Background(), s, storeName)
	}))
	return once.(func() (recording, error))()
}

func record(ctx context.Context, s *scenario, storeName string) (recording, error) {
	w, err := shared.enter(ctx, s, storeName)
	if err != nil {
		return recording{}, err
	}
	defer w.leave()
	if err := w.prepare(ctx); err != nil {
		return recording{}, err
	}
	began := time.Now()
	o, err := w.run(clean)
	if err != nil {
		return recording{}, err
	}
	took := time.Since(began)
	if o.exit != s.exit {
		return recording{}, fmt.Errorf("exit code %d, want %d:\n%s", o.exit, s.exit, o.said)
	}
	return recording{w.journal.of(w.journal.process), took}, w.recovers(ctx, nil)
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
	if len(w.scenario.before) > 0 {
		if err := w.addCopy(ctx); err != nil {
			return err
		}
	}
	if w.scenario.dying > 0 {
		if err := w.history.stand(w.scenario.dying); err != nil {
			return err
		}
		firstWrite := func(p *passage) bool { return p.Server == "cluster" && p.Effect && !p.Lease }
		if d, err := w.killAt(before, firstWrite); err != nil || !d.reached {
			return fmt.Errorf("let a run die: reached %t, %w", d.reached, err)
		}
	}
	return w.history.stand(w.scenario.killed)
}

// death is what came of killing a run.
type death struct {
	// reached: it died, as it should. Otherwise it ended before it came to the point, as one may whose point is a renewal.
	reached bool
	// letGo, when there is one, lets the request of the dead run go on, and waits for it.
	letGo func() error
}

// killed lets a run of the scenario die, and holds what follows to the invariants.
func killed(ctx context.Context, s *scenario, storeName string, kill func(*world) (death, error)) (reached bool, err error) {
	w, err := shared.enter(ctx, s, storeName)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, w.leave()) }()
	if err := w.prepare(ctx); err != nil {
		return false, err
	}
	d, err := kill(w)
	if err != nil {
		return d.reached, err
	}
	dead := w.journal.process
	held, _, err := w.head(ctx)
	if err == nil {
		err = w.invariants(ctx)
	}
	if err != nil {
		return d.reached, fmt.Errorf("after the kill: %w\nthe killed run had asked:\n%s", err, w.journal.text(dead))
	}
	if err := errors.Join(w.recovers(ctx, d.letGo), w.named(ctx, held)); err != nil {
		return d.reached, fmt.Errorf("%w\nthe killed run had asked:\n%s", err, w.journal.text(dead))
	}
	return d.reached, nil
}

// killAt starts a run and kills it at the first request that is the one.
func (w *world) killAt(when string, is func(*passage) bool) (death, error) {
	var only atomic.Bool
	reached := make(chan struct{})
	belated, arrived := make(chan struct{}), make(chan struct{})
	w.breaks(func(p *passage) servers.Fault {
		if !is(p) || !only.CompareAndSwap(false, true) {
			return servers.Fault{}
		}
		switch when {
		case before:
			close(reached)
			return servers.Fault{Hold: make(chan struct{})}
		case late:
			p.Belated = true
			w.belated.Add(1)
			return servers.Fault{Late: belated, Taken: func() { close(reached) }, Answered: func(int) { close(arrived) }}
		}
		return servers.Fault{Answered: func(int) { close(reached) }, HoldAnswer: make(chan struct{})}
	})
	defer w.breaks(nil)
	d, err := w.killOn(reached)
	if when == late && d.reached {
		d.letGo = func() error {
			defer w.belated.Add(-1)
			close(belated)
			select {
			case <-arrived:
				return nil
			case <-time.After(patience):
				return errors.New("the late request was not answered")
			}
		}
	}
	return d, err
}

// killAfter starts a run and kills it some time later.
func (w *world) killAfter(later time.Duration) (death, error) {
	reached := make(chan struct{})
	time.AfterFunc(later, func() { close(reached) })
	return w.killOn(reached)
}

// killOn starts a run and kills it once the channel is closed.
func (w *world) killOn(reached <-chan struct{}) (death, error) {
	run, err := w.sync(user, w.store.ttl)
	if err != nil {
		return death{}, err
	}
	select {
	case <-reached:
		return death{reached: true}, errors.Join(run.kill(), run.keep())
	case <-run.done:
		return death{}, run.keep()
	}
}

// keep leaves what the process said where secrets are looked for.
func (p *process) keep() error {
	return os.WriteFile(filepath.Join(p.world.dir, fmt.Sprintf("said-%d", p.number)), append(p.stdout.Bytes(), p.stderr.Bytes()...), 0o600)
}
