package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
	"tidemark.dev/tidemark/tests/servers"
)

const interrupted = 16

// wide is a change of more objects than are applied at once.
func wide() *scenario {
	first, second := tree{"one/alpha.yaml": configMap("alpha", "low")}, tree{"one/alpha.yaml": configMap("alpha", "low")}
	for i := range 36 {
		file, name := fmt.Sprintf("one/wide-%02d.yaml", i), fmt.Sprintf("wide-%02d", i)
		first[file], second[file] = configMap(name, "low"), configMap(name, "high")
	}
	return &scenario{name: "wide", apps: oneApp, trees: []tree{first, second}, before: []int{0}, killed: 1, after: 1}
}

// grace is how long a run may take for what is in flight and for its record, once it was told to end; a busy machine
// takes some more.
const grace = 5*time.Second + 10*time.Second

// stopped is a world in which a run is held at some request, to be told to end.
type stopped struct {
	*world
	run *process
	// letGo lets everything go on that is held.
	letGo func()
}

// stop starts a run in a prepared world, and waits until requests that are the ones are held, before the server or after.
func (w *world) stop(ttl, when string, is func(*passage) bool, atLeast int64) (*stopped, error) {
	hold, reached := make(chan struct{}), make(chan struct{})
	var held atomic.Int64
	holding := func() {
		if held.Add(1) == atLeast {
			close(reached)
		}
	}
	w.breaks(func(p *passage) servers.Fault {
		switch {
		case !is(p):
			return servers.Fault{}
		case when == before:
			holding()
			return servers.Fault{Hold: hold}
		}
		return servers.Fault{Answered: func(int) { holding() }, HoldAnswer: hold}
	})
	run, err := w.sync(user, ttl)
	if err != nil {
		return nil, err
	}
	select {
	case <-reached:
		return &stopped{w, run, sync.OnceFunc(func() { w.breaks(nil); close(hold) })}, nil
	case <-run.done:
		return nil, fmt.Errorf("the run ended with %d before it came to the point:\n%s", run.cmd.ProcessState.ExitCode(), run.stderr.String())
	}
}

// freed checks that an interrupted run left its record and no lease.
func (w *world) freed(ctx context.Context) error {
	head, _, err := w.head(ctx)
	switch {
	case err != nil:
		return err
	case !head.Lease.Free:
		return errors.New("the lease is not free")
	case head.Audit.Verdict != state.Interrupted:
		return fmt.Errorf("the newest record has the verdict %s", head.Audit.Verdict)
	}
	return nil
}

// goesOn checks that clean runs finish the work, and the first at once.
func (w *world) goesOn(ctx context.Context) error {
	if err := w.invariants(ctx); err != nil {
		return err
	}
	if err := w.recovers(ctx, nil); err != nil {
		return err
	}
	for _, p := range w.journal.whole() {
		if p.Server == "store" && p.Name == "get head.json" && p.K > 12 {
			return fmt.Errorf("process %d waited for a lease that should be free", p.Process)
		}
	}
	return nil
}

func isAppWrite(p *passage) bool { return p.Server == "cluster" && p.Effect && !p.Lease }

// signals are stories of a run that is told to end. Each is given a world where the last commit is to be brought.
var signals = map[string]func(context.Context, *world) error{
	"while requests are in flight": func(ctx context.Context, w *world) error {
		s, err := w.stop(clean, before, isAppWrite, 8)
		if err != nil {
			return err
		}
		defer s.letGo()
		if err := s.run.signal(syscall.SIGTERM); err != nil {
			return err
		}
		time.Sleep(time.Second) // it has heard by then, and sends nothing any more
		mark, signalled := w.journal.now(), time.Now()
		s.letGo()
		o, err := s.run.outcome()
		if err != nil {
			return err
		}
		var sent, done int
		for _, p := range w.journal.of(s.run.number) {
			switch {
			case p.Came <= mark && isAppWrite(p) && p.Status == 200:
				done++
			case p.Came > mark && (p.Server != "store" || p.Effect && !strings.HasPrefix(p.Path, "runs/") && !strings.HasPrefix(p.Path, "audit/") && p.Path != "head.json"):
				sent++
				err = errors.Join(err, fmt.Errorf("sent after the signal: %s", p))
			}
		}
		if o.exit != interrupted || o.record.Verdict != state.Interrupted || o.record.Apps[0].Counts.Changed != done || time.Since(signalled) > grace {
			err = errors.Join(err, fmt.Errorf("exit code %d, verdict %s, %d changed of %d done, after %s:\n%s", o.exit, o.record.Verdict, o.record.Apps[0].Counts.Changed, done, time.Since(signalled), o.said))
		}
		return errors.Join(err, w.freed(ctx), w.goesOn(ctx))
	},
	"while requests in flight are never answered": func(ctx context.Context, w *world) error {
		s, err := w.stop(clean, after, isAppWrite, 1)
		if err != nil {
			return err
		}
		defer s.letGo()
		began := time.Now()
		if err := s.run.signal(syscall.SIGINT); err != nil {
			return err
		}
		o, err := s.run.outcome()
		if err != nil {
			return err
		}
		s.letGo()
		if o.exit != interrupted || time.Since(began) > grace+5*time.Second {
			err = fmt.Errorf("exit code %d after %s:\n%s", o.exit, time.Since(began), o.said)
		}
		return errors.Join(err, w.freed(ctx), w.goesOn(ctx))
	},
	"while it plans": func(ctx context.Context, w *world) error {
		return planning(ctx, w, func(p *passage) bool { return p.Server == "cluster" && strings.HasSuffix(p.Name, " dry") })
	},
	"while it observes": func(ctx context.Context, w *world) error {
		return planning(ctx, w, func(p *passage) bool { return p.Server == "cluster" && strings.HasSuffix(p.Name, "/configmaps") })
	},
	"while it fetches": func(ctx context.Context, w *world) error {
		return planning(ctx, w, func(p *passage) bool { return p.Server == "git" })
	},
	"while it claims": func(ctx context.Context, w *world) error {
		s, err := w.stop(clean, after, func(p *passage) bool { return p.Server == "store" && p.Name == "put head.json" }, 1)
		if err != nil {
			return err
		}
		defer s.letGo()
		if err := s.run.signal(syscall.SIGTERM); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond) // it has heard by then
		s.letGo()
		o, err := s.run.outcome()
		if err != nil {
			return err
		}
		if o.exit != interrupted || len(o.writes) > 0 {
			err = fmt.Errorf("exit code %d and %d writes:\n%s", o.exit, len(o.writes), o.said)
		}
		return errors.Join(err, w.freed(ctx), w.goesOn(ctx))
	},
	"twice": func(ctx context.Context, w *world) error {
		s, err := w.stop(w.store.ttl, before, isAppWrite, 1)
		if err != nil {
			return err
		}
		defer s.letGo()
		if err := s.run.signal(syscall.SIGTERM); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond) // two at once are one
		if err := s.run.signal(syscall.SIGTERM); err != nil {
			return err
		}
		began := time.Now()
		if err := s.run.wait(); err != nil {
			return err
		}
		s.letGo()
		if code, took := s.run.cmd.ProcessState.ExitCode(), time.Since(began); code != interrupted || took > 3*time.Second {
			return fmt.Errorf("exit code %d, %s after the second signal", code, took)
		}
		return errors.Join(w.invariants(ctx), w.recovers(ctx, nil))
	},
	"while it waits for a dead run": func(ctx context.Context, w *world) error {
		if d, err := w.killAt(after, isAppWrite); err != nil || !d.reached {
			return errors.Join(err, errors.New("no run died"))
		}
		s, err := w.stop(clean, before, func(p *passage) bool { return p.Server == "store" && p.Name == "get head.json" && p.K == 3 }, 1)
		if err != nil {
			return err
		}
		defer s.letGo()
		began := time.Now()
		if err := s.run.signal(syscall.SIGTERM); err != nil {
			return err
		}
		o, err := s.run.outcome()
		if err != nil {
			return err
		}
		s.letGo()
		if took := time.Since(began); o.exit != interrupted || len(o.writes) > 0 || took > grace {
			return fmt.Errorf("exit code %d after %s, %d writes:\n%s", o.exit, took, len(o.writes), o.said)
		}
		return errors.Join(w.invariants(ctx), w.recovers(ctx, nil))
	},
}

// planning tells a run to end while it waits for an answer that it needs for its plan: it does not wait any longer.
func planning(ctx context.Context, w *world, is func(*passage) bool) error {
	s, err := w.stop(clean, before, is, 1)
	if err != nil {
		return err
	}
	defer s.letGo()
	began := time.Now()
	if err := s.run.signal(syscall.SIGTERM); err != nil {
		return err
	}
	o, err := s.run.outcome()
	if err != nil {
		return err
	}
	s.letGo()
	if took := time.Since(began); o.exit != interrupted || o.record.Verdict != state.Interrupted || len(o.writes) > 0 || took > grace {
		err = fmt.Errorf("exit code %d, verdict %s, %d writes, after %s:\n%s", o.exit, o.record.Verdict, len(o.writes), took, o.said)
	}
	return errors.Join(err, w.freed(ctx), w.goesOn(ctx))
}

// toldAt tells a run to end while a request is held, before the server or after, and lets the request go on. Most runs end
// as interrupted; one that had nothing left to do may end well. In any case nobody has to wait for it.
func toldAt(ctx context.Context, w *world, at point) error {
	s, err := w.stop(clean, at.when, at.is, 1)
	if err != nil {
		return err
	}
	defer s.letGo()
	if err := s.run.signal(syscall.SIGTERM); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond) // it has heard by then
	s.letGo()
	o, err := s.run.outcome()
	if err != nil {
		return err
	}
	head, _, err := w.head(ctx)
	switch {
	case err != nil:
		return err
	case o.exit != interrupted && o.exit != w.scenario.exit:
		return fmt.Errorf("exit code %d:\n%s", o.exit, o.said)
	case head.Seq > 0 && !head.Lease.Free:
		return fmt.Errorf("the lease is not free after exit code %d:\n%s", o.exit, o.said)
	case o.exit == interrupted && head.Seq > 0 && o.record.Seq == head.Audit.Seq && head.Audit.Verdict != state.Interrupted:
		return fmt.Errorf("exit code %d, and the record says %s", o.exit, head.Audit.Verdict)
	}
	return w.goesOn(ctx)
}

// toldAtEach tells runs to end at each of the points of a scenario at which something changes, or at some.
func toldAtEach(t *testing.T, s *scenario, moments, failed *atomic.Int64) {
	recorded, err := shared.recorded(s, "s3")
	if err != nil {
		t.Fatalf("record a run without a fault: %v", err)
	}
	var all sync.WaitGroup
	for _, p := range choose(recorded.passages, sampled) {
		if p.when == late { // a run that lives hears of it
			if soak {
				continue
			}
			p.when = after
		}
		moments.Add(1)
		all.Go(func() {
			err := shared.within(t.Context(), s, "s3", func(ctx context.Context, w *world) error { return toldAt(ctx, w, p) })
			if err != nil {
				failed.Add(1)
				t.Errorf("%s, told to end at %s: %v", s.name, p, err)
			}
		})
	}
	all.Wait()
}

func TestSignalled(t *testing.T) {
	t.Parallel()
	shared.ready(t)
	var moments, failed atomic.Int64
	t.Run("when", func(t *testing.T) {
		for name, story := range signals {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				moments.Add(1)
				if err := shared.within(t.Context(), wide(), "s3", story); err != nil {
					failed.Add(1)
					t.Error(err)
				}
			})
		}
		for _, s := range scenarios() {
			if soak || s.name == "add and remove" {
				t.Run("at each point of "+s.name, func(t *testing.T) {
					t.Parallel()
					toldAtEach(t, s, &moments, &failed)
				})
			}
		}
	})
	t.Logf("counts: signals: %d moments, %d violations", moments.Load(), failed.Load())
}

// within tells a story in a prepared world of its own.
func (c *cast) within(ctx context.Context, s *scenario, storeName string, story func(context.Context, *world) error) (err error) {
	w, err := c.enter(ctx, s, storeName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.leave()) }()
	if err := w.prepare(ctx); err != nil {
		return err
	}
	if err := story(ctx, w); err != nil {
		return fmt.Errorf("%w\nwhat was asked last:\n%s", err, w.journal.text(w.journal.process))
	}
	return nil
}
