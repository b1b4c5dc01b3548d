package plan

import (
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// The annotations that make an object a hook.
const (
	annotationHook       = "argocd.argoproj.io/hook"
	annotationHookDelete = "argocd.argoproj.io/hook-delete-policy"
	helmHook             = "helm.sh/hook"
	helmHookDelete       = "helm.sh/hook-delete-policy"
	helmHookWeight       = "helm.sh/hook-weight"
	// AnnotationHook is ours: it names the desired set that a hook ran for.
	AnnotationHook = "tidemark.dev/hook"
)

// The stages of hooks, in Argo CD's words.
const (
	PreSync  = "PreSync"
	InSync   = "Sync"
	PostSync = "PostSync"
	SyncFail = "SyncFail"
)

// Hook is an object that is not kept as it should be, but made anew at certain
// points when what the app wants changed.
type Hook struct {
	Object object.Object
	// Stages in which it runs, in their order.
	Stages []string
	Wave   int
	// Succeeded and Failed: it is deleted after it ended so; Before: before it is
	// made again.
	Succeeded, Failed, Before bool
	// Prefix begins its name, when it was given nothing but that.
	Prefix string
}

// SplitHooks parts the hooks from the objects that are kept. Objects that are to
// be skipped, and hooks for what never happens here (tests, rollbacks, the
// deletion of the app), are in neither. When any object has an Argo CD hook,
// Helm's are left out as well, each with a warning.
func SplitHooks(objects []object.Object) (kept []object.Object, hooks []Hook, warnings []string, err error) {
	argo := slices.ContainsFunc(objects, func(o object.Object) bool { return o.Annotation(annotationHook) != "" })
	for _, o := range objects {
		switch {
		case o.Annotation(annotationHook) != "":
			h, err := argoHook(o)
			if err != nil {
				return nil, nil, nil, fmt.Errorf("%s: %s: %w", o.Origin, o.ID, err)
			}
			if len(h.Stages) > 0 {
				hooks = append(hooks, h)
			}
		case o.Annotation(helmHook) == "" || crdInstall(o):
			kept = append(kept, o)
		case argo:
			warnings = append(warnings, fmt.Sprintf("left out the Helm hook %s: the app has hooks of Argo CD", o.ID))
		default:
			h, err := chartHook(o)
			if err != nil {
				return nil, nil, nil, fmt.Errorf("%s: %s: %w", o.Origin, o.ID, err)
			}
			if len(h.Stages) > 0 {
				hooks = append(hooks, h)
			}
		}
	}
	return kept, hooks, warnings, nil
}

// crdInstall says whether a definition is one that Helm 2 wanted as a hook.
func crdInstall(o object.Object) bool {
	return strings.TrimSpace(o.Annotation(helmHook)) == "crd-install" && o.ID.Kind == "CustomResourceDefinition"
}

func argoHook(o object.Object) (Hook, error) {
	h := Hook{Object: o}
	var err error
	if h.Wave, err = wave(o.Annotation(AnnotationWave)); err != nil {
		return h, err
	}
	for _, word := range words(o.Annotation(annotationHook)) {
		switch word {
		case PreSync, InSync, PostSync, SyncFail:
			h.Stages = append(h.Stages, word)
		case "Skip", "PostDelete", "PreDelete":
		default:
			return h, fmt.Errorf("%s: %q is not known", annotationHook, word)
		}
	}
	for _, word := range words(o.Annotation(annotationHookDelete)) {
		switch word {
		case "HookSucceeded":
			h.Succeeded = true
		case "HookFailed":
			h.Failed = true
		case "BeforeHookCreation":
			h.Before = true
		default:
			return h, fmt.Errorf("%s: %q is not known", annotationHookDelete, word)
		}
	}
	h.Before = h.Before || !h.Succeeded && !h.Failed
	return h.sorted(), nil
}

// chartHook reads Helm's words. Whether it is an install or an upgrade is not
// told apart, as in Argo CD.
func chartHook(o object.Object) (Hook, error) {
	h := Hook{Object: o}
	var err error
	if h.Wave, err = wave(o.Annotation(helmHookWeight)); err != nil {
		return h, fmt.Errorf("%s: %q is not a whole number", helmHookWeight, o.Annotation(helmHookWeight))
	}
	for _, word := range words(o.Annotation(helmHook)) {
		switch word {
		case "pre-install", "pre-upgrade", "crd-install":
			h.Stages = append(h.Stages, PreSync)
		case "post-install", "post-upgrade":
			h.Stages = append(h.Stages, PostSync)
		}
	}
	for _, word := range words(o.Annotation(helmHookDelete)) {
		h.Succeeded = h.Succeeded || word == "hook-succeeded"
		h.Failed = h.Failed || word == "hook-failed"
		h.Before = h.Before || word == "before-hook-creation"
	}
	h.Before = h.Before || !h.Succeeded && !h.Failed
	return h.sorted(), nil
}

func words(text string) []string {
	var all []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			all = append(all, word)
		}
	}
	return all
}

func (h Hook) sorted() Hook {
	order := []string{PreSync, InSync, PostSync, SyncFail}
	slices.SortFunc(h.Stages, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	h.Stages = slices.Compact(h.Stages)
	return h
}

// hook decides about one hook in one stage.
func (p *Plan) hook(in Input, h Hook, stage string) {
	id := h.Object.ID
	ran, did := in.Hooked.Find(in.HookKey, id, stage)
	live := in.Live[id]
	if did && !ran.Failed {
		return
	}
	if other, twice := in.Others.Wants[id]; twice {
		p.refuseObject(RefusedWantedTwice, id, "the hook %s is wanted by the apps %s and %s: an object belongs to one app", id, in.App, other)
		return
	}
	c := Change{ID: id, Version: h.Object.Version, Hook: stage, Wave: h.Wave, Origin: state.Created, Action: Run, Reason: ReasonDesired}
	c.DeleteSucceeded, c.DeleteFailed = h.Succeeded, h.Failed
	owner, _, mark := OwnerFor(in.Owned, id, live.Meta, in.Ledger)
	switch {
	case did && (h.Failed || live.State != Absent):
		if h.Failed && owner == Ours && live.ranFor(in.HookKey, stage) {
			p.sweep(h, stage, member(in.Owned, id), live)
		}
		c.Action, c.Reason, c.Origin, c.UID = Await, ReasonFailed, "", live.UID
		c.Note = "it failed for what is wanted now, and is not run again"
	case live.State == Unknown && live.NoKind:
		c.Action, c.Reason, c.Origin, c.Note = Defer, ReasonNoKind, "", "the server does not serve "+id.GroupKind().String()
	case live.State == Unknown:
		c.Action, c.Reason, c.Origin, c.Note = Defer, ReasonNoProof, "", live.Why
	case live.State == Absent:
	case owner != Ours:
		p.refuseObject(RefusedForeign, id, "the hook %s (%s) exists and is not this ledger's (%s): delete it", id, h.Object.Origin, mark)
		return
	case live.ranFor(in.HookKey, stage):
		c.Action, c.Reason, c.Origin, c.UID = Await, ReasonBegun, "", live.UID
	default:
		c.UID, c.ResourceVersion, c.Generation = live.UID, live.ResourceVersion, live.Generation
	}
	p.Changes = append(p.Changes, c)
	for _, old := range in.Owned.Members {
		left := in.Live[old.ID]
		if owner, _, _ := OwnerFor(in.Owned, old.ID, left.Meta, in.Ledger); c.Action == Run && h.generated(old) && left.State == Present && owner == Ours && !p.runs(old.ID) {
			p.sweep(h, stage, old, left)
		}
	}
}

// member gives what is known of a hook that ran.
func member(owned state.Inventory, id object.ID) state.Member {
	m, _ := owned.Lookup(id)
	m.ID = id
	return m
}

// ranFor says whether an object is a hook that was made for this.
func (o Observed) ranFor(key, stage string) bool {
	return o.State == Present && o.Annotations[AnnotationHook] == key+" "+stage
}

// generated says whether a member is what the hook made before, under another name.
func (h Hook) generated(m state.Member) bool {
	return h.Prefix != "" && h.Before && m.Hook && m.ID != h.Object.ID &&
		m.ID.GroupKind() == h.Object.ID.GroupKind() && m.ID.Namespace == h.Object.ID.Namespace &&
		len(m.ID.Name) == len(h.Object.ID.Name) && strings.HasPrefix(m.ID.Name, h.Prefix)
}

// sweep deletes what a hook left, before anything else of its stage: its own delete
// policy says so.
func (p *Plan) sweep(h Hook, stage string, m state.Member, live Observed) {
	p.Changes = append(p.Changes, Change{
		ID: m.ID, Version: h.Object.Version, Hook: stage, Wave: h.Wave, Step: -1, Action: Prune, Reason: ReasonHook,
		UID: live.UID, ResourceVersion: live.ResourceVersion, Generation: live.Generation,
	})
}

// leaveHook decides about a member that is a hook, of this set or of one before. It
// is nobody's drift, and stays unless its delete policy said otherwise.
func (p *Plan) leaveHook(in Input, member state.Member) {
	live := in.Live[member.ID]
	c := Change{ID: member.ID, Version: member.Version, UID: live.UID}
	at := slices.IndexFunc(in.Hooks, func(h Hook) bool { return h.Object.ID == member.ID })
	wanted := at >= 0
	owner, _, _ := OwnerFor(in.Owned, member.ID, live.Meta, in.Ledger)
	switch {
	case p.runs(member.ID):
		return
	case wanted && in.Hooks[at].Succeeded && owner == Ours && live.State == Present:
		// It ended well, and the run that saw it ended before it deleted it.
		h := in.Hooks[at]
		p.sweep(h, h.Stages[len(h.Stages)-1], member, live)
		return
	case live.State == Absent || live.NoKind:
		c.Action, c.Reason = Forget, ReasonGone
	case wanted && live.State == Present:
		p.Unchanged++
		return
	default:
		c.Action, c.Reason, c.Note = Keep, ReasonHook, "a hook that ran stays"
	}
	p.Changes = append(p.Changes, c)
}

// runs says whether a hook of this name runs.
func (p *Plan) runs(id object.ID) bool {
	return slices.ContainsFunc(p.Changes, func(c Change) bool { return c.IsHook() && c.ID == id })
}
