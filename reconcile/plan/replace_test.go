package plan_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// fixedField says that the server lets nothing of data.key change.
func fixedField(o *plan.Observed) {
	o.Content = map[string]any{"data": map[string]any{"key": "old", "other": "x"}}
	o.DryRun = &plan.DryRun{Rejected: "data.key: field is immutable", Immutable: []string{"data.key"}}
}

func TestReplaceWantsOptIn(t *testing.T) {
	t.Parallel()
	claim := id("/PersistentVolumeClaim/shop/disk")
	self := func(in *plan.Input) { in.Self[one] = true }
	replace := func(in *plan.Input) { in.Rules.Replace = true }
	for name, test := range map[string]struct {
		id          object.ID
		annotations map[string]string
		labels      map[string]string
		edit        func(*plan.Input)
		want        string // the change, or the refusal
	}{
		"nobody opted in": {id: one, want: "refused immutable: ConfigMap shop/one (one.yaml): data.key cannot be changed once the object exists: to have it deleted and made again, annotate it with tidemark.dev/replace: enabled, or say immutable: replace for the app"},
		"our own":         {id: one, annotations: map[string]string{"tidemark.dev/replace": "enabled"}, want: "replace one (desired)"},
		"another value":   {id: one, annotations: map[string]string{"tidemark.dev/replace": "disabled"}, want: "refused immutable"},
		"Flux":            {id: one, annotations: map[string]string{"kustomize.toolkit.fluxcd.io/force": "Enabled"}, want: "replace one (desired)"},
		"Flux, a label":   {id: one, labels: map[string]string{"kustomize.toolkit.fluxcd.io/force": "enabled"}, want: "replace one (desired)"},
		"Argo CD":         {id: one, annotations: map[string]string{"argocd.argoproj.io/sync-options": "Force=true, Prune=false,Replace=true"}, want: "replace one (desired)"},
		"Argo CD, half":   {id: one, annotations: map[string]string{"argocd.argoproj.io/sync-options": "Replace=true"}, want: "refused immutable"},
		"the app":         {id: one, edit: replace, want: "replace one (desired)"},
		"a claim":         {id: claim, edit: replace, want: "refused protected: deleting it to make it again needs approval: PersistentVolumeClaim shop/disk (its data may go with it)"},
		"itself":          {id: one, edit: func(in *plan.Input) { replace(in); self(in) }, want: "refused protected"},
	} {
		in := input()
		o := manifest(test.id, map[string]any{"data": map[string]any{"key": "new"}}).WithMetadata(test.labels, test.annotations)
		wantObject(in, o, "d2")
		own(in, test.id, "d1")
		there(in, test.id, fixedField)
		if test.edit != nil {
			test.edit(in)
		}
		p := plan.Make(*in)
		got := ""
		if len(p.Refusals) > 0 {
			got = "refused " + p.Refusals[0].Reason + ": " + p.Refusals[0].Message
		} else if len(p.Changes) == 1 {
			c := p.Changes[0]
			got = string(c.Action) + " " + c.ID.Name + " (" + string(c.Reason) + ")"
		}
		if !strings.HasPrefix(got, test.want) || len(p.Invalid) > 0 {
			t.Errorf("%s: got %q (invalid %v), want %q", name, got, p.Invalid, test.want)
		}
	}
}

// Approving the plan's hash lets a claim be replaced. The plan shows the fields
// that cannot be changed, and no others.
func TestReplaceOfAClaimIsApproved(t *testing.T) {
	t.Parallel()
	in := input()
	claim := id("/PersistentVolumeClaim/shop/disk")
	wantObject(in, manifest(claim, map[string]any{"data": map[string]any{"key": "new", "more": "y"}}), "d2")
	own(in, claim, "d1")
	there(in, claim, fixedField)
	in.Rules.Replace = true
	refused := plan.Make(*in)
	if len(refused.Refusals) != 1 || !refused.Refusals[0].Approvable {
		t.Fatalf("refusals = %+v, want one that can be approved", refused.Refusals)
	}
	in.Approved[refused.Hash] = true
	p := plan.Make(*in)
	if len(p.Refusals) > 0 || !p.Approved || len(p.Changes) != 1 || p.Changes[0].Action != plan.Replace {
		t.Fatalf("approved: refusals %+v, changes %+v", p.Refusals, p.Changes)
	}
	if diff := p.Changes[0].Diff; len(diff) != 1 || diff[0].Path != "data.key" || diff[0].New != "new" {
		t.Errorf("diff = %+v, want data.key alone", diff)
	}
}

// A Secret's values stay out of a replacement's plan.
func TestReplaceMasksSecrets(t *testing.T) {
	t.Parallel()
	in := input()
	wantObject(in, manifest(token, map[string]any{"data": map[string]any{"key": "bmV3"}}), "")
	own(in, token, "")
	there(in, token, fixedField)
	in.Rules.Replace = true
	p := plan.Make(*in)
	if len(p.Changes) != 1 || len(p.Changes[0].Diff) != 1 || !p.Changes[0].Diff[0].Masked || p.Changes[0].Diff[0].New != nil {
		t.Errorf("changes = %+v, want one masked difference", p.Changes)
	}
}

// What was deleted to be made again is made, though the app leaves drift alone.
func TestReplaceGoesOnAfterADeath(t *testing.T) {
	t.Parallel()
	in := input()
	want(in, one, "d2")
	own(in, one, "", unseen) // as a Claim leaves it
	gone(in, one)
	in.Rules.Drift = plan.DriftReport
	p := plan.Make(*in)
	if len(p.Changes) != 1 || p.Changes[0].Action != plan.Create {
		t.Errorf("changes = %+v, want a create", p.Changes)
	}
}
