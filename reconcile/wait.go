package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/health"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// Wait says what an app waits for after it was applied, and how long.
type Wait struct {
	// All: every object of the app.
	All bool
	// For are further objects, which need not be the app's. One without a
	// namespace, of a kind that has them, is in the app's.
	For []object.ID
	// Timeout bounds the wait, from the first apply until everything is healthy,
	// however many runs that takes; 0 is 5 minutes.
	Timeout time.Duration
	// Checks judge kinds that do not speak for themselves.
	Checks health.Checks
}

// On says whether the app waits for anything.
func (w Wait) On() bool { return w.All || len(w.For) > 0 }

func (w Wait) timeout() time.Duration {
	if w.Timeout <= 0 {
		return 5 * time.Minute
	}
	return w.Timeout
}

// lookTime is how long a first look may take when there is no time left to wait.
const lookTime = 30 * time.Second

// await waits until all of these objects are current, or one of them has failed,
// or the others may not be looked at, or until is past, or the wanted revision moves, or the context ends; and says how each of them is, in the
// order of ids. What was applied in this run is judged only as it became by that.
//
// It sends one WATCH a kind, which it shares with every other await of the run.
// Kinds on which nothing works are not looked at: what was applied is there.
func (r *runner) await(ctx context.Context, l *ledger, a *app, ids []object.ID, until time.Time) []health.Status {
	w := vigil{app: a, label: l.label, statuses: make([]health.Status, len(ids)), turns: make([]int, len(ids)), unseen: make([]bool, len(ids)), known: a.metas()}
	for i, id := range ids {
		w.statuses[i] = health.Status{ID: id, State: health.Unknown, Message: notSeen}
		if w.member(id) && a.Wait.Checks.Immediate(id.GroupKind()) {
			w.statuses[i].State, w.statuses[i].Message = health.Current, "it exists"
		}
	}
	if l.watches == nil {
		for i := range w.statuses {
			w.statuses[i].State, w.statuses[i].Message = health.Current, "nobody looks"
		}
	}
	if w.over() {
		return w.statuses
	}
	l.watches.asking.Do(l.watches.ask)
	left := until.Sub(r.job.Now())
	timer, last := time.NewTimer(left), time.NewTimer(max(left, 0)+lookTime)
	defer timer.Stop()
	defer last.Stop()
	for late := false; ; {
		for _, of := range w.scopes(l.watches) {
			l.watches.open(of)
		}
		moved := l.watches.looking(w.look)
		if w.over() || late && w.seen() {
			return w.statuses
		}
		select {
		case <-moved:
		case <-timer.C:
			late = true
		case <-last.C:
			return w.statuses
		case <-l.watches.outdated:
			return w.statuses
		case <-ctx.Done():
			return w.statuses
		}
	}
}

// vigil is one await.
type vigil struct {
	app      *app
	label    string
	statuses []health.Status
	// turns are those of the objects that the statuses were judged on.
	turns []int
	// unseen are the objects that nobody will be shown, since their watch failed.
	unseen []bool
	known  map[object.ID]plan.Meta
}

// over says whether there is nothing more to wait for: all are current, or one
// has failed and the others were looked at, or nothing more will be shown.
func (w *vigil) over() bool {
	return !slices.ContainsFunc(w.statuses, func(s health.Status) bool { return s.State != health.Current }) ||
		w.seen() && slices.ContainsFunc(w.statuses, func(s health.Status) bool { return s.State == health.Failed }) ||
		w.blind()
}

// blind says whether nothing more will be shown of any object that is not
// current: their watches have failed, as they do without the right to watch.
func (w *vigil) blind() bool {
	for i, s := range w.statuses {
		if s.State != health.Current && !w.unseen[i] {
			return false
		}
	}
	return true
}

// seen says whether every object was looked at.
func (w *vigil) seen() bool {
	return !slices.ContainsFunc(w.statuses, func(s health.Status) bool { return s.Message == notSeen })
}

// member says whether an object bears our label, so that the watch of its kind
// shows it.
func (w *vigil) member(id object.ID) bool {
	_, wanted := w.app.want.Get(id)
	return wanted || w.app.isHook(id)
}

// scope says which watch shows an object.
func (w *vigil) scope(id object.ID, scopes map[health.Scope]*watch) health.Scope {
	version := w.app.Wait.Checks.Version(id.GroupKind())
	of := health.Scope{Kind: id.GroupKind(), Version: version, Label: object.LabelLedger, Value: w.label}
	if !w.member(id) {
		return health.Scope{Kind: id.GroupKind(), Version: version, Namespace: id.Namespace, Name: id.Name}
	}
	if at := scopes[of]; at != nil && errors.Is(at.failed, apply.ErrForbidden) {
		// Rights may end at namespaces.
		of.Namespace = id.Namespace
	}
	return of
}

// scopes are the watches that are needed now.
func (w *vigil) scopes(all *watches) []health.Scope {
	var needed []health.Scope
	all.looking(func(scopes map[health.Scope]*watch) {
		for _, s := range w.statuses {
			if s.State == health.Current && w.app.Wait.Checks.Immediate(s.ID.GroupKind()) && w.member(s.ID) {
				continue
			}
			if of := w.scope(s.ID, scopes); scopes[of] == nil && !slices.Contains(needed, of) {
				needed = append(needed, of)
			}
		}
	})
	return needed
}

// look judges what was shown since the last look.
func (w *vigil) look(scopes map[health.Scope]*watch) {
	for i, before := range w.statuses {
		id := before.ID
		at := scopes[w.scope(id, scopes)]
		switch {
		case at == nil: // of a kind that nobody looks at, or yet to be opened
		case at.failed != nil:
			w.statuses[i].State, w.statuses[i].Message, w.unseen[i] = health.Unknown, at.failed.Error(), true
		case !at.shown:
		default:
			seen := at.objects[id]
			if w.turns[i] == seen.turn && seen.turn > 0 {
				continue
			}
			w.turns[i] = seen.turn
			w.statuses[i] = w.judge(id, seen.content, before)
		}
	}
}

// judge says how one object is.
func (w *vigil) judge(id object.ID, content map[string]any, before health.Status) health.Status {
	if content == nil && w.leaves(id, before) {
		return health.Status{ID: id, State: health.Current, Message: "it is done and was removed, as its ttlSecondsAfterFinished wants"}
	}
	if meta, known := w.known[id]; known && content != nil && older(content, meta) {
		return health.Status{ID: id, State: health.InProgress, Message: "it was not seen since it was applied"}
	}
	s := health.Judge(content, w.app.Wait.Checks)
	s.ID = id
	return s
}

// leaves says whether a Job may be gone: it was done, or its end is not known
// because the control plane removed it.
func (w *vigil) leaves(id object.ID, before health.Status) bool {
	if id.Group != "batch" || id.Kind != "Job" {
		return false
	}
	want, _ := w.app.want.Get(id)
	spec, _ := want.Content()["spec"].(map[string]any)
	_, leaves := spec["ttlSecondsAfterFinished"]
	return leaves || before.State == health.Current
}

// notSeen is said of an object before it was looked at.
const notSeen = "it was not looked at yet"

// metas are the objects of an app as this run left or found them.
func (a *app) metas() map[object.ID]plan.Meta {
	metas := map[object.ID]plan.Meta{}
	for id, live := range a.live {
		if live.State == plan.Present {
			metas[id] = live.Meta
		}
	}
	maps.Copy(metas, a.sent)
	return metas
}

// older says whether what was shown of an object is older than what is known of
// it. (The versions of objects of one kind can be compared where they are
// numbers, as the server's own are.)
func older(content map[string]any, known plan.Meta) bool {
	metadata, _ := content["metadata"].(map[string]any)
	version, _ := metadata["resourceVersion"].(string)
	seen, err := strconv.ParseUint(version, 10, 64)
	last, err2 := strconv.ParseUint(known.ResourceVersion, 10, 64)
	if err == nil && err2 == nil {
		return seen < last
	}
	generation, _ := metadata["generation"].(int64)
	return metadata["uid"] == known.UID && generation < known.Generation
}
