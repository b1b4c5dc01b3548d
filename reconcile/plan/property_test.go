package plan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// chance gives an Input with some of everything in it, the same for the same
// seed.
func chance(seed uint64) *plan.Input {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // tests want the same numbers again
	one := func(of int) bool { return random.IntN(of) == 0 }
	in := input()
	in.Rules = plan.Rules{RefuseConflicts: one(4), KeepAll: one(8)}
	if one(4) {
		in.Rules.Drift = plan.DriftReport
	}
	in.SameInputs = one(2)
	if one(2) {
		in.Rules.Adopt = []string{"helm"}
	}
	kinds := []string{"/ConfigMap/shop/", "/Secret/shop/", "/Namespace//", "apps/StatefulSet/shop/", "extensions/Ingress/shop/", "networking.k8s.io/Ingress/shop/", "batch/Job/shop/"}
	digest := func() string { return fmt.Sprint("d", random.IntN(2)) }
	for _, kind := range kinds {
		for n := range 4 {
			id := id(fmt.Sprintf("%sn%d", kind, n))
			if one(2) {
				want(in, id, digest())
				in.CreateOnly[id] = one(8)
			}
			if one(2) {
				own(in, id, digest(), func(m *state.Member) {
					m.Kept = one(8)
					if one(6) {
						m.Origin = state.Adopted
					}
					if one(6) {
						m.UID = ""
					}
				})
			}
			if one(8) {
				in.Others.Wants[id] = "other"
			}
			if one(8) {
				in.Others.Owns[id] = plan.Holder{App: "other", Origin: state.Created}
			}
			observe(in, id, random)
		}
	}
	in.Others.Rendered["other"] = one(2)
	if one(8) {
		in.Others.Unknown = []string{"silent"}
	}
	in.Coming[object.GroupKind{Kind: "ConfigMap"}] = one(4)
	return in
}

func observe(in *plan.Input, id object.ID, random *rand.Rand) {
	switch random.IntN(10) {
	case 0:
		return
	case 1:
		in.Live[id] = plan.Observed{NoKind: true}
		return
	case 2:
		in.Live[id] = plan.Observed{Why: "503"}
		return
	case 3, 4:
		gone(in, id)
		return
	}
	var edits []func(*plan.Observed)
	for _, edit := range []func(*plan.Observed){
		certain, terminating, noMarks, noLabel, noAnnotation, controlled, uid("other"),
		labelled(object.LabelApp, "other"), labelled(object.LabelLedger, "9999"),
		annotated("meta.helm.sh/release-name", "web"), annotated("tidemark.dev/prune", "disabled"),
		annotated(object.AnnotationID, "extensions/Ingress/"+id.Namespace+"/"+id.Name),
		differs, same,
		dry(plan.DryRun{Rejected: "no"}), dry(plan.DryRun{NotValidated: "webhook"}),
		dry(plan.DryRun{Conflicts: []string{"hpa: .spec.replicas"}}),
	} {
		if random.IntN(8) == 0 {
			edits = append(edits, edit)
		}
	}
	there(in, id, edits...)
}

const tries = 600

// Law 1 and law 4: whatever the world looks like, nothing is deleted or
// forgotten without proof.
func TestMakeHoldsItsLaws(t *testing.T) {
	t.Parallel()
	pruned := 0
	for seed := range uint64(tries) {
		in := chance(seed)
		p := plan.Make(*in)
		decided := map[object.ID]plan.Change{}
		for _, c := range p.Changes {
			if before, twice := decided[c.ID]; twice {
				t.Fatalf("seed %d: two changes for one object: %+v and %+v", seed, before, c)
			}
			decided[c.ID] = c
			live := in.Live[c.ID]
			member, owned := in.Owned.Lookup(c.ID)
			owner, _, _ := plan.OwnerOf(c.ID, live.Meta, ledger)
			_, wanted := in.Want.Get(c.ID)
			_, wantedElsewhere := in.Others.Wants[c.ID]
			switch c.Action {
			case plan.Prune:
				pruned++
				if !owned || member.Kept || owner != plan.Ours || live.State != plan.Present || live.Labels[object.LabelApp] != app || c.UID == "" || c.UID != live.UID {
					t.Fatalf("seed %d: %+v is pruned without proof that it is ours and there: member %+v, live %+v", seed, c, member, live)
				}
				if wanted || wantedElsewhere || len(in.Others.Unknown) > 0 || in.Rules.KeepAll {
					t.Fatalf("seed %d: %+v is pruned though it is wanted", seed, c)
				}
				for _, o := range in.Want.Objects() {
					if seen := in.Live[o.ID]; seen.State == plan.Present && seen.UID == c.UID {
						t.Fatalf("seed %d: %+v is pruned though the set names it %s", seed, c, o.ID)
					}
				}
			case plan.Replace: // of which these inputs hold none
				t.Fatalf("seed %d: %+v is replaced, and nothing says that it cannot be changed", seed, c)
			case plan.Forget:
				renamed := c.Reason == plan.ReasonRenamed
				if live.State != plan.Absent && !live.NoKind && owner != plan.Foreign && !renamed {
					t.Fatalf("seed %d: %+v is forgotten without proof that it is gone: live %+v", seed, c, live)
				}
			case plan.Create, plan.Adopt:
				if !wanted || c.Origin == "" {
					t.Fatalf("seed %d: %+v is made unwanted, or without an origin", seed, c)
				}
				if c.Action == plan.Create && live.State != plan.Absent && c.Reason != plan.ReasonKindComes {
					t.Fatalf("seed %d: %+v is created though it is not known to be absent: live %+v", seed, c, live)
				}
			case plan.Update:
				if !wanted || !owned || live.State != plan.Present {
					t.Fatalf("seed %d: %+v is changed, and not wanted, ours and there: live %+v", seed, c, live)
				}
			case plan.HandOver:
				if owner != plan.Ours || c.To == "" || !wantedElsewhere {
					t.Fatalf("seed %d: %+v is handed over, and not ours or wanted by nobody: live %+v", seed, c, live)
				}
			case plan.Keep, plan.Defer, plan.Report:
			case plan.Fence, plan.Run, plan.Await:
				t.Fatalf("seed %d: %+v is in a plan, and fences are not planned", seed, c)
			}
		}
		for _, member := range in.Owned.Members {
			_, wanted := in.Want.Get(member.ID)
			if _, is := decided[member.ID]; !wanted && !is {
				t.Fatalf("seed %d: nothing is decided about the member %+v", seed, member)
			}
		}
		for _, r := range p.Refusals {
			if r.Approvable && in.Approved[p.Hash] {
				t.Fatalf("seed %d: %+v stands though it was approved", seed, r)
			}
		}
	}
	if pruned < tries/4 {
		t.Errorf("%d prunes in %d plans, want more: the test hardly tests anything", pruned, tries)
	}
}

func TestMakeEditsNoInput(t *testing.T) {
	t.Parallel()
	opaque := cmp.AllowUnexported(object.Set{}, object.Object{}, plan.Input{})
	for seed := range uint64(60) {
		in := chance(seed)
		first := plan.Make(*in)
		if diff := cmp.Diff(chance(seed), in, opaque); diff != "" {
			t.Fatalf("seed %d: Make edited its input (-before +after):\n%s", seed, diff)
		}
		if diff := cmp.Diff(first, plan.Make(*in)); diff != "" {
			t.Fatalf("seed %d: the second plan differs (-first +second):\n%s", seed, diff)
		}
	}
}
