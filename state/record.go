package state

import (
	"time"

	"tidemark.dev/tidemark/render/object"
)

// Record is the audit entry of one run. Its field names are a contract. Append
// and Settle fill Format, Seq, Previous, Run, Lineage, Epoch, Interrupted, Folded
// and Dropped; the caller fills the rest.
type Record struct {
	Format int `json:"format"`
	// Seq numbers the records of a ledger from 1, without gaps.
	Seq uint64 `json:"seq"`
	// Previous is the SHA-256 of the bytes of the record before, empty in the
	// first.
	Previous string `json:"previous"`
	Run      string `json:"run"`
	Lineage  string `json:"lineage"`
	// Epoch is that of the head which this record came with: the run's own when
	// it held the lease.
	Epoch uint64 `json:"epoch"`
	// Trigger is schedule, manual, http, lambda, ci or cli.
	Trigger  string    `json:"trigger"`
	Actor    string    `json:"actor"`
	Tool     string    `json:"tool"`
	Config   string    `json:"config"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Verdict  Verdict   `json:"verdict"`
	Exit     int       `json:"exit"`
	// Command is what a person asked of the ledger (approve, suspend, resume, …);
	// empty for a run.
	Command string `json:"command,omitempty"`
	// Message says in a sentence what went wrong, empty when nothing did.
	Message string `json:"message,omitempty"`
	// Interrupted are the runs taken over from, oldest first; more than one when
	// the run that took over died too.
	Interrupted []string    `json:"interrupted,omitempty"`
	Apps        []AppRecord `json:"apps"`
	Warnings    []string    `json:"warnings,omitempty"`
	// Folded counts the unchanged runs between the record before and this one
	// that left no record of their own.
	Folded *Folded `json:"folded,omitempty"`
	// Dropped are the runs whose blobs the head ceased to name with this record.
	Dropped []string `json:"dropped,omitempty"`
	Cost    Cost     `json:"cost"`
}

// Verdict is how a run, or one app in it, went.
type Verdict string

// The verdicts.
const (
	Changed     Verdict = "changed"
	Unchanged   Verdict = "unchanged"
	Refused     Verdict = "refused"
	Waiting     Verdict = "waiting"
	Partial     Verdict = "partial"
	Failed      Verdict = "failed"
	Skipped     Verdict = "skipped"
	Interrupted Verdict = "interrupted"
	RolledBack  Verdict = "rolled-back"
)

// AppRecord is what happened to one app.
type AppRecord struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Message string  `json:"message,omitempty"`
	// Revision and Chart are those the run wanted; From is the revision (or the
	// chart's version) that was applied before.
	Revision *Revision `json:"revision,omitempty"`
	Chart    *Chart    `json:"chart,omitempty"`
	From     string    `json:"from,omitempty"`
	// Engine rendered the app: plain, kustomize or helm; empty when nothing had
	// to be rendered.
	Engine   string `json:"engine,omitempty"`
	PlanHash string `json:"planHash,omitempty"`
	// Plan is the plan that was carried out, and Set the app's StoredSet from then
	// on; nil when the run carried out none, or left the set as it was. Both may
	// have been collected since.
	Plan *Ref `json:"plan,omitempty"`
	Set  *Ref `json:"set,omitempty"`
	// Approved says who let the plan pass, when and why.
	Approved *Approval `json:"approved,omitempty"`
	// Proposal is where the plan is kept that waits for approval.
	Proposal *Ref   `json:"proposal,omitempty"`
	Counts   Counts `json:"counts"`
	// Health is what was found after the app was applied; nil where nobody looked.
	Health   *AppHealth `json:"health,omitempty"`
	Changes  []Change   `json:"changes,omitempty"`
	Refusals []Refusal  `json:"refusals,omitempty"`
	// Contested are objects that drift back run after run.
	Contested []Contest `json:"contested,omitempty"`
	Warnings  []string  `json:"warnings,omitempty"`
}

// Counts are the numbers of objects by what became of them.
type Counts struct {
	Created   int `json:"created"`
	Changed   int `json:"changed"`
	Pruned    int `json:"pruned"`
	Adopted   int `json:"adopted"`
	Unchanged int `json:"unchanged"`
	Drifted   int `json:"drifted"`
	Failed    int `json:"failed"`
	Deferred  int `json:"deferred"`
	Kept      int `json:"kept"`
}

// Change is one change and what came of it.
type Change struct {
	ID      object.ID `json:"id"`
	Action  string    `json:"action"`
	Reason  string    `json:"reason"`
	Outcome string    `json:"outcome"`
	Message string    `json:"message,omitempty"`
}

// Refusal is why an app was not acted on.
type Refusal struct {
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	PlanHash string `json:"planHash,omitempty"`
}

// Folded is a count of unchanged runs.
type Folded struct {
	Runs int `json:"runs"`
	// First and Last are when the first and the last of them finished.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Cost is what a run took.
type Cost struct {
	// KubernetesRequests counts by verb.
	KubernetesRequests map[string]int64 `json:"kubernetesRequests,omitempty"`
	StoreRequests      int64            `json:"storeRequests"`
	GitRequests        int64            `json:"gitRequests"`
	// GitBytes is what came from all git servers, as it came: compressed.
	GitBytes int64 `json:"gitBytes"`
	// Fetches are the commits that were fetched from servers or read in place.
	Fetches []Fetch `json:"fetches,omitempty"`
	// Renders counts the apps that were rendered.
	Renders         int64              `json:"renders"`
	Seconds         float64            `json:"seconds"`
	Stages          map[string]float64 `json:"stages,omitempty"`
	PeakMemoryBytes int64              `json:"peakMemoryBytes"`
}

// The ways in which a commit is fetched.
const (
	// FetchPartial: the commit and its directories first, files as they are read.
	FetchPartial = "partial"
	// FetchWhole: everything at once.
	FetchWhole = "whole"
)

// Fetch is one commit that was fetched, by what it took.
type Fetch struct {
	Repo   string `json:"repo"`
	Commit string `json:"commit"`
	// Way is FetchPartial or FetchWhole; Note says why it was not the former, or why
	// all directories came and not only those that are read.
	Way  string `json:"way"`
	Note string `json:"note,omitempty"`
	// Requests and Bytes are those for this commit, without the look-up of refs.
	Requests int64 `json:"requests"`
	Bytes    int64 `json:"bytes"`
}
