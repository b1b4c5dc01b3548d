// Package plan decides. Make compares what an app wants, what the ledger owns
// and what the cluster holds, and gives the ordered changes that close the gap,
// each with its reason, and the refusals that stand against carrying them out.
//
// Laws: deciding is pure: equal inputs give an equal plan; nothing here reads a
// clock, a file or the network. An object is pruned only on proof that it is
// ours, and forgotten only on proof that it is gone.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// Action is what a change does.
type Action string

// The actions.
const (
	// Create makes an object that is absent.
	Create Action = "create"
	// Update changes an object of ours.
	Update Action = "change"
	// Adopt takes over an object that exists and bears no other tool's marks,
	// or those that the app may take over.
	Adopt Action = "adopt"
	// Prune deletes an object that left the set.
	Prune Action = "prune"
	// Replace deletes an object of which fields cannot be changed, and makes it
	// again.
	Replace Action = "replace"
	// HandOver gives an object to another app of the ledger that wants it.
	HandOver Action = "hand-over"
	// Keep leaves an object that left the set but may not be pruned.
	Keep Action = "keep"
	// Forget takes an object that is gone, or another's, off the inventory.
	Forget Action = "forget"
	// Defer puts an object off that cannot be applied now.
	Defer Action = "defer"
	// Report shows drift that the app's configuration leaves in place.
	Report Action = "report"
	// Run makes a hook anew: what is left of it from before is deleted first.
	Run Action = "run"
	// Await waits for a hook that a run before began.
	Await Action = "await"
	// Fence makes sure that no request of a run before changes an object any more.
	// It stands in no plan: what is in doubt is fenced before a plan is carried out.
	Fence Action = "fence"
)

// Reason is why a change is in a plan.
type Reason string

// The reasons.
const (
	ReasonNew         Reason = "new"          // not in the inventory, and absent
	ReasonDeleted     Reason = "deleted"      // ours, and somebody deleted it
	ReasonDesired     Reason = "desired"      // what is wanted changed
	ReasonDrift       Reason = "drift"        // what is live changed
	ReasonUnmanaged   Reason = "unmanaged"    // exists without marks
	ReasonForeign     Reason = "foreign"      // exists with marks that the app may take over
	ReasonRemoved     Reason = "removed"      // left the set
	ReasonWanted      Reason = "wanted"       // another app of the ledger wants it
	ReasonOptedOut    Reason = "opted-out"    // an annotation forbids pruning
	ReasonSystem      Reason = "system"       // a namespace of the cluster itself
	ReasonDisagrees   Reason = "disagrees"    // inventory and marks do not name the same owner
	ReasonGone        Reason = "gone"         // proven absent
	ReasonTaken       Reason = "taken"        // another owner's now
	ReasonRenamed     Reason = "renamed"      // the same object goes by another ID
	ReasonTerminating Reason = "terminating"  // being deleted
	ReasonNoKind      Reason = "unknown-kind" // the server does not serve the kind
	ReasonNoProof     Reason = "no-proof"     // the cluster could not tell
	ReasonMarked      Reason = "marked"       // bears this ledger's marks, and is in no inventory
	ReasonConflict    Reason = "conflict"     // another manager owns fields of it
	ReasonKindComes   Reason = "kind-comes"   // its CustomResourceDefinition is in the same plan
	ReasonDoubt       Reason = "in-doubt"     // a request of a run before may be on its way
	ReasonHook        Reason = "hook"         // a hook, which nobody deletes
	ReasonBegun       Reason = "begun"        // a hook that a run before began
	ReasonFailed      Reason = "failed"       // a hook that failed in a run before
	ReasonDetached    Reason = "detached"     // a person lets go of it
	ReasonNoData      Reason = "no-data"      // a Secret of a kept set, without its data
	ReasonLeft        Reason = "left"         // its app left the configuration
	ReasonNewCluster  Reason = "new-cluster"  // left the set, and no run succeeded in this cluster yet
)

// Change is one step of a plan.
type Change struct {
	ID      object.ID `json:"id"`
	Version string    `json:"version"`
	Action  Action    `json:"action"`
	Reason  Reason    `json:"reason"`
	// UID and ResourceVersion of the live object that was compared; empty for
	// one that is absent.
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	Generation      int64  `json:"generation,omitempty"`
	// Diff lists the fields that differ, Secret values masked.
	Diff []FieldDiff `json:"diff,omitempty"`
	// Losers names "manager: field" of those who lose a field to us.
	Losers []string `json:"losers,omitempty"`
	// Note is a warning for people: not validated, held back, and why.
	Note string `json:"note,omitempty"`
	// Origin is how an object that is created or adopted comes into the
	// inventory; empty for any other action.
	Origin state.Origin `json:"origin,omitempty"`
	// To names the app that an object is handed over to.
	To string `json:"to,omitempty"`
	// Hook is the stage of a hook: PreSync, Sync, PostSync or SyncFail; empty for
	// what is none.
	Hook string `json:"hook,omitempty"`
	// DeleteSucceeded and DeleteFailed: the hook is deleted after it ended so.
	DeleteSucceeded bool `json:"deleteSucceeded,omitempty"`
	DeleteFailed    bool `json:"deleteFailed,omitempty"`
	// Wave is the object's sync wave. The next one begins when everything of the
	// one before is applied and healthy; prunes go the other way round.
	Wave int `json:"wave,omitempty"`
	// Step counts the objects of the wave that come before it, one after the
	// other, because of Needs.
	Step int `json:"step,omitempty"`
	// Needs are the objects that it depends on by annotation: it is applied when
	// they are, and are healthy.
	Needs []object.ID `json:"needs,omitempty"`
}

// Refusal says why a plan must not be carried out.
type Refusal struct {
	// Reason is one word of the list in guards.go.
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// ID is the object it is about, zero when it is about the whole plan.
	ID object.ID `json:"id,omitzero"`
	// Approvable: approving the plan's hash lets it pass, once.
	Approvable bool `json:"approvable"`
}

// Plan is what one run would do for one app. It is a value: it can be shown,
// saved and compared.
type Plan struct {
	App string `json:"app"`
	// Engine rendered the set: plain, kustomize or helm.
	Engine    string    `json:"engine,omitempty"`
	Inputs    string    `json:"inputs"`
	SetDigest string    `json:"setDigest"`
	Changes   []Change  `json:"changes"`
	Refusals  []Refusal `json:"refusals,omitempty"`
	// Invalid lists objects that the server refuses, each with file and reason.
	Invalid   []string `json:"invalid,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Unchanged int      `json:"unchanged"`
	// Overlooked are objects whose drift is off: they may be otherwise than wanted.
	Overlooked map[object.ID]bool `json:"-"`
	// Approved: a guard or the configuration asked for approval, and this very plan
	// has it.
	Approved bool `json:"approved,omitempty"`
	// NeedsApproval: the app's configuration wants every plan approved, and this
	// one is not.
	NeedsApproval bool `json:"needsApproval,omitempty"`
	// Waits says why the plan is not carried out now although nothing is wrong
	// with it; empty when it may be. It is no part of the hash.
	Waits string `json:"waits,omitempty"`
	// Hash names the plan for approval: see Plan.Sign.
	Hash string `json:"hash"`
}

// Sign gives the plan with its hash: over app, inputs, set digest and, in
// order, each change's ID, action, reason, UID and field differences. A
// resourceVersion or commit is never part of it, so that noise in the cluster
// does not make an approval stale; nor is the value of a Secret.
func (p Plan) Sign() Plan {
	hash := sha256.New()
	encoder := json.NewEncoder(hash)
	_ = encoder.Encode([]string{p.App, p.Inputs, p.SetDigest})
	for _, c := range p.Changes {
		diff, _ := json.Marshal(signed(c.Diff))
		sum := sha256.Sum256(diff)
		parts := []string{c.ID.Mark(), string(c.Action), string(c.Reason), c.UID, hex.EncodeToString(sum[:])}
		if c.IsHook() {
			parts = append(parts, c.Hook)
		}
		_ = encoder.Encode(parts)
	}
	p.Hash = hex.EncodeToString(hash.Sum(nil))
	return p
}

// signed leaves the ledger's own label out of the differences: before the first
// run its value is another each time.
func signed(diff []FieldDiff) []FieldDiff {
	diff = slices.Clone(diff)
	for i := range diff {
		diff[i].Manager, diff[i].At = "", ""
	}
	return slices.DeleteFunc(diff, func(d FieldDiff) bool {
		return d.Path == "metadata.labels["+object.LabelLedger+"]"
	})
}

// Acts says whether carrying out the plan writes to the cluster.
func (p Plan) Acts() bool {
	return slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Action.Writes() || c.Action == Await })
}

// IsHook says whether the change is about a hook that is to run, or runs.
func (c Change) IsHook() bool { return c.Hook != "" }

// Writes says whether the action writes to the cluster.
func (a Action) Writes() bool {
	switch a {
	case Create, Update, Adopt, Replace, Prune, Run, Fence:
		return true
	case HandOver, Keep, Forget, Defer, Report, Await:
	}
	return false
}
