package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// app is one app on its way through the stages. Each stage fills in its own
// fields; after an error the later stages leave the app alone.
type app struct {
	App
	err error
	// left: the configuration does not want the app any more. Such an app wants
	// nothing, and has neither source nor renderer.
	left plan.Left
	// removal is the hash of the plan that would delete all of it.
	removal string

	// configure
	prior state.App
	owned state.Inventory
	// recalled stands for owned until anything of the app moved.
	recalled *state.SeenApp

	// resolve
	// fixed is the kept set that the app stays at, nil when it follows its source;
	// asIs are its Secrets whose data was not kept.
	fixed    *state.Kept
	asIs     map[object.ID]bool
	restored string // the digest of the kept set
	// reverted: the app was unhealthy, and went back in this run. undone says how it
	// is since, and halfway that not all of it went back.
	reverted *state.Quarantine
	undone   string
	halfway  bool
	revision source.Revision
	// rest is the digest of everything but the commit that rendering depends on,
	// and inputs that of everything.
	rest, inputs string
	// same: the commit is another than the last one that was applied, and
	// rendering would read nothing new of it.
	same bool

	// observe: nothing moved, neither the inputs nor any object
	untouched bool
	// silent: of one that is untouched, every object is the version that was seen.
	silent bool
	// strayed: the inventory took objects in that a restore brought back.
	strayed bool

	// render
	rendered Rendered
	want     object.Set
	digest   string
	digests  map[object.ID]string
	optional map[object.ID]bool
	// hooks are not in want.
	hooks []plan.Hook

	// inspect
	live plan.Live

	// descent is how the wanted revision came after the one applied last.
	descent plan.Descent

	// decide
	// consents are the approvals that commits speak, which were looked for up to
	// the commit looked; approved is what let the plan pass. stale: the approval in
	// the head is another plan's.
	consents []state.Approval
	looked   string
	approved *state.Approval
	stale    bool
	log      *source.Log
	plan     plan.Plan
	planned  bool

	// apply
	// sent are the objects that this run wrote, as they were answered.
	sent map[object.ID]plan.Meta
	// ended are the hooks that did, in this run.
	ended []apply.Outcome
	// began is when the first wait for some of its objects did.
	began time.Time
	// found is how the app was after it was applied; nil while nobody looked.
	found *found
	// fencedOff are the members in doubt that no late request can change any more.
	fencedOff map[object.ID]bool
	// carried is the plan that was committed and is carried out.
	carried *state.Ref
	// redacted: a credential of the run was taken out of the set before it was stored.
	redacted bool
	results  []apply.Result
	// later are the changes that were planned after the first plan.
	later []plan.Change
	// relocated are IDs under which objects were put off, before it was known
	// whether their kind has namespaces.
	relocated map[object.ID]bool
}

// configure gives the apps with what the ledger knows of each.
func (r *runner) configure(ctx context.Context, l *ledger) ([]*app, error) {
	defer r.stage("configure")()
	last, err := r.lastConfig(ctx, l)
	if err != nil {
		return nil, err
	}
	config, err := r.job.Configure(ctx, last)
	if err != nil {
		return nil, fmt.Errorf("configure: %w", within(ctx, err))
	}
	if err := checkDependencies(config, l.head); err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	r.config = config
	var apps []*app
	known := map[string]bool{}
	for _, a := range config.Apps {
		known[a.Name] = true
		if len(r.job.Only) > 0 && !slices.Contains(r.job.Only, a.Name) {
			continue
		}
		if a.Absent {
			apps = append(apps, l.removed(a)...)
			continue
		}
		if r.job.Watcher == nil {
			a.Wait = Wait{}
		}
		apps = append(apps, &app{App: a})
	}
	for _, name := range r.job.Only {
		if !known[name] {
			return nil, fmt.Errorf("configure: there is no app %q; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	if len(r.job.Only) == 0 && !config.Partial {
		apps = append(apps, r.departed(l, known)...)
	}
	if err := r.inventories(ctx, l, apps); err != nil {
		return apps, err
	}
	r.doubtHealth(l, apps)
	return apps, r.pin(ctx, l, apps)
}

// lastConfig gives the configuration that the last run read from a repository.
// One that is lost is fetched again.
func (r *runner) lastConfig(ctx context.Context, l *ledger) (*Committed, error) {
	last := l.head.Committed
	if last == nil {
		return nil, nil
	}
	text, err := r.job.Ledger.Read(ctx, last.Text)
	if errors.Is(err, state.ErrDamaged) {
		r.warn("the last configuration cannot be read and is fetched again: " + err.Error())
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load state: %w", within(ctx, err))
	}
	return &Committed{Repo: last.Repo, Commit: last.Commit, Path: last.Path, Text: text}, nil
}

// keepConfig stores a configuration that was read from a repository, for the
// next run; nil when it is stored already, or does not stand in one.
func (r *runner) keepConfig(ctx context.Context, l *ledger) (*state.Committed, error) {
	now, last := r.config.Committed, l.head.Committed
	if now == nil || last != nil && last.Repo == now.Repo && last.Commit == now.Commit && last.Path == now.Path {
		return nil, nil
	}
	text, err := r.job.Ledger.Put(ctx, "config", now.Text)
	return &state.Committed{Repo: now.Repo, Commit: now.Commit, Path: now.Path, Text: text}, err
}

// digestOf gives the SHA-256 of values in hexadecimal.
func digestOf(values ...any) string {
	hash := sha256.New()
	if err := json.NewEncoder(hash).Encode(values); err != nil {
		panic(err) // strings and numbers only
	}
	return hex.EncodeToString(hash.Sum(nil))
}
