package reconcile

import (
	"maps"
	"slices"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// wishes is what the apps of a run want of each other's objects. It is gathered
// once, so that many apps cost no more than their objects.
type wishes struct {
	ledger *ledger
	// wanters of an object, in the order of the configuration, and place the
	// number of each app in it.
	wanters map[object.ID][]*app
	place   map[string]int
	// unknown are the apps of which nobody knows what they want: they failed
	// before they were rendered. The others are rendered.
	unknown  []string
	rendered map[string]bool
	// left are those that the configuration does not want: they want nothing.
	left map[string]bool
}

// gather asks all apps what they want of the objects that those are about of which
// anything moved. An app of which nothing moved wants what it owns.
func gather(l *ledger, apps []*app) *wishes {
	concerned, leaving := map[object.ID]bool{}, map[string]bool{}
	for _, a := range apps {
		if !a.untouched {
			for _, id := range about(a) {
				concerned[id] = true
			}
			maps.Copy(leaving, leavingNamespaces(a))
		}
	}
	if !l.searched {
		l.owners = l.ownersOf(concerned)
	}
	w := &wishes{ledger: l, wanters: map[object.ID][]*app{}, place: map[string]int{}, rendered: map[string]bool{}, left: map[string]bool{}}
	if len(concerned) == 0 {
		return w
	}
	for i, a := range apps {
		w.place[a.Name] = i
		if a.left != plan.NotLeft {
			w.left[a.Name], w.rendered[a.Name] = true, a.err == nil
			continue
		}
		switch {
		case a.err != nil && a.want.Len() == 0:
			w.unknown = append(w.unknown, a.Name)
			continue
		case a.err == nil:
			w.rendered[a.Name] = true
		}
		for _, wants := range a.want.Objects() {
			w.wanters[wants.ID] = append(w.wanters[wants.ID], a)
		}
		for _, h := range a.hooks {
			w.wanters[h.Object.ID] = append(w.wanters[h.Object.ID], a)
		}
		if !a.untouched {
			continue
		}
		for member := range a.held() {
			if !member.Kept && (concerned[member.ID] || leaving[member.ID.Namespace]) {
				w.wanters[member.ID] = append(w.wanters[member.ID], a)
			}
		}
	}
	return w
}

// about lists the objects that an app's plan is about, or hangs on.
func about(a *app) []object.ID { return slices.Concat(wanted(a), plan.Dependencies(a.want)) }

// others gives what a plan for one app must know of the other apps.
func (w *wishes) others(self *app) plan.Others {
	o := plan.Others{Wants: map[object.ID]string{}, Owns: map[object.ID]plan.Holder{}, Inhabits: w.inhabitants(self), Rendered: w.rendered, Left: w.left}
	for _, name := range w.unknown {
		if name != self.Name {
			o.Unknown = append(o.Unknown, name)
		}
	}
	for _, id := range about(self) {
		if holder, owned := w.ledger.owners[id]; owned && holder.App != self.Name {
			o.Owns[id] = holder
		}
		for _, a := range w.wanters[id] {
			if _, another := o.Wants[id]; another && a.optional[id] {
				continue // that one goes first
			}
			if a.Name != self.Name && (!a.optional[id] || w.first(id, a, self)) {
				o.Wants[id] = a.Name
			}
		}
	}
	return o
}

// inhabitants gives an object of another app for each namespace that the app owns
// and wants no more, where one is wanted in it.
func (w *wishes) inhabitants(self *app) map[string]object.ID {
	leaving := leavingNamespaces(self)
	inhabitants := map[string]object.ID{}
	if len(leaving) == 0 {
		return inhabitants
	}
	for id, wanters := range w.wanters {
		known, found := inhabitants[id.Namespace]
		if leaving[id.Namespace] && (!found || id.Compare(known) < 0) && slices.ContainsFunc(wanters, func(a *app) bool { return a != self }) {
			inhabitants[id.Namespace] = id
		}
	}
	return inhabitants
}

// leavingNamespaces are those that the app owns and wants no more.
func leavingNamespaces(a *app) map[string]bool {
	leaving := map[string]bool{}
	for member := range a.held() {
		if _, wanted := a.want.Get(member.ID); !wanted && member.ID.GroupKind() == (object.GroupKind{Kind: "Namespace"}) {
			leaving[member.ID.Name] = true
		}
	}
	return leaving
}

// first says whether an object that app a would only create, when it is absent,
// is a's rather than another's: only when that one would only create it too, and
// then it is whose inventory holds it, or who stands before in the configuration.
func (w *wishes) first(id object.ID, a, other *app) bool {
	switch holder := w.ledger.owners[id].App; {
	case other.left != plan.NotLeft:
		return true
	case !other.optional[id]:
		return false
	case holder == a.Name, holder == other.Name:
		return holder == a.Name
	}
	return w.place[a.Name] < w.place[other.Name]
}
