package apply

import (
	"sync"

	"tidemark.dev/tidemark/reconcile/plan"
)

// Verdict says what became of one change.
type Verdict string

// The verdicts on changes.
const (
	Created    Verdict = "created"
	Changed    Verdict = "changed"
	Adopted    Verdict = "adopted"
	Replaced   Verdict = "replaced"
	Pruned     Verdict = "pruned"
	Fenced     Verdict = "fenced"
	HandedOver Verdict = "handed-over"
	Kept       Verdict = "kept"
	Forgotten  Verdict = "forgotten"
	// Ran: a hook ended well.
	Ran Verdict = "ran"
	// Spared: a hook that only runs after a failure, and there was none.
	Spared Verdict = "not-needed"
	// Pending: a hook has not ended yet; the next run waits on.
	Pending Verdict = "pending"
	// Reported: drift that is left in place.
	Reported Verdict = "reported"
	// Deferred: it could not be applied yet.
	Deferred Verdict = "deferred"
	Failed   Verdict = "failed"
	// Moved: the object changed between plan and apply; the next run plans anew.
	Moved Verdict = "moved"
	// TakenFirst: somebody else created the object between plan and apply.
	TakenFirst Verdict = "foreign"
	// Unknown: the request was sent and never answered.
	Unknown Verdict = "unknown"
	// Unsent: the run ended before the request was sent.
	Unsent Verdict = "unsent"
	// Held: what must come first is not done: of a prune, every apply of the app; of
	// a wave, those before it; of what depends on others, those.
	Held Verdict = "held"
)

// Outcome is what became of one change.
type Outcome struct {
	Change  plan.Change `json:"change"`
	Verdict Verdict     `json:"verdict"`
	Message string      `json:"message,omitempty"`
	// Meta is what the server answered last about the object, zero when it
	// answered nothing or the object is gone.
	Meta plan.Meta `json:"-"`
	// Gone: a pruned object was seen to be absent, or replaced by another one;
	// else its finalizers still hold it.
	Gone bool `json:"gone,omitempty"`
	// Ended: a hook that failed by itself, and will not go on.
	Ended bool `json:"ended,omitempty"`
}

// Result is what became of a plan: one Outcome per change, in the plan's order.
type Result struct {
	App      string    `json:"app"`
	Outcomes []Outcome `json:"outcomes"`
}

// Complete says whether everything the plan wanted is done. What the inventory
// keeps on purpose does not stand against it.
func (r Result) Complete() bool {
	for _, o := range r.Outcomes {
		if !o.Verdict.Done() {
			return false
		}
	}
	return true
}

// Done says whether a change is what it should be: carried out, or left on
// purpose.
func (v Verdict) Done() bool {
	switch v {
	case Created, Changed, Adopted, Replaced, Pruned, Fenced, HandedOver, Kept, Forgotten, Reported, Ran, Spared:
		return true
	case Deferred, Failed, Moved, TakenFirst, Unknown, Unsent, Held, Pending:
	}
	return false
}

// Applied remembers the UIDs that one run applied, or tried to, over all its apps: such an
// object is never deleted in the same run, even under another name of its kind
// (an Ingress is served in two API groups). It is safe for concurrent use.
type Applied struct {
	mu   sync.Mutex
	uids map[string]bool
}

// Add remembers a UID, before it is sent or as soon as it is known.
func (a *Applied) Add(uid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.uids == nil {
		a.uids = map[string]bool{}
	}
	a.uids[uid] = true
}

func (a *Applied) has(uid string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.uids[uid]
}
