package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
)

const leaseLost = 14

// pausedAt is how many moments of a change a sample pauses at.
const pausedAt = 3

func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	shared.ready(t)
	var pairs, pauses, violations atomic.Int64
	t.Run("stores", func(t *testing.T) {
		for _, storeName := range []string{"s3", "gcs", "dir"} {
			t.Run("started at once on "+storeName, func(t *testing.T) {
				t.Parallel()
				for _, s := range []*scenario{{name: "first", apps: oneApp, trees: []tree{calm}}, wide()} {
					pairs.Add(1)
					if err := shared.within(t.Context(), s, storeName, startedAtOnce); err != nil {
						violations.Add(1)
						t.Errorf("%s: %v", s.name, err)
					}
				}
			})
			t.Run("one meets the other at work on "+storeName, func(t *testing.T) {
				t.Parallel()
				pairs.Add(1)
				if err := shared.within(t.Context(), wide(), storeName, meetsAtWork); err != nil {
					violations.Add(1)
					t.Error(err)
				}
			})
		}
		for _, storeName := range []string{"s3", "gcs"} {
			t.Run("paused beyond the lease on "+storeName, func(t *testing.T) {
				t.Parallel()
				pauses.Add(1)
				if err := shared.within(t.Context(), wide(), storeName, pausedInMidApply); err != nil {
					violations.Add(1)
					t.Error(err)
				}
			})
		}
		for _, s := range scenarios() {
			if s.name == "change" || s.name == "add and remove" || soak && s.dying == 0 && s.exit == 0 {
				t.Run("paused at each point of "+s.name, func(t *testing.T) {
					t.Parallel()
					pausedAtEach(t, s, &pauses, &violations)
				})
			}
		}
	})
	t.Logf("counts: two processes: %d pairs at once, %d pauses beyond the lease, %d violations", pairs.Load(), pauses.Load(), violations.Load())
}

// ended waits for both and gives what came of them.
func ended(first, second *process) (a, b outcome, err error) {
	a, err = first.outcome()
	b, err2 := second.outcome()
	return a, b, errors.Join(err, err2)
}

// startedAtOnce starts two processes at once: one works, and the other finds that out, at the beginning or the end.
func startedAtOnce(ctx context.Context, w *world) error {
	first, err := w.sync(user, clean)
	if err != nil {
		return err
	}
	second, err := w.sync(rival, clean)
	if err != nil {
		return errors.Join(err, first.kill())
	}
	a, b, err := ended(first, second)
	if err != nil {
		return err
	}
	if a.record.Verdict != state.Changed {
		a, b = b, a
	}
	idle := b.record.Verdict == state.Skipped || b.record.Verdict == state.Unchanged
	if a.exit != 0 || b.exit != 0 || a.record.Verdict != state.Changed || !idle || len(b.writes) > 0 {
		return fmt.Errorf("exit codes %d and %d, verdicts %s and %s, %d writes of the second:\n%s\n%s",
			a.exit, b.exit, a.record.Verdict, b.record.Verdict, len(b.writes), a.said, b.said)
	}
	return errors.Join(w.invariants(ctx), w.recovers(ctx, nil))
}

// meetsAtWork starts a process while another one applies: it sees that the other lives, and leaves.
func meetsAtWork(ctx context.Context, w *world) error {
	// So short that the holder renews it while the other looks on, and long enough for what is held to be answered.
	s, err := w.stop("12s", before, isAppWrite, 1)
	if err != nil {
		return err
	}
	defer s.letGo()
	second, err := w.sync(rival, clean)
	if err != nil {
		return err
	}
	b, err := second.outcome()
	s.letGo()
	a, err2 := s.run.outcome()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if a.exit != 0 || a.record.Verdict != state.Changed || b.exit != 0 || b.record.Verdict != state.Skipped || len(b.writes) > 0 {
		return fmt.Errorf("exit codes %d and %d, verdicts %s and %s, %d writes of the second:\n%s\n%s",
			a.exit, b.exit, a.record.Verdict, b.record.Verdict, len(b.writes), a.said, b.said)
	}
	return errors.Join(w.invariants(ctx), w.recovers(ctx, nil))
}

// pausedInMidApply pauses a process that has more to send than is under way.
func pausedInMidApply(ctx context.Context, w *world) error {
	return w.paused(ctx, after, isAppWrite, true)
}

// pausedAtEach pauses a process at each request that has an effect, or at some.
func pausedAtEach(t *testing.T, s *scenario, pauses, violations *atomic.Int64) {
	recorded, err := shared.recorded(s, "s3")
	if err != nil {
		t.Fatalf("record a run without a fault: %v", err)
	}
	var effects []*passage
	for _, p := range recorded.passages {
		if p.Effect && !strings.HasPrefix(p.Path, "probe/") {
			effects = append(effects, p)
		}
	}
	claimed := false
	for i, p := range effects {
		settles := i == len(effects)-1
		holds := claimed && !settles // while it is paused, that is, and for sure
		claimed = claimed || p.Name == "put head.json"
		if !soak && i%(len(effects)/pausedAt) != pausedAt/2 {
			continue
		}
		pauses.Add(1)
		at := point{p.Server, p.Name, p.K, after}
		if err := shared.within(t.Context(), s, "s3", func(ctx context.Context, w *world) error { return w.paused(ctx, after, at.is, holds) }); err != nil {
			violations.Add(1)
			t.Errorf("paused %s: %v", at, err)
		}
	}
}

// paused stops a process at a request, lets another one take over and finish, and wakes the first. holds says that it
// has the lease by then and work left.
func (w *world) paused(ctx context.Context, when string, is func(*passage) bool, holds bool) error {
	mark, err := shared.deletes.position()
	if err != nil {
		return err
	}
	s, err := w.stop(w.store.ttl, when, is, 1)
	if err != nil {
		return err
	}
	defer s.letGo()
	if err := s.run.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	s.letGo() // what it had sent goes on its way, and what is answered waits for it
	if err := w.reached(s.run); err != nil {
		return err
	}
	second, err := w.sync(rival, clean)
	if err != nil {
		return errors.Join(err, s.run.kill())
	}
	b, err := second.outcome()
	if err != nil || b.exit != 0 || b.record.Verdict == state.Skipped {
		return errors.Join(fmt.Errorf("the one that takes over: exit code %d, verdict %s, %w\n%s", b.exit, b.record.Verdict, err, b.said), s.run.kill())
	}
	before, err := w.versions(ctx)
	if err != nil {
		return errors.Join(err, s.run.kill())
	}
	woken := time.Now()
	if err := s.run.signal(syscall.SIGCONT); err != nil {
		return err
	}
	a, err := s.run.outcome()
	if err != nil {
		return err
	}
	var errs []error
	if holds && (a.exit != leaseLost || a.record.Verdict == state.Changed) {
		errs = append(errs, fmt.Errorf("the paused one: exit code %d, verdict %s, not %d:\n%s", a.exit, a.record.Verdict, leaseLost, a.said))
	}
	after, err := w.versions(ctx)
	if err != nil {
		return err
	}
	for name, version := range before {
		if after[name] != version {
			errs = append(errs, fmt.Errorf("%s was changed after the paused one woke", name))
		}
	}
	errs = append(errs, w.wroteSince(mark, woken))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return errors.Join(w.invariants(ctx), w.recovers(ctx, nil))
}

// reached waits until whatever the process had sent to the cluster is answered.
func (w *world) reached(p *process) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		pending := 0
		for _, passage := range w.journal.of(p.number) {
			if passage.Server == "cluster" && w.journal.pending(passage) {
				pending++
			}
		}
		if pending == 0 {
			return nil
		}
	}
	return errors.New("the requests of the paused process were not answered")
}

// versions gives the resourceVersion of each of our objects.
func (w *world) versions(ctx context.Context) (map[string]string, error) {
	head, _, err := w.head(ctx)
	if err != nil {
		return nil, err
	}
	live, err := w.ours(ctx, head.Lineage)
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for id, data := range live {
		var m meta
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, err
		}
		versions[id.String()] = m.Metadata.ResourceVersion
	}
	return versions, nil
}

// wroteSince checks in the API server's own log that no write of the paused user in this world was done after a time.
func (w *world) wroteSince(mark int64, woken time.Time) error {
	events, _, err := w.cluster.Audit(mark)
	if err != nil {
		return err
	}
	for _, e := range events {
		here := strings.HasPrefix(e.ObjectRef.Namespace, w.name) || strings.Contains(e.ObjectRef.Name, w.name)
		if e.User == user && here && e.IsWrite() && !strings.Contains(e.RequestURI, "dryRun") && e.Received.After(woken) && e.ResponseCode < http.StatusBadRequest {
			err = errors.Join(err, fmt.Errorf("the paused one wrote after it woke: %s %s %d", e.Verb, e.RequestURI, e.ResponseCode))
		}
	}
	return err
}
