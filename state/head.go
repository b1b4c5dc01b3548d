package state

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Format is the version of everything this package writes. A ledger of a newer
// format is refused with ErrNewer.
const Format = 1

// Head is the ledger's one mutable object: pointers only, small. It is a value;
// the pointers in it are never written through.
type Head struct {
	Format int `json:"format"`
	// Lineage names the ledger for life; it is drawn by the first run.
	Lineage string `json:"lineage"`
	// Cluster is the UID of the target's namespace kube-system.
	Cluster string `json:"cluster"`
	// Config is the digest of the configuration under which the head was
	// written last.
	Config string `json:"config,omitempty"`
	// Committed is the configuration that was read from a repository last; nil
	// when it does not stand in one.
	Committed *Committed `json:"committed,omitempty"`
	// Seq counts the writes of the head, of any kind; with Nonce it makes each
	// version's bytes unique. 0 means that there is no head yet. Records are
	// counted by Audit.Seq.
	Seq   uint64 `json:"seq"`
	Nonce string `json:"nonce"`
	// Epoch is the fence: it rises with each Claim and never falls.
	Epoch uint64 `json:"epoch"`
	// Heard is the newest epoch of a run that heard the target cluster's witness
	// before it took the lease, and so may have written it. A witness above it
	// knows more than this head. Approvals and the like raise Epoch alone.
	Heard uint64 `json:"heard,omitempty"`
	// Witnessed is the newest epoch that is known to stand in the target
	// cluster's witness. A witness below it was restored from a backup.
	Witnessed uint64 `json:"witnessed,omitempty"`
	Lease     Lease  `json:"lease"`
	// Observed is the ledger's Observation and Reads its Reads, nil when there is
	// none.
	Observed *Ref `json:"observed"`
	Reads    *Ref `json:"reads,omitempty"`
	// Freeze suspends every app, nil when none does.
	Freeze *Suspension    `json:"freeze,omitempty"`
	Apps   map[string]App `json:"apps"`
	Audit  Audit          `json:"audit"`
	// Sum is the SHA-256 over the head's bytes with this field empty.
	Sum string `json:"sum"`

	// Stamp is the store's word on this version of the head. It is not stored.
	Stamp Stamp `json:"-"`
}

// Lease is the right to act, until a deadline that each reader works out by
// watching: Renewed is for people and decides nothing.
type Lease struct {
	// Run and Holder say who has the lease or, when it is free, had it last.
	Run     string    `json:"run"`
	Holder  string    `json:"holder"`
	TTL     Duration  `json:"ttl"`
	Renewed time.Time `json:"renewed,omitzero"`
	Free    bool      `json:"free"`
	// Interrupted are the runs whose lease was taken over and that no record
	// names yet, oldest first.
	Interrupted []string `json:"interrupted,omitempty"`
}

// App is what the ledger knows of one app.
type App struct {
	// Revision and Chart are those last applied with full success.
	Revision *Revision `json:"revision"`
	Chart    *Chart    `json:"chart,omitempty"`
	// Inputs is the digest over everything the last rendering depended on.
	Inputs string `json:"inputs"`
	// Inventory lists what may exist, nil before the first Claim.
	Inventory *Ref `json:"inventory"`
	// Plan is being carried out; nil when none is. A plan that stays in a head
	// whose lease was freed or ran out is never replayed.
	Plan *Ref `json:"plan"`
	// Set is the StoredSet of the last plan that was carried out, also in part, and
	// Result what came of that plan.
	Set    *Ref `json:"set,omitempty"`
	Result *Ref `json:"result"`
	// Health is what was last found of its objects, empty where nobody waits for
	// it; Waiting is since when it is waited for, until it is healthy.
	Health  Health    `json:"health,omitempty"`
	Waiting time.Time `json:"waiting,omitzero"`
	// Left: the app left the configuration, and its objects stay until somebody says
	// what is to become of them.
	Left bool `json:"left,omitempty"`
	// Kept are sets that can be gone back to, the newest first, and Present is the
	// digest of the one that was applied last, in full or not; both digests as in
	// Kept.
	Kept    []Kept `json:"kept,omitempty"`
	Present string `json:"present,omitempty"`
	// NewCluster: the ledger was told of another cluster, and no run of the app
	// succeeded there yet. Until one did, nothing of it is pruned.
	NewCluster bool `json:"newCluster,omitempty"`
	// Contests are objects that the last runs put right, each time.
	Contests []Contest `json:"contests,omitempty"`
	// Hooks are those that ended for what the app wants; nil when none did.
	Hooks *Hooks `json:"hooks,omitempty"`
	// Quarantine names inputs that are not to be tried again, Pin a set to stay at, Approval a plan that may pass its guards once.
	Quarantine *Quarantine `json:"quarantine,omitempty"`
	Pin        *Pin        `json:"pin,omitempty"`
	Approval   *Approval   `json:"approval,omitempty"`
	// Proposal is a plan that waits for approval.
	Proposal *Proposal `json:"proposal,omitempty"`
	// Suspend keeps runs from acting on the app.
	Suspend *Suspension `json:"suspend,omitempty"`
}

// Committed names a configuration that stands in a repository, so that a run at
// the same commit need not fetch it.
type Committed struct {
	Repo   string `json:"repo"`
	Commit string `json:"commit"`
	Path   string `json:"path"`
	// Text is the file as it was read.
	Text Ref `json:"text"`
}

// Ref names an immutable blob of a run.
type Ref struct {
	// Path is relative to the ledger: "runs/<run id>/<name>".
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Run gives the id of the run that wrote the blob.
func (r Ref) Run() string {
	rest, _ := strings.CutPrefix(r.Path, runsPrefix)
	run, _, _ := strings.Cut(rest, "/")
	return run
}

// Revision is one commit of one repository.
type Revision struct {
	Repo    string `json:"repo"`
	Ref     string `json:"ref,omitempty"`
	Commit  string `json:"commit"`
	Author  string `json:"author,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// Chart is one version of a registry chart.
type Chart struct {
	Repo    string `json:"repo,omitempty"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest,omitempty"`
}

// Quarantine says which inputs of an app are not tried again, and why.
type Quarantine struct {
	Commit string `json:"commit,omitempty"`
	// Inputs is the digest of App.Inputs, Content the one of what was read, which
	// stays the same when a commit touches nothing of it.
	Inputs  string    `json:"inputs,omitempty"`
	Content string    `json:"content,omitempty"`
	Reason  string    `json:"reason"`
	Run     string    `json:"run"`
	Since   time.Time `json:"since"`
	// Set is what the app was taken back to.
	Set *Kept `json:"set,omitempty"`
}

// Pin keeps an app at a set that it had before.
type Pin struct {
	Revision *Revision `json:"revision,omitempty"`
	// Set is what the app is kept at.
	Set    *Kept     `json:"set,omitempty"`
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"`
	Since  time.Time `json:"since"`
	// Until is when it ends by itself; zero is never.
	Until time.Time `json:"until,omitzero"`
	// UntilChange: it ends when the app's inputs are others than Inputs, which a run
	// fills in that finds it empty; and, where Content is known, only when these are
	// made of something else, as KeptSet.Inputs tells.
	UntilChange bool   `json:"untilChange,omitempty"`
	Inputs      string `json:"inputs,omitempty"`
	Content     string `json:"content,omitempty"`
}

// Approval lets the plan with this hash pass once, what stands against it
// notwithstanding.
type Approval struct {
	PlanHash string `json:"planHash"`
	// Reason and Actor are, of a commit that approves, its subject and author.
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"`
	Since  time.Time `json:"since"`
	// Commit is the one that approved it, and Committer who made it; empty when a
	// person did so by a command.
	Commit    string `json:"commit,omitempty"`
	Committer string `json:"committer,omitempty"`
}

// Audit points at the newest record of the chain.
type Audit struct {
	// Seq is the number of the newest record, 0 when there is none.
	Seq uint64 `json:"seq"`
	// Hash is the SHA-256 of the newest record's bytes.
	Hash string `json:"hash"`
	// Inline is the newest record itself when it is under 8 KiB; otherwise Path
	// names its blob.
	Inline json.RawMessage `json:"inline,omitempty"`
	Path   string          `json:"path,omitempty"`
	// Verdict and Finished are the newest record's.
	Verdict  Verdict   `json:"verdict"`
	Finished time.Time `json:"finished,omitzero"`
	// Folded counts the unchanged runs since the newest record; the next record
	// takes it over.
	Folded *Folded `json:"folded,omitempty"`
	// Dropped are the runs whose blobs the head ceased to name since the newest
	// record; the next record takes them over.
	Dropped []string `json:"dropped,omitempty"`
	// Swept is the number of the newest record whose Dropped were collected.
	Swept uint64 `json:"swept,omitempty"`
	// Oldest is when the run of the record after it finished; zero when that is
	// not known.
	Oldest time.Time `json:"oldest,omitzero"`
}

// Open says whether a plan was left open in the head.
func (h Head) Open() bool {
	for _, app := range h.Apps {
		if app.Plan != nil {
			return true
		}
	}
	return false
}

// Idle says whether a run may go on without waiting: there is no head, or its
// lease is free and no plan is open.
func (h Head) Idle() bool {
	return h.Seq == 0 || h.Lease.Free && !h.Open()
}

// Runs gives the ids of the runs whose blobs the head names, sorted.
func (h Head) Runs() []string {
	named := map[string]bool{}
	for _, ref := range h.refs() {
		named[ref.Run()] = true
	}
	return slices.Sorted(maps.Keys(named))
}

// refs gives every blob that the head names.
func (h Head) refs() []Ref {
	var refs []Ref
	add := func(all ...*Ref) {
		for _, ref := range all {
			if ref != nil {
				refs = append(refs, *ref)
			}
		}
	}
	add(h.Observed, h.Reads)
	if h.Committed != nil {
		add(&h.Committed.Text)
	}
	for _, app := range h.Apps {
		add(app.Inventory, app.Plan, app.Set, app.Result)
		for _, kept := range app.kept() {
			add(&kept.Set, &kept.Rest)
		}
		if app.Proposal != nil {
			add(&app.Proposal.Plan)
		}
	}
	if h.Audit.Path != "" {
		add(&Ref{Path: h.Audit.Path, SHA256: h.Audit.Hash})
	}
	return refs
}

// kept gives every set that the app may go back to.
func (a App) kept() []Kept {
	kept := slices.Clone(a.Kept)
	if a.Pin != nil && a.Pin.Set != nil {
		kept = append(kept, *a.Pin.Set)
	}
	if a.Quarantine != nil && a.Quarantine.Set != nil {
		kept = append(kept, *a.Quarantine.Set)
	}
	return kept
}

// clone gives a head whose maps and slices may be edited.
func (h Head) clone() Head {
	apps := maps.Clone(h.Apps)
	if apps == nil {
		apps = map[string]App{}
	}
	h.Apps = apps
	h.Audit.Dropped = slices.Clone(h.Audit.Dropped)
	h.Lease.Interrupted = slices.Clone(h.Lease.Interrupted)
	return h
}
