package plan_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// All tests plan for this app of this ledger.
const (
	app    = "web"
	ledger = "0123"
)

var (
	one   = id("/ConfigMap/shop/one")
	two   = id("/ConfigMap/shop/two")
	token = id("/Secret/shop/token")
)

// id reads an ID as ID.Mark writes it.
func id(mark string) object.ID {
	part := strings.Split(mark, "/")
	return object.ID{Group: part[0], Kind: part[1], Namespace: part[2], Name: part[3]}
}

// manifest gives a desired object with our marks, and fields beside them.
func manifest(id object.ID, fields map[string]any) object.Object {
	version := "v1"
	if id.Group != "" {
		version = id.Group + "/v1"
	}
	content := map[string]any{"apiVersion": version, "kind": id.Kind, "metadata": map[string]any{"name": id.Name, "namespace": id.Namespace}}
	maps.Copy(content, fields)
	o, err := object.New(content, object.Origin{File: id.Name + ".yaml"})
	if err != nil {
		panic(err)
	}
	return o.WithMetadata(map[string]string{object.LabelLedger: ledger, object.LabelApp: app}, map[string]string{object.AnnotationID: id.Mark()})
}

// input gives an Input that knows nothing.
func input() *plan.Input {
	return &plan.Input{
		App: app, Ledger: ledger, Inputs: "inputs", SetDigest: "set",
		Digests: map[object.ID]string{}, CreateOnly: map[object.ID]bool{}, Live: plan.Live{},
		Others: plan.Others{Wants: map[object.ID]string{}, Owns: map[object.ID]plan.Holder{}, Rendered: map[string]bool{}},
		Coming: map[object.GroupKind]bool{}, Self: map[object.ID]bool{}, Approved: map[string]bool{},
	}
}

// want adds a desired object with a digest ("" for none).
func want(in *plan.Input, id object.ID, digest string) {
	wantObject(in, manifest(id, nil), digest)
}

func wantObject(in *plan.Input, o object.Object, digest string) {
	set, err := object.NewSet(append(append([]object.Object{}, in.Want.Objects()...), o), false)
	if err != nil {
		panic(err)
	}
	in.Want = set
	if digest != "" {
		in.Digests[o.ID] = digest
	}
}

// own adds a member that was created. Objects of one kind and name have one UID.
func own(in *plan.Input, id object.ID, digest string, edit ...func(*state.Member)) {
	m := state.Member{ID: id, Version: "v1", UID: "uid-" + id.Kind + "-" + id.Name, Origin: state.Created, Digest: digest}
	for _, e := range edit {
		e(&m)
	}
	in.Owned = in.Owned.Update(m)
}

func adopted(m *state.Member) { m.Origin = state.Adopted }
func kept(m *state.Member)    { m.Kept = true }
func unseen(m *state.Member)  { m.UID = "" }

// marked gives the metadata of an object of ours.
func marked(id object.ID) plan.Meta {
	return plan.Meta{
		UID: "uid-" + id.Kind + "-" + id.Name, ResourceVersion: "7",
		Labels:      map[string]string{object.LabelLedger: ledger, object.LabelApp: app},
		Annotations: map[string]string{object.AnnotationID: id.Mark()},
		Managers:    []string{"tidemark"},
	}
}

// there puts an object into the cluster: ours, unless edited.
func there(in *plan.Input, id object.ID, edit ...func(*plan.Observed)) {
	seen := plan.Observed{State: plan.Present, Meta: marked(id)}
	for _, e := range edit {
		e(&seen)
	}
	in.Live[id] = seen
}

func gone(in *plan.Input, id object.ID) { in.Live[id] = plan.Observed{State: plan.Absent} }

func certain(o *plan.Observed)     { o.Certain = true }
func terminating(o *plan.Observed) { o.State, o.Terminating = plan.Terminating, true }
func noMarks(o *plan.Observed)     { o.Labels, o.Annotations = nil, nil }
func noLabel(o *plan.Observed)     { o.Labels = nil }
func noAnnotation(o *plan.Observed) {
	o.Annotations = nil
}
func controlled(o *plan.Observed) { o.Controller = "ReplicaSet rs" }

func uid(uid string) func(*plan.Observed) { return func(o *plan.Observed) { o.UID = uid } }

func labelled(key, value string) func(*plan.Observed) {
	return func(o *plan.Observed) {
		o.Labels = maps.Clone(o.Labels)
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels[key] = value
	}
}

func annotated(key, value string) func(*plan.Observed) {
	return func(o *plan.Observed) {
		o.Annotations = maps.Clone(o.Annotations)
		if o.Annotations == nil {
			o.Annotations = map[string]string{}
		}
		o.Annotations[key] = value
	}
}

// differs: looked at closely, and the server would change a field.
func differs(o *plan.Observed) {
	o.Content = map[string]any{"metadata": map[string]any{}, "data": map[string]any{"key": "old"}}
	o.DryRun = &plan.DryRun{Content: map[string]any{"metadata": map[string]any{}, "data": map[string]any{"key": "new"}}}
}

// same: looked at closely, and the server would change nothing.
func same(o *plan.Observed) {
	o.Content = map[string]any{"data": map[string]any{"key": "old"}}
	o.DryRun = &plan.DryRun{Content: o.Content}
}

func dry(d plan.DryRun) func(*plan.Observed) { return func(o *plan.Observed) { o.DryRun = &d } }

// outline gives a plan as lines: "ACTION NAME (REASON)", "refused REASON",
// "invalid", and "unchanged N".
func outline(p plan.Plan) string {
	var lines []string
	for _, c := range p.Changes {
		lines = append(lines, fmt.Sprintf("%s %s (%s)", c.Action, c.ID.Name, c.Reason))
	}
	for _, r := range p.Refusals {
		lines = append(lines, "refused "+r.Reason)
	}
	for range p.Invalid {
		lines = append(lines, "invalid")
	}
	if p.Unchanged > 0 {
		lines = append(lines, fmt.Sprintf("unchanged %d", p.Unchanged))
	}
	return strings.Join(lines, "; ")
}

// decide makes the plan of an input that edit completes, and compares its
// outline.
func decide(t *testing.T, edit func(*plan.Input), want string) plan.Plan {
	t.Helper()
	in := input()
	edit(in)
	p := plan.Make(*in)
	if got := outline(p); got != want {
		t.Errorf("got %q, want %q\nowned %+v\nlive %+v\nplan %+v", got, want, in.Owned.Members, in.Live, p)
	}
	return p
}
