package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// restore takes the app's set from where it is kept, in place of rendering it.
func (r *runner) restore(ctx context.Context, a *app) error {
	set, err := readKept(ctx, r.job.Ledger, a.Name, *a.fixed)
	if err != nil {
		return err
	}
	secrets := map[string]map[string]any{}
	if r.job.Unseal != nil && set.Sealed != nil {
		data, err := r.job.Unseal(set.Sealed)
		if err == nil {
			err = json.Unmarshal(data, &secrets)
		}
		if err != nil {
			return fmt.Errorf("decrypt the Secrets of the kept set: %w", err)
		}
	}
	a.asIs, a.restored = map[object.ID]bool{}, set.Digest
	a.rendered = Rendered{Engine: set.Engine, Inputs: a.inputs, Varying: map[object.ID][]string{}, Nondeterministic: set.Nondeterministic}
	stored, err := readStored(ctx, r.job.Ledger, *a.fixed)
	if err != nil {
		return err
	}
	var objects []object.Object
	for _, s := range stored.Objects {
		o, err := s.Object()
		if err != nil {
			return fmt.Errorf("read %s: %w", a.fixed.Set.Path, err)
		}
		mark := o.ID.Mark()
		if slices.Contains(set.Optional, mark) {
			continue
		}
		if data, sealed := secrets[mark]; sealed {
			content := maps.Clone(o.Content())
			maps.Copy(content, data)
			o = o.WithContent(content)
		} else if o.IsSecret() {
			a.asIs[o.ID] = true
		}
		if fields := set.Varying[mark]; len(fields) > 0 {
			a.rendered.Varying[o.ID] = fields
		}
		objects = append(objects, o)
	}
	if a.rendered.Set, err = object.NewSet(objects, false); err != nil {
		return err
	}
	if len(a.asIs) > 0 {
		a.rendered.Warnings = append(a.rendered.Warnings, fmt.Sprintf("%s left as live: there is no key to what was kept of the data", counted(len(a.asIs), "Secret")))
	}
	a.revision = revisionOf(set.Revision, set.Chart)
	return nil
}

func readKept(ctx context.Context, ledger *state.Ledger, app string, kept state.Kept) (state.KeptSet, error) {
	data, err := ledger.Read(ctx, kept.Rest)
	var set state.KeptSet
	if err == nil {
		set, err = state.DecodeKeptSet(data)
	}
	if err == nil && state.KeptDigest(set.Digest) != kept.Digest {
		err = fmt.Errorf("%w: it is another set", state.ErrDamaged)
	}
	if err != nil {
		return state.KeptSet{}, fmt.Errorf("kept set of app %s: %w", app, within(ctx, err))
	}
	return set, nil
}

func readStored(ctx context.Context, ledger *state.Ledger, kept state.Kept) (state.StoredSet, error) {
	data, err := ledger.Read(ctx, kept.Set)
	if err != nil {
		return state.StoredSet{}, within(ctx, err)
	}
	return state.DecodeSet(data)
}

func revisionOf(revision *state.Revision, chart *state.Chart) source.Revision {
	var out source.Revision
	if r := revision; r != nil {
		out = source.Revision{Repo: r.Repo, Ref: r.Ref, Commit: r.Commit, Author: r.Author, Subject: r.Subject}
	}
	if chart != nil {
		c := source.Chart(*chart)
		out.Chart = &c
	}
	return out
}
