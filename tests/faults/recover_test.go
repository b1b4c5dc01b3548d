package faults_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// clean is the lease of runs that are not to be killed. It may be longer than that of the killed ones, so that a busy
// machine does not make them lose it: how long they wait is up to the lease of the dead.
const clean = "30s"

// recovers does clean runs, and checks that at most two of them bring the cluster to the last commit, and a third does
// nothing. letGo, when there is one, is called after the first.
func (w *world) recovers(ctx context.Context, letGo func() error) error {
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
			if err := letGo(); err != nil {
				return err
			}
			letGo = nil
			n = 0 // what follows is as after the death
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
	p, err := w.start(user, "audit", "verify", "--config", w.config(user))
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
