package reconcile

import (
	"context"
)

// askAgain looks the wanted revisions up as often as the lease is renewed, and
// closes outdated when one moved: who waits for what is not wanted any more stands
// in the way of what is. A look-up that fails says nothing.
func (r *runner) askAgain(ctx context.Context, apps []*app, outdated chan<- struct{}) {
	for {
		if sleep(ctx, r.job.Ledger.TTL()/4) != nil {
			return
		}
		if r.outdated(ctx, apps) {
			close(outdated)
			return
		}
	}
}

// outdated says whether what an app of this run wants is something else by now.
func (r *runner) outdated(ctx context.Context, apps []*app) bool {
	config, err := r.job.Configure(ctx, r.config.Committed)
	if err != nil {
		return false
	}
	now := map[string]App{}
	for _, a := range config.Apps {
		now[a.Name] = a
	}
	for _, a := range apps {
		wants, stays := now[a.Name]
		if a.err != nil || !stays {
			continue
		}
		revision, err := wants.Source.Resolve(ctx)
		if err == nil && digestOf(revision.Repo, revision.Commit, revision.Chart) != digestOf(a.revision.Repo, a.revision.Commit, a.revision.Chart) {
			return true
		}
	}
	return config.Digest != r.config.Digest
}

// isOutdated says whether what is wanted moved while it was waited for.
func (w *watches) isOutdated() bool {
	if w == nil {
		return false
	}
	select {
	case <-w.outdated:
		return true
	default:
		return false
	}
}
