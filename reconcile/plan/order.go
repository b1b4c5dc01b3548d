package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/tidemark/render/object"
)

// One graph orders the objects of an app: by wave, in a wave by what depends on
// what, and then by the phase of the kind. Prunes go the other way round. What
// is of one level is carried out side by side.

// ErrOrder is the case of objects that cannot be brought into an order.
var ErrOrder = errors.New("the objects cannot be ordered")

// place is where an object stands in the order of its app.
type place struct {
	wave int
	// step counts the objects of its wave that must come before it, one after
	// the other.
	step int
	// needs are the objects that it depends on by annotation.
	needs []object.ID
}

// CheckOrder says why the desired objects of the app cannot be ordered: an
// annotation that cannot be read, a dependency that is nobody's or comes later,
// a circle, which it prints. The error is ErrOrder and names every trouble but
// further circles.
func (in Input) CheckOrder() error {
	_, err := in.wantedPlaces()
	return err
}

// Dependencies lists the objects that desired objects depend on, which need not
// be the app's own.
func Dependencies(want object.Set) []object.ID {
	var ids []object.ID
	for _, o := range want.Objects() {
		needs, _ := DependsOn(o) // CheckOrder tells what is wrong with it
		ids = append(ids, needs...)
	}
	slices.SortFunc(ids, object.ID.Compare)
	return slices.Compact(ids)
}

// places gives the place of every desired object, and of every member that is
// about to leave. A set that cannot be ordered gives none: it is not applied.
func (in Input) places() map[object.ID]place {
	places, err := in.wantedPlaces()
	if err != nil {
		return nil
	}
	maps.Copy(places, in.leavingPlaces())
	return places
}

func (in Input) wantedPlaces() (map[object.ID]place, error) {
	places := map[object.ID]place{}
	var errs []error
	depends, waves := false, false
	for _, o := range in.Want.Objects() {
		n, err := wave(o.Annotation(AnnotationWave))
		needs, err2 := DependsOn(o)
		for _, err := range []error{err, err2} {
			if err != nil {
				errs = append(errs, fmt.Errorf("%w: %s: %s: %w", ErrOrder, o.Origin, o.ID, err))
			}
		}
		places[o.ID] = place{wave: n, needs: needs}
		depends, waves = depends || len(needs) > 0, waves || n != 0
	}
	if waves {
		in.lower(places)
	}
	if !depends {
		return places, errors.Join(errs...)
	}
	for _, o := range in.Want.Objects() {
		for _, id := range places[o.ID].needs {
			if why := in.unmet(places, o.ID, id); why != "" {
				errs = append(errs, fmt.Errorf("%w: %s: %s depends on %s, %s", ErrOrder, o.Origin, o.ID, id, why))
			}
		}
	}
	if err := steps(places, in.foundations()); err != nil {
		errs = append(errs, err)
	}
	return places, errors.Join(errs...)
}

// lower brings namespaces and definitions into the first wave in which anything
// needs them.
func (in Input) lower(places map[object.ID]place) {
	for id, founding := range in.foundations() {
		for _, below := range founding {
			p := places[below]
			p.wave = min(p.wave, places[id].wave)
			places[below] = p
		}
	}
}

// unmet says why an object cannot depend on another one; it is empty when it can.
func (in Input) unmet(places map[object.ID]place, id, need object.ID) string {
	to, own := places[need]
	_, wanted := in.Others.Wants[need]
	_, owned := in.Others.Owns[need]
	_, leaves := in.Owned.Lookup(need)
	switch {
	case own && to.wave > places[id].wave:
		return fmt.Sprintf("whose sync wave %d comes after its own, %d", to.wave, places[id].wave)
	case own, wanted, owned:
		return ""
	case leaves:
		return "which left the repository"
	case len(in.Others.Unknown) > 0:
		return "which is not in the app; whether it is in " + strings.Join(in.Others.Unknown, ", ") + " is not known"
	}
	return "which is in no app of this ledger"
}

// foundations gives, for every desired object, those of the set that it cannot
// exist without: its namespace, and the definition of its kind.
func (in Input) foundations() map[object.ID][]object.ID {
	definitions := map[object.GroupKind]object.ID{}
	for _, o := range in.Want.Objects() {
		if kind, _, defines := Defines(o); defines {
			definitions[kind] = o.ID
		}
	}
	founded := map[object.ID][]object.ID{}
	for _, o := range in.Want.Objects() {
		namespace := object.ID{Kind: "Namespace", Name: o.ID.Namespace}
		if _, wanted := in.Want.Get(namespace); wanted && o.ID.Namespace != "" {
			founded[o.ID] = append(founded[o.ID], namespace)
		}
		if definition, defined := definitions[o.ID.GroupKind()]; defined {
			founded[o.ID] = append(founded[o.ID], definition)
		}
	}
	return founded
}

// leavingPlaces orders the members that are not wanted any more, by what their
// live annotations say. What those say against any order is not heeded.
func (in Input) leavingPlaces() map[object.ID]place {
	places := map[object.ID]place{}
	for _, member := range in.Owned.Members {
		live, seen := in.Live[member.ID]
		if _, wanted := in.Want.Get(member.ID); wanted || !seen {
			continue
		}
		n, _ := wave(live.Annotations[AnnotationWave])
		needs, _ := references(live.Annotations[AnnotationDependsOn])
		places[member.ID] = place{wave: n, needs: needs}
	}
	if steps(places, nil) != nil {
		for id, p := range places {
			p.step = 0
			places[id] = p
		}
	}
	return places
}

// steps fills in the steps. founded objects come in the same step as what they
// stand on, at the earliest, since the phases of their kinds part them.
func steps(places map[object.ID]place, founded map[object.ID][]object.ID) error {
	inner := func(id object.ID, before []object.ID) []object.ID {
		return slices.DeleteFunc(slices.Clone(before), func(to object.ID) bool {
			p, own := places[to]
			return !own || p.wave != places[id].wave
		})
	}
	ids := make([]object.ID, 0, len(places))
	for id := range places {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, object.ID.Compare)
	circle := Cycle(ids, func(id object.ID) []object.ID {
		return slices.Concat(inner(id, places[id].needs), inner(id, founded[id]))
	})
	if circle != nil {
		var names []string
		for _, id := range circle {
			names = append(names, id.String())
		}
		return fmt.Errorf("%w: they depend on each other in a circle: %s", ErrOrder, strings.Join(names, " → "))
	}
	known := map[object.ID]bool{}
	var step func(object.ID) int
	step = func(id object.ID) int {
		p := places[id]
		if known[id] {
			return p.step
		}
		for _, to := range inner(id, p.needs) {
			p.step = max(p.step, step(to)+1)
		}
		for _, to := range inner(id, founded[id]) {
			p.step = max(p.step, step(to))
		}
		known[id], places[id] = true, p
		return p.step
	}
	for _, id := range ids {
		step(id)
	}
	return nil
}

// WaveOf gives the sync wave of a desired object, 0 when it names none that can
// be read.
func WaveOf(o object.Object) int {
	n, _ := wave(o.Annotation(AnnotationWave))
	return n
}

// stage is a part of carrying a plan out; they follow each other in this order.
type stage int

const (
	stageBefore stage = iota
	stageApply
	stagePrune
	stageAfter
	stageFailed
	stageNote
)

func (c Change) stage() stage {
	switch c.Action {
	case Prune:
		if !c.IsHook() {
			return stagePrune
		}
	case HandOver, Keep, Forget:
		return stageNote
	case Create, Update, Adopt, Replace, Report, Defer, Run, Await, Fence:
	}
	switch c.Hook {
	case PreSync:
		return stageBefore
	case PostSync:
		return stageAfter
	case SyncFail:
		return stageFailed
	}
	return stageApply
}

// level compares the levels of two changes: negative when a's comes first.
func level(a, b Change) int {
	way := 1
	if a.stage() == stagePrune {
		way = -1
	}
	return cmp.Or(
		cmp.Compare(a.stage(), b.stage()), way*cmp.Compare(a.Wave, b.Wave), way*cmp.Compare(a.Step, b.Step),
		way*cmp.Compare(Phase(a.ID.GroupKind()), Phase(b.ID.GroupKind())),
	)
}

// order sorts the changes as they are carried out: applies, prunes, and then what
// only the inventory learns of.
func order(a, b Change) int { return cmp.Or(level(a, b), a.ID.Compare(b.ID)) }

// SameLevel says whether two changes of a plan are carried out side by side.
func SameLevel(a, b Change) bool { return level(a, b) == 0 }

// SameStage says whether two changes belong to one part of carrying a plan out: the
// hooks before, the applies, the prunes, the hooks after, those of a failure.
func SameStage(a, b Change) bool { return a.stage() == b.stage() }

// Prunes says whether the change belongs to what comes after every apply.
func (c Change) Prunes() bool { return c.stage() == stagePrune }
