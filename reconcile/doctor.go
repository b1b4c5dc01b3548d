package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/state"
)

// What a Doctor may find wrong, beside the errors that runs meet.
var (
	// ErrDenied: a permission is missing in the cluster.
	ErrDenied = errors.New("not granted")
	// ErrSkew: the clocks of store and runner are far apart.
	ErrSkew = errors.New("the clocks are apart")
	// ErrSlow: the store answers so slowly that leases are at risk.
	ErrSlow = errors.New("the store is slow")
)

// Check is one thing that a Doctor looked at.
type Check struct {
	// Part is what it belongs to: store, state, cluster, witness, configuration,
	// app, permissions. What names the check, or the app.
	Part, What string
	Health     Health
	// Message says what was seen, and what follows from it.
	Message string
	// Err is the error behind a Warning or Failed, where there is one.
	Err error
}

// Health is how a Check went.
type Health string

// The ways a Check can go.
const (
	Fine      Health = "ok"
	Warning   Health = "warning"
	Failed    Health = "failed"
	Unchecked Health = "unchecked"
)

// Unopened says why parts of a Job could not even be opened; those are nil.
type Unopened struct{ Ledger, Cluster error }

// Doctor looks at everything that runs of this job need: the store, the state, the
// cluster, the witness, the configuration, the repositories, which it fetches and
// renders as a run does, and the permissions. It changes nothing, but for objects
// of its own in the store, which it removes again. The job's Configure may be nil.
func Doctor(ctx context.Context, job Job, unopened Unopened) []Check {
	d := &doctor{runner: start(job), ledger: &ledger{}}
	d.job.Mode = PlanOnly
	if d.job.Ledger == nil {
		d.fail("store", "state URL", unopened.Ledger)
	} else {
		d.store(ctx)
		d.state(ctx)
	}
	if d.job.Cluster == nil {
		d.fail("cluster", "access", unopened.Cluster)
	} else if d.server(ctx) {
		d.testimony(ctx)
	}
	apps := d.configuration(ctx)
	d.apps(ctx, apps)
	d.permissions(ctx, apps)
	d.health(ctx, apps)
	return d.checks
}

// doctor is one Doctor at work.
type doctor struct {
	*runner
	ledger *ledger
	// reached: the cluster answered, and served tells its kinds.
	reached bool
	checks  []Check
}

func (d *doctor) note(part, what string, health Health, format string, args ...any) {
	d.checks = append(d.checks, Check{Part: part, What: what, Health: health, Message: fmt.Sprintf(format, args...)})
}

func (d *doctor) fail(part, what string, err error) {
	d.checks = append(d.checks, Check{Part: part, What: what, Health: Failed, Message: err.Error(), Err: err})
}

func (d *doctor) worry(part, what string, err error) {
	d.checks = append(d.checks, Check{Part: part, What: what, Health: Warning, Message: err.Error(), Err: err})
}

// warned makes checks of what a stage warned of.
func (d *doctor) warned(part, what string) {
	for _, warning := range d.warnings {
		d.note(part, what, Warning, "%s", warning)
	}
	d.warnings = nil
}

// mostSkew is how far the clocks may be apart before people wonder about records.
const mostSkew = 30 * time.Second

// store proves that the store keeps its promises.
func (d *doctor) store(ctx context.Context) {
	defer d.stage("store")()
	seen, err := d.job.Ledger.Probe(ctx)
	if err != nil {
		d.fail("store", "conditional writes", within(ctx, err))
		return
	}
	d.note("store", "conditional writes", Fine, "%s", strings.Join(seen.Passed, "; "))
	if seen.Left != "" {
		d.note("store", "cleaning up", Warning, "%s could not be removed: old blobs will stay too", seen.Left)
	}
	skew := seen.Skew.Round(time.Second)
	switch {
	case skew.Abs() > mostSkew:
		d.worry("store", "clock", fmt.Errorf("%w: the store's is %s ahead of this machine's; leases do not mind, the times in records do", ErrSkew, skew))
	default:
		d.note("store", "clock", Fine, "agrees with this machine's")
	}
	var took []time.Duration
	for range 3 {
		began := d.job.Now()
		_, _ = d.job.Ledger.Load(ctx) // What it says is state's business.
		took = append(took, d.job.Now().Sub(began))
	}
	slices.Sort(took)
	median, ttl := took[len(took)/2], d.job.Ledger.TTL()
	if median > ttl/30 {
		d.worry("store", "latency", fmt.Errorf("%w: it takes %s to answer, and a lease of %s is renewed every %s", ErrSlow, median.Round(time.Millisecond), ttl, ttl/4))
		return
	}
	d.note("store", "latency", Fine, "answers in %s", median.Round(100*time.Microsecond))
}

// recentRecords is how many records are read.
const recentRecords = 50

// state reads the head and what it names.
func (d *doctor) state(ctx context.Context) {
	defer d.stage("state")()
	head, err := d.job.Ledger.Load(ctx)
	if err != nil {
		d.fail("state", "head", within(ctx, err))
		return
	}
	d.ledger.head, d.ledger.loaded, d.ledger.label = head, true, LedgerLabel(head.Lineage)
	if err := d.job.Ledger.CheckRolledBack(ctx, head); err != nil {
		d.fail("state", "head", within(ctx, err))
		return
	}
	if head.Seq == 0 {
		d.note("state", "head", Fine, "none: no run used this state yet")
		return
	}
	d.note("state", "head", Fine, "epoch %d of the lineage %s", head.Epoch, head.Lineage)
	d.lease(head)
	if records, err := d.job.Ledger.History(ctx, recentRecords); err != nil {
		d.fail("state", "records", within(ctx, err))
	} else {
		d.note("state", "records", Fine, "the newest %d of %d can be read", len(records), head.Audit.Seq)
	}
	objects, broken := 0, false
	for _, holding := range Holdings(ctx, d.job.Ledger, head) {
		objects += len(holding.Members)
		if holding.Err != nil {
			broken = true
			d.fail("state", "inventory", holding.Err)
		}
	}
	if !broken {
		d.note("state", "inventories", Fine, "%s of %s", counted(objects, "object"), counted(len(head.Apps), "app"))
	}
}

func (d *doctor) lease(head state.Head) {
	age, ttl := head.Stamp.Now.Sub(head.Stamp.Modified).Round(time.Second), time.Duration(head.Lease.TTL)
	switch {
	case head.Idle():
		d.note("state", "lease", Fine, "free")
	case age > ttl+ttl/4:
		d.note("state", "lease", Warning, "run %s of %s seems to be dead, its lease is %s old: the next run takes over", head.Lease.Run, head.Lease.Holder, age)
	default:
		d.note("state", "lease", Fine, "run %s of %s is at work", head.Lease.Run, head.Lease.Holder)
	}
}

// server makes sure that the cluster is there, and the right one.
func (d *doctor) server(ctx context.Context) bool {
	defer d.stage("cluster")()
	kinds, err := d.job.Cluster.Discover(ctx, true)
	if err != nil {
		d.fail("cluster", "access", within(ctx, err))
		return false
	}
	d.note("cluster", "access", Fine, "Kubernetes %s, %d kinds", kinds.Version, len(kinds.Served))
	uid, err := d.job.Cluster.Identity(ctx)
	switch expected := d.ledger.head.Cluster; {
	case errors.Is(err, apply.ErrForbidden):
		d.fail("cluster", "identity", fmt.Errorf("%w: %w", ErrDenied, err))
	case err != nil:
		d.fail("cluster", "identity", within(ctx, err))
		return false
	case expected == "":
		d.note("cluster", "identity", Fine, "%s", uid)
	case expected == uid:
		d.note("cluster", "identity", Fine, "%s, as the state says", uid)
	default:
		d.fail("cluster", "identity", fmt.Errorf("%w: it belongs to %s, and this is %s", ErrCluster, expected, uid))
	}
	for _, group := range slices.Sorted(maps.Keys(kinds.Failing)) {
		d.note("cluster", "API groups", Warning, "%s cannot be discovered, its objects are left alone: %s", group, kinds.Failing[group])
	}
	d.ledger.cluster, d.ledger.kinds, d.reached = uid, kinds, true
	return true
}

// testimony hears the witness, and asks whether runs may write it.
func (d *doctor) testimony(ctx context.Context) {
	defer d.stage("witness")()
	if d.job.Witness == nil {
		d.note("witness", "kept", Unchecked, "none")
		return
	}
	if d.ledger.loaded {
		err := d.hear(ctx, d.ledger)
		if err == nil {
			err = d.ledger.witness.unheard
		}
		w := d.ledger.witness
		switch {
		case err != nil:
			d.fail("witness", "knows", err)
		case w.mute != "":
			d.warned("witness", "knows")
		case w.behind:
			d.note("witness", "knows", Warning, "the cluster does not remember the last changes of this ledger, as after a restore: the next run looks at everything")
		case w.Version == "":
			d.note("witness", "knows", Fine, "nothing yet: the first run that changes something writes it")
		default:
			d.note("witness", "knows", Fine, "epoch %d of this ledger", w.Epoch)
		}
	}
	asked, id := d.toTestify()
	if len(asked) == 0 {
		return
	}
	denied, err := d.review(ctx, asked)
	switch {
	case err != nil:
		d.fail("witness", "permissions", err)
	case len(denied) > 0:
		d.worry("witness", "permissions", fmt.Errorf("%w: %s: without it, a state that is lost or rolled back goes unnoticed", ErrDenied, denials(denied)))
	default:
		d.note("witness", "permissions", Fine, "get, create, update %s", id)
	}
}
