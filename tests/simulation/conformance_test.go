package simulation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
	"tidemark.dev/tidemark/tests/servers/assets"
)

// subject is an API server that is compared: as a run sees it, and as others do.
type subject struct {
	t       *testing.T
	cluster reconcile.Cluster
	witness reconcile.Witness
	// anew gives the cluster as a later run sees it, that discovered nothing yet.
	anew func() reconcile.Cluster
	// take is a forced apply by somebody else, finalize sets finalizers.
	take     func(o object.Object)
	finalize func(id object.ID, finalizers ...string)

	seen map[object.ID]plan.Meta
	told []string
}

// TestConformance does the same with the simulated API server and the real one,
// and compares what they answer.
func TestConformance(t *testing.T) {
	t.Parallel()
	var simulated []string
	synctest.Test(t, func(t *testing.T) {
		simulated = simulatedSubject(t).tell()
	})
	real := realSubject(t).tell()
	for i := range max(len(simulated), len(real)) {
		if got, want := at(simulated, i), at(real, i); got != want {
			t.Errorf("simulated: %s\n     real: %s", got, want)
		}
	}
	t.Logf("counts: simulated API server: %d answers the same as the real one's", len(real))
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}

func simulatedSubject(t *testing.T) *subject {
	w := newWorld(t, scenario{}, 0)
	w.choose = nil
	w.server.remove(namespace("shop").ID)
	c := &client{process: &process{world: w}}
	return &subject{
		t: t, cluster: c, witness: c,
		anew:     func() reconcile.Cluster { return &client{process: &process{world: w}} },
		take:     func(o object.Object) { _, _ = w.server.apply(o, apply.Target{}, "other", true) },
		finalize: func(id object.ID, finalizers ...string) { w.server.finalize(id, finalizers...) },
	}
}

func realSubject(t *testing.T) *subject {
	plane, err := servers.StartControlPlane(t.Context(), t.TempDir(), servers.ControlPlaneOptions{})
	if missing := (*assets.MissingError)(nil); errors.As(err, &missing) {
		t.Skipf("there is no API server to compare with: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	open := func() *cluster.Cluster {
		c, err := cluster.Open(cluster.Options{Server: plane.URL, Token: plane.Token, CA: plane.CACert, Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open()
	path := func(id object.ID) string {
		return "/api/v1/namespaces/" + id.Namespace + "/configmaps/" + id.Name
	}
	return &subject{
		t: t, cluster: c, witness: c.Witness("default", "tidemark-0", "state"),
		anew: func() reconcile.Cluster { return open() },
		take: func(o object.Object) {
			data, err := o.JSON()
			if err == nil {
				_, err = plane.Apply(context.Background(), path(o.ID), "other", data)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		finalize: func(id object.ID, finalizers ...string) {
			body := fmt.Appendf(nil, `{"metadata":{"finalizers":[%s]}}`, strings.Join(finalizers, ","))
			if len(finalizers) > 0 {
				body = fmt.Appendf(nil, `{"metadata":{"finalizers":["%s"]}}`, strings.Join(finalizers, `","`))
			}
			if _, err := plane.Patch(context.Background(), path(id), body); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// note writes down what came of an operation, in words that hold for any server:
// the case of an error, and what of the object moved.
func (s *subject) note(what string, id object.ID, meta plan.Meta, err error) {
	if err != nil {
		s.told = append(s.told, what+": "+errorCase(err))
		return
	}
	before, known := s.seen[id]
	moved := func(old, now string) string {
		switch {
		case now == "":
			return "none"
		case !known:
			return "new"
		case old == now:
			return "same"
		}
		return "moved"
	}
	delete(meta.Labels, "kubernetes.io/metadata.name")
	s.told = append(s.told, fmt.Sprintf("%s: uid %s, resourceVersion %s, owned %s, generation %d, labels %v, annotations %v, finalizers %v, terminating %v, managers %v",
		what, moved(before.UID, meta.UID), moved(before.ResourceVersion, meta.ResourceVersion), moved(before.Owned, meta.Owned), meta.Generation,
		meta.Labels, meta.Annotations, meta.Finalizers, meta.Terminating, named(meta.Managers)))
	s.seen[id] = meta
}

// named leaves out whoever set finalizers.
func named(managers []string) []string {
	return slices.DeleteFunc(slices.Clone(managers), func(m string) bool { return m != ours && m != recoverer && m != "other" })
}

func errorCase(err error) string {
	if fields, ok := errors.AsType[*apply.FieldConflictError](err); ok {
		return fmt.Sprintf("conflict of fields %v", fields.Fields)
	}
	for name, sentinel := range map[string]error{
		"not found": apply.ErrNotFound, "no kind": apply.ErrNoKind, "conflict": apply.ErrConflict, "forbidden": apply.ErrForbidden,
	} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	if errors.Is(err, apply.ErrRejected) {
		return "rejected"
	}
	return err.Error()
}

func (s *subject) apply(what string, o object.Object, at apply.Target, force bool) {
	meta, err := s.cluster.Apply(s.t.Context(), o, at, force)
	s.note("apply "+what, o.ID, meta, err)
}

func (s *subject) look(what string, id object.ID) {
	content, meta, err := s.cluster.Read(s.t.Context(), id, "v1")
	s.note("read "+what, id, meta, err)
	if err == nil {
		s.told = append(s.told, fmt.Sprintf("read %s: data %v, spec %v", what, content["data"], content["spec"]))
	}
}

func (s *subject) delete(what string, id object.ID, at apply.Target) {
	err := s.cluster.Delete(s.t.Context(), id, "v1", at, "")
	s.told = append(s.told, fmt.Sprintf("delete %s: %s", what, done(err)))
}

func (s *subject) touch(what string, id object.ID, at apply.Target) {
	meta, err := s.cluster.Touch(s.t.Context(), id, "v1", at, 7)
	s.note("touch "+what, id, meta, err)
}

func (s *subject) dryRun(what string, o object.Object, at apply.Target, force bool) {
	dry, err := s.cluster.DryRun(s.t.Context(), o, at, force)
	answer := done(err)
	if err == nil {
		answer = fmt.Sprintf("conflicts %v, rejected %v, not validated %v, data %v", dry.Conflicts, dry.Rejected != "", dry.NotValidated != "", dry.Content["data"])
	}
	s.told = append(s.told, "dry-run "+what+": "+answer)
}

func (s *subject) list(what string, kind object.GroupKind, label, value string) {
	found, err := s.cluster.List(s.t.Context(), kind, "shop", label, value)
	names := []string{done(err)}
	for _, id := range slices.SortedFunc(maps.Keys(found), object.ID.Compare) {
		names = append(names, id.Name)
	}
	s.told = append(s.told, "list "+what+": "+strings.Join(names, " "))
}

func done(err error) string {
	if err == nil {
		return "done"
	}
	return errorCase(err)
}

// now gives the object as it was seen last.
func (s *subject) now(id object.ID) apply.Target {
	return apply.Target{UID: s.seen[id].UID, ResourceVersion: s.seen[id].ResourceVersion}
}

// another is a UID that no object has.
const another = "00000000-0000-0000-0000-000000000000"

// tell does everything that the two are compared by.
func (s *subject) tell() []string {
	s.seen = map[object.ID]plan.Meta{}
	// The server notes times by the second.
	second := func() { time.Sleep(time.Second) }
	none := apply.Target{}
	one, two := configMap("one", "1").ID, configMap("two", "1").ID
	two1 := made("v1", "ConfigMap", "shop", "two", fields{"data": fields{"key": "1", "more": "1"}})

	s.apply("in no namespace", configMapIn("nowhere", "one", "1"), none, false)
	s.dryRun("in no namespace", configMapIn("nowhere", "one", "1"), none, false)
	s.apply("the namespace", namespace("shop"), none, false)

	s.look("what is absent", one)
	s.dryRun("of a create", configMap("one", "1"), none, false)
	s.apply("with a UID on what is absent", configMap("one", "1"), apply.Target{UID: another}, true)
	s.apply("with both on what is absent", configMap("one", "1"), apply.Target{UID: another, ResourceVersion: "1"}, true)
	s.apply("a create", configMap("one", "1"), none, false)
	s.look("it", one)
	s.apply("the same again", configMap("one", "1"), s.now(one), true)
	first := s.now(one)
	second()
	s.dryRun("of a change", configMap("one", "2"), s.now(one), false)
	s.apply("a change", configMap("one", "2"), s.now(one), true)
	s.look("it", one)
	s.apply("a stale change", configMap("one", "3"), first, true)
	s.dryRun("of a stale change", configMap("one", "3"), first, true)
	s.apply("another's UID", configMap("one", "3"), apply.Target{UID: another, ResourceVersion: s.now(one).ResourceVersion}, true)
	s.apply("a late create", configMap("one", "late"), none, false)
	s.apply("a late create of the same", configMap("one", "2"), none, true)
	s.look("it", one)
	s.apply("labels", configMap("one", "2").WithMetadata(map[string]string{"team": "blue"}, map[string]string{"note": "x"}), s.now(one), true)
	second()
	s.apply("no labels", configMap("one", "2"), s.now(one), true)
	s.list("everything", one.GroupKind(), "team", "blue")

	s.apply("two fields", two1, none, false)
	second()
	s.take(configMap("two", "theirs"))
	s.look("what somebody took", two)
	s.apply("without force", two1, s.now(two), false)
	s.dryRun("without force", two1, s.now(two), false)
	s.dryRun("with force", two1, s.now(two), true)
	s.apply("a late create of another value", two1, none, false)
	s.apply("with force", two1, s.now(two), true)
	s.look("what was taken back", two)
	s.take(configMap("two", "1"))
	s.look("what both want", two)
	second()
	s.apply("one field less", made("v1", "ConfigMap", "shop", "two", fields{"data": fields{"more": "1"}}), s.now(two), true)
	s.look("what only the other one wants now", two)
	s.apply("the other field less", made("v1", "ConfigMap", "shop", "two", fields{"data": fields{"key": "1"}}), s.now(two), true)
	s.look("it", two)

	before := s.now(two)
	s.touch("it", two, before)
	s.touch("it, stale", two, before)
	s.touch("another", two, apply.Target{UID: another, ResourceVersion: s.now(two).ResourceVersion})
	s.touch("what is absent", configMap("none", "").ID, before)
	s.apply("after a touch", configMap("two", "1"), s.now(two), true)
	s.apply("late, after a touch", configMap("two", "9"), before, true)
	s.delete("late, after a touch", two, before)

	s.delete("what is absent", configMap("none", "").ID, s.now(two))
	s.delete("another", two, apply.Target{UID: another, ResourceVersion: s.now(two).ResourceVersion})
	s.delete("it", two, s.now(two))
	s.look("what was deleted", two)
	s.delete("it again", two, s.now(two))
	second()
	s.apply("made again", configMap("two", "1"), none, false)
	s.finalize(two, "example.com/hold")
	s.look("with a finalizer", two)
	s.delete("with a finalizer", two, s.now(two))
	s.look("what terminates", two)
	s.delete("what terminates", two, s.now(two))
	s.look("what terminates still", two)
	second()
	s.apply("to what terminates", configMap("two", "2"), s.now(two), true)
	second()
	s.apply("a create where something terminates", configMap("two", "3"), none, false)
	s.finalize(two)
	s.look("what let go", two)

	s.customs(none)
	s.witnesses()
	return s.told
}

// customs compares kinds that are defined, used and taken away.
func (s *subject) customs(none apply.Target) {
	widget := custom("Widget", "w", "1").ID
	s.apply("of an unknown kind", custom("Widget", "w", "1"), none, false)
	s.dryRun("of an unknown kind", custom("Widget", "w", "1"), none, false)
	s.look("of an unknown kind", widget)
	s.apply("a definition", definition("Widget", "widgets"), none, false)
	bounded, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	s.told = append(s.told, "established: "+done(s.cluster.Established(bounded, []string{"widgets.example.com"})))
	s.apply("a custom resource", custom("Widget", "w", "1"), none, false)
	time.Sleep(time.Second)
	s.apply("its spec", custom("Widget", "w", "2"), s.now(widget), true)
	s.apply("its labels", custom("Widget", "w", "2").WithMetadata(map[string]string{"team": "blue"}, nil), s.now(widget), true)
	s.look("it", widget)
	s.touch("it", widget, s.now(widget))
	s.list("widgets", widget.GroupKind(), "", "")
	s.recalls(widget, custom("Widget", "other", "1").ID)
	s.delete("it", widget, s.now(widget))
	s.look("it", widget)
}

// recalls compares what kinds are good for that an earlier run learned of.
func (s *subject) recalls(id, absent object.ID) {
	known := plan.Kind{Versions: []string{"v1"}, Namespaced: true, Resource: "widgets"}
	old := known
	old.Resource = "formers"
	for _, kind := range []plan.Kind{known, old} {
		later := s.anew()
		later.Recall(map[object.GroupKind]plan.Kind{id.GroupKind(): kind})
		found, err := later.List(s.t.Context(), id.GroupKind(), "", "", "")
		_, here := later.Metadata(s.t.Context(), id, "v1")
		_, _, away := later.Read(s.t.Context(), absent, "v1")
		s.told = append(s.told, fmt.Sprintf("recalled as %s: list %d %s, metadata %s, read %s", kind.Resource, len(found), done(err), done(here), done(away)))
		_, err = later.Discover(s.t.Context(), false)
		found, listed := later.List(s.t.Context(), id.GroupKind(), "", "", "")
		s.told = append(s.told, fmt.Sprintf("discovered: %s, list %d %s", done(err), len(found), done(listed)))
	}
}

// witnesses compares the witness.
func (s *subject) witnesses() {
	ctx := s.t.Context()
	know := apply.Witness{Lineage: "l", Epoch: 1, Holder: "p1"}
	_, err := s.witness.ReadWitness(ctx)
	s.told = append(s.told, "read witness: "+done(err))
	s.told = append(s.told, "write witness: "+done(s.witness.WriteWitness(ctx, know)))
	s.told = append(s.told, "make it again: "+done(s.witness.WriteWitness(ctx, know)))
	first, err := s.witness.ReadWitness(ctx)
	s.told = append(s.told, fmt.Sprintf("read witness: %s, %s %d", done(err), first.Lineage, first.Epoch))
	first.Epoch = 2
	s.told = append(s.told, "write witness: "+done(s.witness.WriteWitness(ctx, first)))
	s.told = append(s.told, "write it late: "+done(s.witness.WriteWitness(ctx, first)))
}
