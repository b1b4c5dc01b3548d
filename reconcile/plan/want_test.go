package plan_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/state"
)

// What becomes of the wanted ConfigMap "one", whose digest is d1.
func TestMakeDecidesAboutAWantedObject(t *testing.T) {
	t.Parallel()
	owned := func(in *plan.Input) { own(in, one, "d1") }
	older := func(in *plan.Input) { own(in, one, "d0") }
	reporting := func(in *plan.Input) { in.Rules.Drift = plan.DriftReport }
	refusing := func(in *plan.Input) { in.Rules.RefuseConflicts = true }
	is := func(edit ...func(*plan.Observed)) func(*plan.Input) {
		return func(in *plan.Input) { there(in, one, edit...) }
	}
	unknown := func(o plan.Observed) func(*plan.Input) { return func(in *plan.Input) { in.Live[one] = o } }
	absent := func(in *plan.Input) { gone(in, one) }
	adopting := func(tools ...string) func(*plan.Input) {
		return func(in *plan.Input) { in.Rules.Adopt = tools }
	}
	helm := func(o *plan.Observed) { noMarks(o); annotated("meta.helm.sh/release-name", "web")(o) }
	type edits []func(*plan.Input)
	for _, c := range []struct {
		name string
		in   edits
		want string
	}{
		{"absent", edits{absent}, "create one (new)"},
		{"absent, member that was never seen", edits{func(in *plan.Input) { own(in, one, "", unseen) }, absent}, "create one (new)"},
		{"absent, deleted by hand", edits{owned, absent}, "create one (deleted)"},
		{"absent, deleted and changed", edits{older, absent}, "create one (desired)"},
		{"absent, deleted, report", edits{owned, absent, reporting}, "report one (deleted)"},
		{"absent, deleted and changed, report", edits{older, absent, reporting}, "create one (desired)"},
		{"absent, new, report", edits{absent, reporting}, "create one (new)"},
		{"absent, rejected", edits{unknown(plan.Observed{State: plan.Absent, DryRun: &plan.DryRun{Rejected: "no"}})}, "invalid"},
		{"absent, deleted, rejected, report", edits{owned, unknown(plan.Observed{State: plan.Absent, DryRun: &plan.DryRun{Rejected: "no"}}), reporting}, "report one (deleted)"},
		{"absent, not validated", edits{unknown(plan.Observed{State: plan.Absent, DryRun: &plan.DryRun{NotValidated: "webhook"}})}, "create one (new)"},

		{"not looked at", edits{}, "defer one (no-proof)"},
		{"not looked at, owned", edits{owned}, "defer one (no-proof)"},
		{"no kind", edits{unknown(plan.Observed{NoKind: true})}, "defer one (unknown-kind)"},
		{"no kind, owned", edits{owned, unknown(plan.Observed{NoKind: true})}, "defer one (unknown-kind)"},
		{"kind comes", edits{unknown(plan.Observed{NoKind: true}), func(in *plan.Input) { in.Coming[one.GroupKind()] = true }}, "create one (kind-comes)"},
		{"discovery fails, though the kind comes", edits{unknown(plan.Observed{Why: "discovery fails"}), func(in *plan.Input) { in.Coming[one.GroupKind()] = true }}, "defer one (no-proof)"},

		{"terminating", edits{is(terminating)}, "defer one (terminating)"},
		{"terminating, owned", edits{owned, is(terminating)}, "defer one (terminating)"},
		{"terminating, foreign", edits{is(terminating, helm)}, "defer one (terminating)"},

		{"ours, certain", edits{owned, is(certain)}, "unchanged 1"},
		{"ours, certain, digest differs, not looked at", edits{older, is(certain)}, "change one (desired)"},
		{"ours, suspect, not looked at", edits{owned, is()}, "change one (drift)"},
		{"ours, drifted", edits{owned, is(differs)}, "change one (drift)"},
		{"ours, drifted, another UID with our marks", edits{owned, is(differs, uid("restored"))}, "change one (drift)"},
		{"ours, drifted and changed", edits{older, is(differs)}, "change one (desired)"},
		{"ours, changed", edits{older, is(certain, differs)}, "change one (desired)"},
		{"ours, suspect, nothing differs", edits{owned, is(same)}, "unchanged 1"},
		{"ours, digest differs, nothing differs", edits{older, is(same)}, "unchanged 1"},
		{"ours, drifted, report", edits{owned, is(differs), reporting}, "report one (drift)"},
		{"ours, drifted and changed, report", edits{older, is(differs), reporting}, "change one (desired)"},
		{"ours, rejected", edits{owned, is(dry(plan.DryRun{Rejected: "no"}))}, "invalid"},
		{"ours, drifted, rejected, report", edits{owned, is(dry(plan.DryRun{Rejected: "no"})), reporting}, "report one (drift)"},
		{"ours, changed, rejected, report", edits{older, is(dry(plan.DryRun{Rejected: "no"})), reporting}, "invalid"},
		{"ours, not validated", edits{older, is(dry(plan.DryRun{NotValidated: "webhook"}))}, "change one (desired)"},
		{"ours, conflicts", edits{owned, is(differs, func(o *plan.Observed) { o.DryRun.Conflicts = []string{"hpa: .spec.replicas"} })}, "change one (drift)"},
		{"ours, conflicts, refuse", edits{owned, is(dry(plan.DryRun{Conflicts: []string{"hpa: .spec.replicas"}})), refusing}, "defer one (conflict)"},
		{"ours, conflicts, refuse and report", edits{owned, is(dry(plan.DryRun{Conflicts: []string{"hpa: .spec.replicas"}})), refusing, reporting}, "report one (drift)"},
		{"ours, not in the inventory", edits{is(differs)}, "adopt one (marked)"},
		{"ours, not in the inventory, nothing differs", edits{is(same)}, "adopt one (marked)"},
		{"label stripped, same UID", edits{owned, is(noLabel, differs)}, "change one (drift)"},
		{"annotation stripped, same UID", edits{owned, is(noAnnotation, differs)}, "change one (drift)"},
		{"all marks stripped, same UID", edits{owned, is(noMarks, differs)}, "change one (drift)"},
		{"all marks stripped, another UID", edits{owned, is(noMarks, differs, uid("other"))}, "adopt one (unmanaged)"},
		{"no marks, member that was never seen", edits{func(in *plan.Input) { own(in, one, "", unseen) }, is(noMarks)}, "adopt one (unmanaged)"},

		{"free", edits{is(noMarks)}, "adopt one (unmanaged)"},
		{"free, rejected", edits{is(noMarks, dry(plan.DryRun{Rejected: "no"}))}, "invalid"},
		{"free, conflicts, refuse", edits{is(noMarks, dry(plan.DryRun{Conflicts: []string{"kubectl: .data"}})), refusing}, "defer one (conflict)"},
		{"foreign", edits{is(helm)}, "refused foreign"},
		{"foreign, owned", edits{owned, is(helm)}, "refused foreign"},
		{"foreign, may be adopted", edits{is(helm), adopting("flux", "helm")}, "adopt one (foreign)"},
		{"foreign, another may be adopted", edits{is(helm), adopting("flux")}, "refused foreign"},
		{"another ledger's", edits{is(labelled(object.LabelLedger, "9999"))}, "refused foreign"},
		{"another ledger's, may be adopted", edits{is(labelled(object.LabelLedger, "9999")), adopting("tidemark:9999")}, "adopt one (foreign)"},
		{"copied", edits{is(annotated(object.AnnotationID, "/ConfigMap/shop/other"))}, "refused foreign"},
		{"copied, owned with another UID", edits{owned, is(uid("copy"), noAnnotation)}, "refused foreign"},
		{"controlled", edits{is(noMarks, controlled)}, "refused foreign"},
		{"controlled, adopting everything", edits{is(noMarks, controlled), adopting(plan.Tools()...)}, "refused foreign"},
		{"controlled, with our marks", edits{is(controlled)}, "refused foreign"},
		{"controlled, owned with the same UID", edits{owned, is(controlled)}, "refused foreign"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			decide(t, func(in *plan.Input) {
				want(in, one, "d1")
				for _, edit := range c.in {
					edit(in)
				}
			}, c.want)
		})
	}
}

// A Secret has no digest: what is known of it is whether it is as it was
// observed, and whether its inputs are those that were applied.
func TestMakeTellsDriftOfASecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		sameInputs, report bool
		live               []func(*plan.Observed)
		want               string
	}{
		{"certain, not looked at", true, false, []func(*plan.Observed){certain}, "unchanged 1"},
		{"suspect, nothing differs", true, false, []func(*plan.Observed){same}, "unchanged 1"},
		{"changed", false, false, []func(*plan.Observed){certain, differs}, "change token (desired)"},
		{"changed, report", false, true, []func(*plan.Observed){certain, differs}, "change token (desired)"},
		{"drifted", true, false, []func(*plan.Observed){differs}, "change token (drift)"},
		{"drifted, report", true, true, []func(*plan.Observed){differs}, "report token (drift)"},
		{"drifted or changed", false, false, []func(*plan.Observed){differs}, "change token (desired)"},
		// Its last apply may have failed: taken for drift, it would never be applied.
		{"drifted or changed, report", false, true, []func(*plan.Observed){differs}, "change token (desired)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			decide(t, func(in *plan.Input) {
				want(in, token, "")
				own(in, token, "")
				there(in, token, c.live...)
				in.SameInputs = c.sameInputs
				if c.report {
					in.Rules.Drift = plan.DriftReport
				}
			}, c.want)
		})
	}
	decide(t, func(in *plan.Input) { want(in, token, ""); own(in, token, ""); gone(in, token) }, "create token (deleted)")
}

func TestMakeLeavesAFinishedJobAway(t *testing.T) {
	t.Parallel()
	job := id("batch/Job/shop/migrate")
	expiring := manifest(job, map[string]any{"spec": map[string]any{"ttlSecondsAfterFinished": int64(60)}})
	for _, c := range []struct {
		name  string
		job   object.Object
		owned func(*plan.Input)
		want  string
	}{
		{"never made", expiring, func(*plan.Input) {}, "create migrate (new)"},
		{"create never answered", expiring, func(in *plan.Input) { own(in, job, "d1", unseen) }, "create migrate (new)"},
		{"ran", expiring, func(in *plan.Input) { own(in, job, "d1") }, "unchanged 1"},
		{"ran, and changed since", expiring, func(in *plan.Input) { own(in, job, "d0") }, "create migrate (desired)"},
		{"deleted by hand, does not expire", manifest(job, nil), func(in *plan.Input) { own(in, job, "d1") }, "create migrate (deleted)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			decide(t, func(in *plan.Input) { wantObject(in, c.job, "d1"); c.owned(in); gone(in, job) }, c.want)
		})
	}
}

func TestMakeCreatesOnly(t *testing.T) {
	t.Parallel()
	space := id("/Namespace//shop")
	free := func(in *plan.Input) { there(in, space, noMarks) }
	owned := func(in *plan.Input) { own(in, space, "d1") }
	wantedByInfra := func(in *plan.Input) { in.Others.Wants[space] = "infra" }
	infraHas := func(in *plan.Input) { in.Others.Owns[space] = plan.Holder{App: "infra", Origin: state.Created} }
	for _, c := range []struct {
		name string
		in   []func(*plan.Input)
		want string
	}{
		{"absent", []func(*plan.Input){func(in *plan.Input) { gone(in, space) }}, "create shop (new)"},
		{"somebody's", []func(*plan.Input){free}, ""},
		{"another tool's", []func(*plan.Input){func(in *plan.Input) { there(in, space, noMarks, annotated("meta.helm.sh/release-name", "web")) }}, ""},
		{"ours", []func(*plan.Input){owned, func(in *plan.Input) { there(in, space, certain) }}, "unchanged 1"},
		{"ours, drifted", []func(*plan.Input){owned, func(in *plan.Input) { there(in, space, differs) }}, "change shop (drift)"},
		{"another app wants it", []func(*plan.Input){wantedByInfra, func(in *plan.Input) { gone(in, space) }}, ""},
		{"another app wants and has it", []func(*plan.Input){wantedByInfra, infraHas, func(in *plan.Input) { there(in, space) }}, ""},
		{"another app that takes no part has it", []func(*plan.Input){infraHas, func(in *plan.Input) { there(in, space) }}, ""},
		{"another app had it, and it is gone", []func(*plan.Input){infraHas, func(in *plan.Input) { in.Others.Rendered["infra"] = true; gone(in, space) }}, "create shop (new)"},
		{"another app wants what we have", []func(*plan.Input){wantedByInfra, owned, func(in *plan.Input) { there(in, space) }}, "hand-over shop (wanted)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			decide(t, func(in *plan.Input) {
				want(in, space, "d1")
				in.CreateOnly[space] = true
				for _, edit := range c.in {
					edit(in)
				}
			}, c.want)
		})
	}
}

func TestMakeKeepsAppsApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   func(*plan.Input)
		want string
	}{
		{"wanted twice", func(in *plan.Input) { in.Others.Wants[one] = "other" }, "refused wanted-twice"},
		{"wanted twice, owned", func(in *plan.Input) { in.Others.Wants[one] = "other"; own(in, one, "d1"); there(in, one) }, "refused wanted-twice"},
		{"another app has it and was not rendered", func(in *plan.Input) {
			in.Others.Owns[one] = plan.Holder{App: "other", Origin: state.Created}
			there(in, one)
		}, "refused owned-elsewhere"},
		{"another app let go of it", func(in *plan.Input) {
			in.Others.Owns[one] = plan.Holder{App: "other", Origin: state.Created}
			in.Others.Rendered["other"] = true
			there(in, one)
		}, "adopt one (wanted)"},
		{"both have it since a hand-over was cut off", func(in *plan.Input) {
			in.Others.Owns[one] = plan.Holder{App: "other", Origin: state.Created}
			own(in, one, "d1")
			there(in, one, certain)
		}, "unchanged 1"},
		{"another app let go of it, and it lost its marks", func(in *plan.Input) {
			in.Others.Owns[one] = plan.Holder{App: "other", Origin: state.Created}
			in.Others.Rendered["other"] = true
			there(in, one, noMarks)
		}, "adopt one (unmanaged)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			decide(t, func(in *plan.Input) { want(in, one, "d1"); c.in(in) }, c.want)
		})
	}
}

// How an object came to be ours decides about its protection, for good.
func TestMakeTellsTheOriginOfWhatItTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   func(*plan.Input)
		want state.Origin
	}{
		{"made", func(in *plan.Input) { gone(in, one) }, state.Created},
		{"made when its kind comes", func(in *plan.Input) {
			in.Live[one] = plan.Observed{NoKind: true}
			in.Coming[one.GroupKind()] = true
		}, state.Created},
		{"found", func(in *plan.Input) { there(in, one, noMarks) }, state.Adopted},
		{"found with our marks", func(in *plan.Input) { there(in, one) }, state.Adopted},
		{"handed over, made by the other app", func(in *plan.Input) {
			in.Others.Owns[one] = plan.Holder{App: "other", Origin: state.Created}
			in.Others.Rendered["other"] = true
			there(in, one)
		}, state.Created},
		{"handed over, adopted by the other app", func(in *plan.Input) {
			in.Others.Owns[one] = plan.Holder{App: "other", Origin: state.Adopted}
			in.Others.Rendered["other"] = true
			there(in, one)
		}, state.Adopted},
		{"already ours", func(in *plan.Input) { own(in, one, "d1"); there(in, one, differs) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input()
			want(in, one, "d1")
			c.in(in)
			p := plan.Make(*in)
			if len(p.Changes) != 1 || p.Changes[0].Origin != c.want {
				t.Errorf("got %+v, want one change with the origin %q\nlive %+v", p.Changes, c.want, in.Live)
			}
		})
	}
}

// An Ingress that was applied in the group extensions and is wanted in
// networking.k8s.io is one object: it must neither be refused nor pruned.
func TestMakeFollowsAKindToAnotherGroup(t *testing.T) {
	t.Parallel()
	before, now := id("extensions/Ingress/shop/web"), id("networking.k8s.io/Ingress/shop/web")
	asBefore := annotated(object.AnnotationID, before.Mark())
	asNow := annotated(object.AnnotationID, now.Mark())
	for _, c := range []struct {
		name string
		in   func(*plan.Input)
		want string
	}{
		{"the old group is served no more", func(in *plan.Input) {
			own(in, before, "d0")
			in.Live[before] = plan.Observed{NoKind: true}
			there(in, now, asBefore, differs)
		}, "adopt web (renamed); forget web (gone)"},
		{"both groups are served", func(in *plan.Input) {
			own(in, before, "d0")
			there(in, before)
			there(in, now, asBefore, differs)
		}, "adopt web (renamed); forget web (renamed)"},
		{"it was applied already, and the run died", func(in *plan.Input) {
			own(in, before, "d0")
			own(in, now, "d1")
			there(in, before, asNow)
			there(in, now, certain)
		}, "forget web (renamed); unchanged 1"},
		{"only the inventory was written, and the run died", func(in *plan.Input) {
			own(in, now, "")
			there(in, now, asBefore, differs)
		}, "change web (desired)"},
		{"another object of that name", func(in *plan.Input) {
			own(in, before, "d0")
			in.Live[before] = plan.Observed{NoKind: true}
			there(in, now, asBefore, uid("other"))
		}, "forget web (gone); refused foreign"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := decide(t, func(in *plan.Input) { want(in, now, "d1"); c.in(in) }, c.want)
			for _, change := range p.Changes {
				if change.Action == plan.Adopt && change.Origin != state.Created {
					t.Errorf("origin = %q, want that of the member before, created", change.Origin)
				}
			}
		})
	}
}

func TestMakeSaysWhyAndWhere(t *testing.T) {
	t.Parallel()
	p := decide(t, func(in *plan.Input) {
		want(in, one, "d1")
		there(in, one, noMarks, annotated("meta.helm.sh/release-name", "shop"))
		want(in, two, "d2")
		there(in, two, noMarks, dry(plan.DryRun{Rejected: "data: too long"}))
	}, "refused foreign; invalid")
	for _, text := range []string{"one.yaml", "ConfigMap shop/one", "meta.helm.sh/release-name=shop", "adopt: [helm]"} {
		if got := p.Refusals[0].Message; !strings.Contains(got, text) {
			t.Errorf("refusal = %q, want %q in it", got, text)
		}
	}
	for _, text := range []string{"two.yaml", "ConfigMap shop/two", "data: too long"} {
		if got := p.Invalid[0]; !strings.Contains(got, text) {
			t.Errorf("invalid = %q, want %q in it", got, text)
		}
	}
	if p.Refusals[0].ID != one || p.Refusals[0].Approvable {
		t.Errorf("refusal = %+v, want it about %s and not to be approved", p.Refusals[0], one)
	}

	in := input()
	want(in, one, "d1")
	there(in, one, noMarks, controlled)
	if got := plan.Make(*in).Refusals[0].Message; !strings.Contains(got, "ReplicaSet rs") || strings.Contains(got, "adopt:") {
		t.Errorf("refusal = %q, want the controller named and no adoption offered", got)
	}
}
