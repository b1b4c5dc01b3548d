package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/state"
)

// Approval lets one plan pass the guards that ask for it, once.
type Approval struct {
	// Hash of the plan, or the beginning of it (8 digits at least).
	Hash string
	// App is needed only, together with the whole hash, when no record of the
	// ledger names it, such as that of a plan which was only shown.
	App                  string
	Reason               string
	Trigger, Actor, Tool string
	LockTimeout          time.Duration
	Now                  func() time.Time
}

// shortestHash is how many digits of a plan's hash name it.
const shortestHash = 8

// recent is how many records are searched for a plan's hash.
const recent = 50

// Approve notes in the ledger that the next run may carry out exactly the plan
// with this hash. It takes the lease like a run, and leaves a record that names
// who approved what, and why. An approval that is already there is replaced.
func Approve(ctx context.Context, ledger *state.Ledger, a Approval) (state.Record, error) {
	if a.Reason == "" {
		return state.Record{}, errors.New("approve: give a reason")
	}
	began := a.Now()
	head, err := ledger.Load(ctx)
	if err != nil {
		return state.Record{}, fmt.Errorf("approve: %w", err)
	}
	if !head.Idle() {
		waited, err := ledger.Wait(ctx, head, a.LockTimeout)
		if err != nil {
			return state.Record{}, fmt.Errorf("approve: %w", err)
		}
		if head = waited.Head; !head.Idle() {
			return state.Record{}, fmt.Errorf("approve: %w", &state.HeldError{Head: head})
		}
	}
	app, hash, err := waiting(ctx, ledger, head, a)
	if err != nil {
		return state.Record{}, fmt.Errorf("approve: %w", err)
	}
	// From here on a signal must not leave a lease that nobody can take for a while.
	ctx, done := lasting(ctx)
	defer done()
	approval := &state.Approval{PlanHash: hash, Reason: a.Reason, Actor: a.Actor, Since: began.UTC()}
	tenure, err := ledger.Claim(ctx, head, func(h *state.Head) {
		entry := h.Apps[app]
		entry.Approval = approval
		h.Apps[app] = entry
	})
	if err != nil {
		return state.Record{}, fmt.Errorf("approve: %w", err)
	}
	_, record, err := tenure.Settle(ctx, state.Record{
		Trigger: a.Trigger, Actor: a.Actor, Tool: a.Tool, Config: head.Config,
		Started: began.UTC(), Finished: a.Now().UTC(), Verdict: state.Waiting, Command: "approve",
		Message: fmt.Sprintf("%s approved the plan %s of the app %s: %s", a.Actor, hash, app, a.Reason),
		Apps:    []state.AppRecord{{Name: app, Verdict: state.Waiting, PlanHash: hash, Approved: approval}},
	}, func(*state.Head) {})
	if err != nil {
		return state.Record{}, fmt.Errorf("approve: %w", err)
	}
	return record, nil
}

// waiting finds the app whose newest plan has the hash.
func waiting(ctx context.Context, ledger *state.Ledger, head state.Head, a Approval) (app, hash string, err error) {
	if a.App != "" {
		if _, known := head.Apps[a.App]; !known && head.Seq > 0 && len(head.Apps) > 0 {
			return "", "", fmt.Errorf("the ledger has no app %q", a.App)
		}
		if len(a.Hash) == 64 {
			return a.App, a.Hash, nil
		}
	}
	if len(a.Hash) < shortestHash {
		return "", "", fmt.Errorf("%q is too short: give %d digits of the plan's hash at least", a.Hash, shortestHash)
	}
	for name, known := range head.Apps {
		if p := known.Proposal; p != nil && strings.HasPrefix(p.PlanHash, a.Hash) && (a.App == "" || a.App == name) {
			return name, p.PlanHash, nil
		}
	}
	records, err := ledger.History(ctx, recent)
	if err != nil {
		return "", "", err
	}
	var open []string
	stale := ""
	newest := map[string]bool{}
	for _, record := range records {
		for _, entry := range record.Apps {
			if entry.PlanHash == "" || record.Command != "" || a.App != "" && entry.Name != a.App {
				continue
			}
			matches := strings.HasPrefix(entry.PlanHash, a.Hash)
			switch {
			case matches && !newest[entry.Name]:
				return entry.Name, entry.PlanHash, nil
			case matches:
				stale = entry.Name
			case !newest[entry.Name] && (entry.Verdict == state.Refused || entry.Proposal != nil):
				open = append(open, fmt.Sprintf("%s (%s)", entry.PlanHash, entry.Name))
			}
			newest[entry.Name] = true
		}
	}
	slices.Sort(open)
	text := "no plan waits for approval"
	if len(open) > 0 {
		text = "these wait for approval: " + strings.Join(open, ", ")
	}
	if stale != "" {
		return "", "", fmt.Errorf("the plan %s of the app %s is no longer the newest; %s", a.Hash, stale, text)
	}
	return "", "", fmt.Errorf("no record of this ledger names a plan %s; %s", a.Hash, text)
}
