package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// server is an API server in memory. It knows what matters to a reconciler:
// preconditions, whose field is whose, finalizers, namespaces, definitions, a
// webhook. TestConformance compares it with the real one.
type server struct {
	writes  int // counts resourceVersions
	objects map[object.ID]*stored
	// refuses, when set, is a webhook that cannot do dry runs: it gives the reason
	// why an object is refused, or "".
	refuses func(object.Object) string
	// failing are API groups that cannot be discovered.
	failing map[string]string
	witness *apply.Witness
}

// stored is one object. It is replaced, never edited.
type stored struct {
	id      object.ID
	version string // of the API, in which it was applied last
	uid     string
	// resource is its resourceVersion.
	resource    int
	generation  int64
	terminating bool
	finalizers  []string
	controller  string
	// leaves are its fields, by path: labels, annotations, data, spec.
	leaves leaves
	owners map[string]owner // by field manager
	// known is what meta gives, once somebody asked.
	known *plan.Meta
}

// owner is what one manager has of an object.
type owner struct {
	fields map[string]bool
	since  time.Time // when that changed last, to the second
}

// ours is the field manager of what is applied, recoverer that of a touch.
const (
	ours      = "tidemark"
	recoverer = "tidemark-recovery"
)

func newServer() *server {
	s := &server{objects: map[object.ID]*stored{}}
	for _, name := range []string{"default", "kube-system", "shop"} {
		_, _ = s.apply(namespace(name), apply.Target{}, "kube-apiserver", true)
	}
	return s
}

// clone gives a server that goes its own way. Both have the same past.
func (s *server) clone() *server {
	c := *s
	c.objects = maps.Clone(s.objects)
	if s.witness != nil {
		witness := *s.witness
		c.witness = &witness
	}
	return &c
}

// builtin are the kinds that are always served, and whether they are namespaced.
var builtin = map[object.GroupKind]bool{
	{Kind: "Namespace"}: false,
	{Kind: "ConfigMap"}: true,
	{Kind: "Secret"}:    true,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: false,
}

// kinds gives what is served now.
func (s *server) kinds() plan.Kinds {
	kinds := plan.Kinds{Version: "v1.37.2", Served: map[object.GroupKind]plan.Kind{}, Failing: maps.Clone(s.failing)}
	for gk, namespaced := range builtin {
		kinds.Served[gk] = plan.Kind{Versions: []string{"v1"}, Namespaced: namespaced, Resource: strings.ToLower(gk.Kind) + "s"}
	}
	for id, o := range s.objects {
		if id.Kind == "CustomResourceDefinition" && !o.terminating {
			kind := object.GroupKind{Group: o.leaves["spec.group"].(string), Kind: o.leaves["spec.names.kind"].(string)}
			kinds.Served[kind] = plan.Kind{Versions: []string{"v1"}, Namespaced: o.leaves["spec.scope"] == "Namespaced", Resource: o.leaves["spec.names.plural"].(string)}
		}
	}
	maps.DeleteFunc(kinds.Served, func(gk object.GroupKind, _ plan.Kind) bool { return s.failing[gk.Group] != "" })
	return kinds
}

// serves says why what somebody knows of a kind does not lead to its objects.
func (s *server) serves(gk object.GroupKind, known plan.Kind) error {
	if s.failing[gk.Group] != "" {
		return fmt.Errorf("%w: the server behind %s is down", apply.ErrUnanswered, gk.Group)
	}
	if _, ok := builtin[gk]; ok {
		return nil
	}
	if s.kinds().Served[gk].Resource != known.Resource {
		return apply.ErrNoKind
	}
	return nil
}

// meta gives what a metadata request tells of an object.
func (o *stored) meta() plan.Meta {
	if o.known == nil {
		known := o.metadata()
		o.known = &known
	}
	return *o.known
}

func (o *stored) metadata() plan.Meta {
	m := plan.Meta{
		UID: o.uid, ResourceVersion: strconv.Itoa(o.resource), Generation: o.generation,
		Labels: o.leaves.under("metadata.labels."), Annotations: o.leaves.under("metadata.annotations."),
		Finalizers: slices.Clone(o.finalizers), Terminating: o.terminating, Controller: o.controller,
		Managers: slices.Sorted(maps.Keys(o.owners)),
	}
	if own, ok := o.owners[ours]; ok {
		m.Owned = fmt.Sprint(o.version, own.since.Unix(), slices.Sorted(maps.Keys(own.fields)))
	}
	return m
}

// expect checks the preconditions of a write to an object that may be missing.
func (s *server) expect(id object.ID, at apply.Target) (*stored, error) {
	o := s.objects[id]
	switch {
	case o == nil && at.UID != "":
		return nil, fmt.Errorf("%w: uid mismatch: no existing object was found", apply.ErrConflict)
	case o == nil:
		return nil, nil
	case at.UID != "" && at.UID != o.uid:
		return nil, fmt.Errorf("%w: the UID is another", apply.ErrConflict)
	case at.ResourceVersion != "" && at.ResourceVersion != strconv.Itoa(o.resource):
		return nil, fmt.Errorf("%w: the object has been modified", apply.ErrConflict)
	}
	return o, nil
}

// apply is a server-side apply by a manager.
func (s *server) apply(o object.Object, at apply.Target, manager string, force bool) (plan.Meta, error) {
	next, err := s.applied(o, at, manager, force)
	if err != nil {
		return plan.Meta{}, err
	}
	if s.refuses != nil {
		if reason := s.refuses(o); reason != "" {
			return plan.Meta{}, fmt.Errorf("%w: admission webhook denied the request: %s", apply.ErrForbidden, reason)
		}
	}
	return s.put(next).meta(), nil
}

// applied gives the object as an apply would leave it.
func (s *server) applied(o object.Object, at apply.Target, manager string, force bool) (*stored, error) {
	if builtin, ok := s.kinds().Served[o.ID.GroupKind()]; !ok || builtin.Namespaced != (o.ID.Namespace != "") {
		return nil, apply.ErrNoKind
	}
	wanted := flatten(o.Content())
	if old := s.objects[o.ID]; old != nil && !force {
		if lost := old.conflicts(wanted, manager); len(lost) > 0 {
			return nil, &apply.FieldConflictError{Fields: lost}
		}
	}
	old, err := s.expect(o.ID, at)
	if err != nil {
		return nil, err
	}
	if old == nil {
		if space := s.objects[object.ID{Kind: "Namespace", Name: o.ID.Namespace}]; o.ID.Namespace != "" && space == nil {
			return nil, errNoNamespace{o.ID.Namespace}
		} else if space != nil && space.terminating {
			return nil, fmt.Errorf("%w: the namespace %s is being terminated", apply.ErrForbidden, o.ID.Namespace)
		}
		old = &stored{id: o.ID, leaves: leaves{}, owners: map[string]owner{}}
		if o.ID.Kind == "Namespace" {
			old.leaves["metadata.labels.kubernetes.io/metadata.name"] = o.ID.Name
		}
	}
	if fixed, set := old.leaves["data.fixed"]; set && fixed != wanted["data.fixed"] {
		return nil, errImmutable
	}
	next := old.edited(o.Version)
	had := old.owners[manager].fields
	now := map[string]bool{}
	for path, value := range wanted {
		now[path] = true
		if old.leaves[path] != value {
			next.take(path, manager)
		}
		next.leaves[path] = value
	}
	for path := range had {
		if !now[path] && !next.owned(path, manager) {
			delete(next.leaves, path)
		}
	}
	if old.resource == 0 || !maps.Equal(had, now) || !maps.Equal(old.leaves, next.leaves) || !sameOwners(old, next, manager) {
		next.owners[manager] = owner{now, second(time.Now())}
	}
	if len(now) == 0 {
		delete(next.owners, manager)
	}
	return next, nil
}

// errImmutable: an object that holds the field data.fixed keeps its value for life.
var errImmutable = fmt.Errorf("%w: data.fixed: field is immutable", apply.ErrRejected)

// edited gives a copy that may be changed.
func (o *stored) edited(version string) *stored {
	next := *o
	next.version, next.known = version, nil
	next.leaves, next.owners = maps.Clone(o.leaves), maps.Clone(o.owners)
	return &next
}

// take takes a field from everybody but the manager.
func (o *stored) take(path, manager string) {
	for name, own := range o.owners {
		if name == manager || !own.fields[path] {
			continue
		}
		own.fields = maps.Clone(own.fields)
		delete(own.fields, path)
		if o.owners[name] = own; len(own.fields) == 0 {
			delete(o.owners, name)
		}
	}
}

// owned says whether anybody but the manager has a field.
func (o *stored) owned(path, manager string) bool {
	for name, own := range o.owners {
		if name != manager && own.fields[path] {
			return true
		}
	}
	return false
}

// conflicts lists the "manager: field" of those who would lose a field.
func (o *stored) conflicts(wanted leaves, manager string) []string {
	var lost []string
	for path, value := range wanted {
		if o.leaves[path] == value {
			continue
		}
		for name, own := range o.owners {
			if name != manager && own.fields[path] {
				lost = append(lost, name+": ."+path)
			}
		}
	}
	slices.Sort(lost)
	return lost
}

func sameOwners(a, b *stored, but string) bool {
	for _, name := range slices.Concat(slices.Collect(maps.Keys(a.owners)), slices.Collect(maps.Keys(b.owners))) {
		if name != but && !maps.Equal(a.owners[name].fields, b.owners[name].fields) {
			return false
		}
	}
	return true
}

func second(t time.Time) time.Time { return t.Truncate(time.Second) }

// put stores an object, unless nothing changed.
func (s *server) put(next *stored) *stored {
	old := s.objects[next.id]
	switch {
	case old == nil:
		s.writes++
		next.uid, next.resource = fmt.Sprintf("uid-%d", s.writes), s.writes
		if next.counts() {
			next.generation = 1
		}
	case same(old, next):
		return old
	default:
		s.writes++
		next.resource = s.writes
		if next.counts() && (!maps.Equal(old.leaves.under("spec."), next.leaves.under("spec.")) || old.terminating != next.terminating) {
			next.generation++
		}
	}
	s.objects[next.id] = next
	return next
}

// isNew says whether nobody has written the object since it was made.
func (o *stored) isNew() bool { return o.uid == fmt.Sprintf("uid-%d", o.resource) }

// counts says whether the kind has a generation.
func (o *stored) counts() bool { return o.id.Group != "" }

func same(a, b *stored) bool {
	return maps.Equal(a.leaves, b.leaves) && a.terminating == b.terminating && slices.Equal(a.finalizers, b.finalizers) &&
		a.controller == b.controller && sameOwners(a, b, "") && a.version == b.version
}

// edit is a write by somebody else, without conditions: like a patch.
func (s *server) edit(id object.ID, manager string, set map[string]string) {
	next := s.objects[id].edited(s.objects[id].version)
	own := owner{maps.Clone(next.owners[manager].fields), second(time.Now())}
	if own.fields == nil {
		own.fields = map[string]bool{}
	}
	for path, value := range set {
		if next.leaves[path] != value {
			next.take(path, manager)
			own.fields[path] = true
		}
		next.leaves[path] = value
	}
	next.owners[manager] = own
	s.put(next)
}

// remove asks for deletion, as a DELETE without conditions would.
func (s *server) remove(id object.ID) {
	o := s.objects[id]
	if len(o.finalizers) > 0 {
		next := o.edited(o.version)
		next.terminating = true
		s.put(next)
		return
	}
	delete(s.objects, id)
	s.writes++
	if id.Kind == "Namespace" {
		s.removeAll(func(other object.ID) bool { return other.Namespace == id.Name })
	}
	if id.Kind == "CustomResourceDefinition" {
		gk := object.GroupKind{Group: o.leaves["spec.group"].(string), Kind: o.leaves["spec.names.kind"].(string)}
		s.removeAll(func(other object.ID) bool { return other.GroupKind() == gk })
	}
}

func (s *server) removeAll(which func(object.ID) bool) {
	for id := range s.objects {
		if which(id) {
			s.remove(id)
		}
	}
}

// finalize sets the finalizers of an object; the last one that goes takes a
// terminating object with it.
func (s *server) finalize(id object.ID, finalizers ...string) {
	o := s.objects[id]
	if o == nil {
		return
	}
	next := o.edited(o.version)
	next.finalizers = finalizers
	s.put(next)
	if next.terminating && len(finalizers) == 0 {
		s.remove(id)
	}
}

// errNoNamespace is the rejection of an object whose namespace is not there.
type errNoNamespace struct{ namespace string }

func (e errNoNamespace) Error() string {
	return fmt.Sprintf("%v: there is no namespace %q", apply.ErrRejected, e.namespace)
}

func (errNoNamespace) Unwrap() error { return apply.ErrRejected }

// leaves are the fields of an object by their paths, without what names it. A
// list is one field.
type leaves map[string]any

func flatten(content map[string]any) leaves {
	flat := leaves{}
	var walk func(prefix string, value any)
	walk = func(prefix string, value any) {
		if mapping, ok := value.(map[string]any); ok {
			for key, inner := range mapping {
				walk(prefix+"."+key, inner)
			}
			return
		}
		if list, ok := value.([]any); ok {
			value = fmt.Sprint(list) // compared as a whole
		}
		flat[prefix] = value
	}
	for key, value := range content {
		switch key {
		case "apiVersion", "kind":
		case "metadata":
			for _, field := range []string{"labels", "annotations"} {
				if inner, ok := value.(map[string]any)[field]; ok {
					walk("metadata."+field, inner)
				}
			}
		default:
			walk(key, value)
		}
	}
	return flat
}

// under gives the texts below a prefix.
func (l leaves) under(prefix string) map[string]string {
	found := map[string]string{}
	for path, value := range l {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			found[rest], _ = value.(string)
		}
	}
	return found
}

// content gives the whole object as a manifest.
func (o *stored) content() map[string]any {
	metadata := map[string]any{"name": o.id.Name, "uid": o.uid, "resourceVersion": strconv.Itoa(o.resource)}
	if o.id.Namespace != "" {
		metadata["namespace"] = o.id.Namespace
	}
	content := map[string]any{"apiVersion": strings.TrimPrefix(o.id.Group+"/"+o.version, "/"), "kind": o.id.Kind, "metadata": metadata}
	for path, value := range o.leaves {
		at := content
		parts := strings.SplitN(path, ".", 3)
		if parts[0] != "metadata" {
			parts = strings.Split(path, ".")
		}
		for _, part := range parts[:len(parts)-1] {
			if at[part] == nil {
				at[part] = map[string]any{}
			}
			at = at[part].(map[string]any)
		}
		at[parts[len(parts)-1]] = value
	}
	return content
}
