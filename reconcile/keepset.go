package reconcile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/state"
)

// keepSet stores the set of an app whose plan was carried out, also in part, for
// history and for plans without a cluster. A set that is stored already is left
// alone. See decisions/0019.
func (r *runner) keepSet(ctx context.Context, end *settled) error {
	a := end.app
	if a.err != nil && a.results == nil || !a.planned || a.left == plan.LeftStays || a.blocked() || a.acts() && a.results == nil {
		return nil
	}
	set, err := state.StoreSet(a.Name, a.digest, a.want)
	if err != nil {
		return err
	}
	data, err := set.Encode()
	if err == nil {
		plain := data
		data = r.redact(data)
		a.redacted = !bytes.Equal(plain, data)
		data, err = state.Pack(data)
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	if before := a.prior.Set; before != nil && before.SHA256 == hex.EncodeToString(sum[:]) {
		return nil
	}
	ref, err := r.job.Ledger.Put(ctx, "set-"+a.Name, data)
	if err != nil {
		return err
	}
	end.set = &ref
	return nil
}

// refer notes in the record where the plans and the sets are kept that the run
// carried out.
func (r *runner) refer(ends []settled) {
	for _, end := range ends {
		i := slices.IndexFunc(r.report.Record.Apps, func(a state.AppRecord) bool { return a.Name == end.app.Name })
		if i >= 0 {
			r.report.Record.Apps[i].Set, r.report.Record.Apps[i].Plan = end.set, end.app.carried
			if end.proposal != nil {
				r.report.Record.Apps[i].Proposal = &end.proposal.Plan
			}
		}
	}
}
