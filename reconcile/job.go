package reconcile

import (
	"context"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/ignore"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/reconcile/window"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/render/source"
	"tidemark.dev/tidemark/state"
)

// Job is everything that one run needs, as values and seams; nothing in it is
// read from the environment.
type Job struct {
	// Mode says whether the run acts.
	Mode Mode
	// Configure gives the apps. It is a stage of the run, since the
	// configuration may stand in the repository: when it fails, every app stays
	// as it was and the record says why. It is given the configuration that the
	// last run read from a repository, nil when there is none.
	Configure func(context.Context, *Committed) (Config, error)
	// Only selects apps by name; empty selects all.
	Only []string

	Ledger  *state.Ledger
	Cluster Cluster
	// Witness is where the cluster remembers the ledger; nil keeps none, and with
	// it goes the proof against a state that was lost or rolled back.
	Witness Witness
	// Watcher shows what becomes of what was applied; nil waits for nothing.
	Watcher Watcher

	// Rollback takes an app back to a set that was kept; nil does not.
	Rollback *Rollback
	// Unseal decrypts what Config.Seal encrypted; nil cannot.
	Unseal func([]byte) ([]byte, error)

	// Approve holds plan hashes that this run may carry out although a guard
	// asks for approval (sync --confirm), and why.
	Approve []string
	Reason  string
	// Exactly is a saved plan: the run carries out that, or nothing. nil is any.
	Exactly *Saved
	// Keep puts the plans of a run that is PlanOnly into the ledger, and Commits
	// tells in Report.Saved which commits they bring.
	Keep, Commits bool
	// Offline: Cluster is a Remembered one, about which nothing is certain but what
	// the ledger holds.
	Offline bool

	// LockTimeout bounds the wait for another run's lease; 0 waits until that run
	// shows life or is proven dead.
	LockTimeout time.Duration
	// Self are the objects that this run itself runs from: never pruned without
	// approval.
	Self []object.ID
	// Git and PeakMemory are asked at the end, for the record; nil is nothing.
	Git        func() GitCost
	PeakMemory func() int64

	// Trigger (schedule, manual, http, lambda, ci, cli), Actor (who) and Tool
	// ("tidemark v1.2.3") go into the record as they are.
	Trigger, Actor, Tool string

	// Redact takes credentials out of a text, as a last line of defence for what
	// is stored; nil leaves texts as they are.
	Redact func(string) string

	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Progress is told what happens while it happens; nil tells nobody. It is
	// called from one goroutine at a time and must not block.
	Progress func(Event)
}

// GitCost is what a run took from git servers: requests over https and http,
// sessions over ssh; bytes as they came, compressed; and the commits fetched.
type GitCost struct {
	Requests, Bytes int64
	Fetches         []state.Fetch
}

// Mode is what a run does with its plans.
type Mode int

// The modes of a run.
const (
	// Sync carries the plans out.
	Sync Mode = iota
	// PlanOnly makes the same plans, writes nothing and leaves no record.
	PlanOnly
)

// Committed is a configuration file of a repository, at one commit.
type Committed struct {
	Repo, Commit, Path string
	Text               []byte
}

// Config is the configuration of a ledger.
type Config struct {
	// Committed is the file it was read from, nil when it does not stand in a
	// repository. The next run is given it, so that it need not fetch it again.
	Committed *Committed
	// Digest is that of the whole configuration, without credentials.
	Digest string
	Apps   []App
	// Partial: the ledger may hold apps that this configuration does not name,
	// since it was made of flags.
	Partial bool
	// Retention is how long the blobs that a record speaks of stay; what nothing
	// names any more stays a week in any case.
	Retention time.Duration
	// Keep is how many sets of each app are kept to go back to, and Seal encrypts the
	// data of their Secrets; without it that is left out.
	Keep int
	Seal func([]byte) ([]byte, error)
	// FoldUnchanged: records of unchanged runs are folded into one an hour.
	FoldUnchanged bool
	// Windows say when apps may be acted on.
	Windows []window.Window
	// DeferTimeout bounds the wait for kinds that an operator has yet to
	// install; 0 retries once and does not wait.
	DeferTimeout time.Duration
}

// App is one app, ready to be run.
type App struct {
	Name string
	// Absent: the app is to go, with all of its objects. Such an app has a name and
	// nothing else.
	Absent bool
	// Namespace is where namespaced objects without one go.
	Namespace string
	Source    Source
	// Paths are where rendering begins in the repository; "." is its root. They
	// only say what is likely to be read.
	Paths    []string
	Renderer Renderer
	Rules    plan.Rules
	// Ignore says which fields are left to others once an object exists.
	Ignore ignore.Rules
	// DependsOn are apps that must be ready before anything of this one is applied.
	DependsOn []Dependency
	// CreateNamespace: the app's namespace is made, with these labels, when it
	// does not exist.
	CreateNamespace bool
	NamespaceLabels map[string]string
	// Suspend: the app is looked at and planned, and not acted on.
	Suspend bool
	// AutoRollback: when the app is not healthy in its time, the last set that was is
	// applied again in the same run.
	AutoRollback bool
	// SkipValidation leaves out the server's dry run of each change.
	SkipValidation bool
	// Wait says what is waited for after the app was applied.
	Wait Wait
}

// Source gives the revision that an app wants. Apps of one repository share
// what they can: one look-up, one fetch of a commit.
type Source interface {
	// Resolve looks the wanted revision up, without fetching it.
	Resolve(ctx context.Context) (source.Revision, error)
	// Fetch gives the same revision with its Tree.
	Fetch(ctx context.Context, revision source.Revision) (source.Revision, error)
}

// Renderer gives the desired objects of a fetched revision.
type Renderer interface {
	// Digest covers everything but the revision and the cluster that the
	// rendering depends on: the app's configuration, the renderers' versions.
	Digest() string
	Render(ctx context.Context, revision source.Revision, server Server) (Rendered, error)
}

// Server is what rendering may know of the cluster.
type Server struct {
	// Version is the server's version, "v1.37.2".
	Version string
	// APIVersions are those served, "apps/v1" and "apps/v1/Deployment".
	APIVersions []string
	// Failing are the API groups that could not be discovered: whether the
	// server serves anything of them is not known, so that a rendering which
	// asks for one must fail.
	Failing []string
	// Scope says whether a kind is namespaced, and whether it is known.
	Scope func(object.GroupKind) (namespaced, known bool)
}

// Rendered is what a Renderer gives.
type Rendered struct {
	Set object.Set
	// Engine that was used: plain, kustomize or helm.
	Engine   string
	Warnings []string
	// Inputs is the digest of everything that was read for the set: files of the
	// repository and charts, by content. Unlike a commit it stays the same while
	// they do.
	Inputs string
	// Reads are the files and directories of the repository that were read: see
	// source.Recorder.Reads. nil says that it is not known what was.
	Reads []source.Entry
	// Chart is the registry chart that was rendered, with its digest; nil when
	// none was.
	Chart *source.Chart
	// UsesServer: the cluster's version or kinds went into the set.
	UsesServer bool
	// Varying are the fields that differ from one rendering to the next, as JSON
	// pointers, and Nondeterministic what to do with them: keep, apply, refuse.
	Varying          map[object.ID][]string
	Nondeterministic string
}

// Cluster is the target of a run: what carrying out a plan needs, and what
// observing needs.
type Cluster interface {
	apply.Cluster

	// Identity gives the UID of the namespace kube-system, which names the
	// cluster for life.
	Identity(ctx context.Context) (string, error)
	// Recall tells what an earlier run learned of these kinds, so that List,
	// Metadata and Read of them need no discovery. The first Discover replaces all
	// of it, after which Recall does nothing. When a recalled kind is no longer
	// served where it was they fail with apply.ErrNoKind, which proves no absence:
	// Discover, and ask again.
	Recall(kinds map[object.GroupKind]plan.Kind)
	// Discover gives the kinds that the server serves, one look-up a run;
	// Established of apply.Cluster renews it, and so does fresh.
	Discover(ctx context.Context, fresh bool) (plan.Kinds, error)
	// List gives all objects of a kind that carry a label with
	// that value (empty: of all objects), in one namespace or, with namespace
	// "", in all. A list that did not come whole is an error.
	List(ctx context.Context, kind object.GroupKind, namespace, label, value string) (map[object.ID]plan.Listed, error)
	// Read gives one whole object, or apply.ErrNotFound.
	Read(ctx context.Context, id object.ID, version string) (map[string]any, plan.Meta, error)
	// DryRun asks the server what applying o would give. What the server says
	// against the object is in the answer; an error means that it did not answer.
	// Without a Target the answer lacks the content.
	DryRun(ctx context.Context, o object.Object, at apply.Target, force bool) (plan.DryRun, error)
	// Requests counts what was sent so far, by verb (get, list, patch, …).
	Requests() map[string]int64
}

// Witness is the one object in the target cluster that knows a ledger's lineage
// and newest epoch.
type Witness interface {
	// ReadWitness gives it, or apply.ErrNotFound.
	ReadWitness(ctx context.Context) (apply.Witness, error)
	// WriteWitness writes it over exactly the version that w names, and makes it
	// when that is empty; otherwise apply.ErrConflict.
	WriteWitness(ctx context.Context, w apply.Witness) error
}

// Event is one step of a run, for people who watch.
type Event struct {
	Stage string
	App   string
	// Change is set for each change that was carried out.
	Change  *plan.Change
	Outcome string
	Message string
	// Done of Total changes are carried out, where that is known.
	Done, Total int
}
