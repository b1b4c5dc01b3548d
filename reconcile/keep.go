package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// A run that applied an app in full keeps its set, so that the app can be taken
// back to it without a repository. See decisions/0025.

// keep stores the set of an app that is all applied, and notes which ones are kept
// from now on. The same set is not stored twice.
func (r *runner) keep(ctx context.Context, end *settled) error {
	a := end.app
	if !end.complete || !a.well() || !a.planned || a.fixed != nil || a.left != plan.NotLeft || r.config.Keep <= 0 {
		return nil
	}
	if a.redacted {
		r.warn(fmt.Sprintf("the set of the app %s is not kept to go back to: a credential of this run is in it", a.Name))
		return nil
	}
	newest := state.Kept{Digest: state.KeptDigest(a.digest)}
	if r.config.Seal != nil && slices.ContainsFunc(a.want.Objects(), object.Object.IsSecret) {
		newest.Sealed = state.KeptDigest(a.content())
	}
	same := func(k state.Kept) bool { return k.Digest == newest.Digest && k.Sealed == newest.Sealed }
	at := slices.IndexFunc(a.prior.Kept, same)
	if at == 0 && len(a.prior.Kept) <= r.config.Keep {
		return nil
	}
	if at >= 0 {
		newest = a.prior.Kept[at]
	} else {
		set, err := r.keptSet(a)
		if err != nil {
			return err
		}
		data, err := set.Encode()
		if err != nil {
			return err
		}
		if newest.Rest, err = r.job.Ledger.Put(ctx, "kept-"+a.Name, r.redact(data)); err != nil {
			return err
		}
		newest.Set = *cmp.Or(end.set, a.prior.Set)
	}
	end.kept = []state.Kept{newest}
	for _, k := range a.prior.Kept {
		if !same(k) && len(end.kept) < r.config.Keep {
			end.kept = append(end.kept, k)
		}
	}
	return nil
}

// keptSet gives the app's set as it is stored.
func (r *runner) keptSet(a *app) (state.KeptSet, error) {
	set := state.KeptSet{
		App: a.Name, Digest: a.digest, Run: r.job.Ledger.Run(), Since: r.began.UTC(), Inputs: a.madeOf(),
		Engine: a.rendered.Engine, Nondeterministic: a.rendered.Nondeterministic, Varying: map[string][]string{},
	}
	set.Revision, set.Chart = a.applied()
	for id, fields := range a.rendered.Varying {
		set.Varying[id.Mark()] = fields
	}
	secrets := map[string]map[string]any{}
	for _, o := range a.want.Objects() {
		if a.optional[o.ID] {
			set.Optional = append(set.Optional, o.ID.Mark())
		}
		if data := dataOf(o); len(data) > 0 {
			secrets[o.ID.Mark()] = data
		}
	}
	if r.config.Seal == nil || len(secrets) == 0 {
		return set, nil
	}
	data, err := json.Marshal(secrets)
	if err == nil {
		set.Sealed, err = r.config.Seal(data)
	}
	if err != nil {
		return state.KeptSet{}, fmt.Errorf("encrypt the Secrets of %s: %w", a.Name, err)
	}
	return set, nil
}

// dataOf gives the fields of a Secret that hold its values; nothing for any other
// object.
func dataOf(o object.Object) map[string]any {
	if !o.IsSecret() {
		return nil
	}
	data := map[string]any{}
	for _, field := range []string{"data", "stringData"} {
		if value, given := o.Content()[field]; given {
			data[field] = value
		}
	}
	return data
}
