package reconcile

import (
	"context"
	"fmt"
	"strings"

	"tidemark.dev/tidemark/reconcile/plan"
)

// discover makes sure that the cluster is the ledger's, and learns what it
// serves.
func (r *runner) discover(ctx context.Context, l *ledger, apps []*app) error {
	defer r.stage("discover")()
	if l.witness.unheard != nil {
		return l.witness.unheard
	}
	if err := r.identify(ctx, l); err != nil {
		return err
	}
	if l.witness.behind {
		r.warn("the cluster does not remember the last changes of this ledger, as after a restore: everything is looked at closely")
	}
	if r.recallKinds(l, apps) {
		return nil
	}
	return r.learnKinds(ctx, l)
}

// identify makes sure that the cluster is the ledger's.
func (r *runner) identify(ctx context.Context, l *ledger) error {
	if l.cluster != "" {
		return nil
	}
	uid, err := r.job.Cluster.Identity(ctx)
	if err != nil {
		return fmt.Errorf("identify the cluster: %w", within(ctx, err))
	}
	if l.head.Cluster != "" && l.head.Cluster != uid {
		return &Fault{Exit: ExitState, Err: fmt.Errorf("identify the cluster: %w: it belongs to %s, and this is %s", ErrCluster, l.head.Cluster, uid)}
	}
	l.cluster = uid
	return nil
}

// resolve looks up which revision each app wants, and whether its inputs are
// those of the last successful run.
func (r *runner) resolve(ctx context.Context, l *ledger, apps []*app) {
	defer r.stage("resolve")()
	for _, a := range apps {
		if a.left != plan.NotLeft || a.fixed != nil && r.staysFixed(ctx, l, a) {
			continue
		}
		revision, err := a.Source.Resolve(ctx)
		if err != nil {
			a.err = fmt.Errorf("resolve: %w", within(ctx, err))
			continue
		}
		a.revision = revision
		a.digestInputs(l.kinds)
	}
}

// digestInputs digests everything that rendering depends on, as "BASE" or, once
// it is known that the cluster's kinds go into the set, "BASE+SERVER". It is known
// from the last rendering; until then the server is left out, and render adds it.
func (a *app) digestInputs(kinds plan.Kinds) {
	server := ""
	if _, _, used := strings.Cut(a.prior.Inputs, "+"); used || a.rendered.UsesServer {
		server = "+" + digestOf(kinds.Version, apiVersions(kinds))
	}
	base := digestOf(a.revision.Repo, a.revision.Chart, a.Renderer.Digest(), a.Namespace, a.CreateNamespace, a.NamespaceLabels)
	if rules := a.Ignore.Digest(); rules != "" {
		base = digestOf(base, rules)
	}
	a.rest, a.inputs = base+server, digestOf(base, a.revision.Commit)+server
}
