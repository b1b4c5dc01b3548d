package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

func TestApply(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	one := configMap(t, ns, "one", "a")
	before, err := one.JSON()
	if err != nil {
		t.Fatal(err)
	}

	created := must(t, c, one, apply.Target{})
	if created.UID == "" || created.ResourceVersion == "" || created.Owned == "" {
		t.Errorf("got %+v of a create, want UID, resourceVersion and what is owned", created)
	}
	if want := map[string]string{"team": "blue"}; !reflect.DeepEqual(created.Labels, want) {
		t.Errorf("got labels %v, want %v", created.Labels, want)
	}
	if want := []string{cluster.FieldManager}; !reflect.DeepEqual(created.Managers, want) {
		t.Errorf("got managers %v, want %v", created.Managers, want)
	}

	same := must(t, c, one, target(created))
	if !reflect.DeepEqual(same, created) {
		t.Errorf("got %+v of the same apply again, want %+v", same, created)
	}
	changed := must(t, c, configMap(t, ns, "one", "b"), target(created))
	if changed.ResourceVersion == created.ResourceVersion {
		t.Error("a changed value left the resourceVersion as it was")
	}
	if after, _ := one.JSON(); string(after) != string(before) {
		t.Errorf("the object that was given is now %s, was %s", after, before)
	}
}

func TestApplyIsFenced(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	one := must(t, c, configMap(t, ns, "one", "a"), apply.Target{})
	other := must(t, c, configMap(t, ns, "other", "a"), apply.Target{})
	changed := must(t, c, configMap(t, ns, "one", "b"), target(one))

	for name, test := range map[string]struct {
		object string
		at     apply.Target
	}{
		"an earlier state":                   {"one", target(one)},
		"another object":                     {"one", apply.Target{UID: other.UID}},
		"another object's state":             {"one", target(other)},
		"an object that is gone":             {"gone", target(one)},
		"an object that is gone, by its UID": {"gone", apply.Target{UID: one.UID}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Apply(t.Context(), configMap(t, ns, test.object, "c"), test.at, true)
			if !errors.Is(err, apply.ErrConflict) {
				t.Errorf("got %v, want ErrConflict", err)
			}
		})
	}
	now, err := c.Metadata(t.Context(), configMap(t, ns, "one", "").ID, "v1")
	if err != nil || now.ResourceVersion != changed.ResourceVersion {
		t.Errorf("got %+v, %v afterwards, want it untouched", now, err)
	}
	if _, err := c.Metadata(t.Context(), configMap(t, ns, "gone", "").ID, "v1"); !errors.Is(err, apply.ErrNotFound) {
		t.Errorf("got %v of what was never made, want ErrNotFound", err)
	}
}

func TestApplyWithoutForceNamesWhoOwnsTheFields(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		_, err := plane.Apply(ctx, "/api/v1/namespaces/"+ns+"/configmaps/one", "alice",
			fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"},"data":{"key":"hers"}}`))
		return err
	})
	_, err := c.Apply(t.Context(), configMap(t, ns, "one", "ours"), apply.Target{}, false)
	var conflict *apply.FieldConflictError
	if !errors.As(err, &conflict) || !errors.Is(err, apply.ErrConflict) {
		t.Fatalf("got %v, want a FieldConflictError", err)
	}
	if want := []string{"alice: .data.key"}; !reflect.DeepEqual(conflict.Fields, want) {
		t.Errorf("got %q, want %q", conflict.Fields, want)
	}
	meta, err := c.Metadata(t.Context(), configMap(t, ns, "one", "").ID, "v1")
	if err != nil {
		t.Fatal(err)
	}
	must(t, c, configMap(t, ns, "one", "ours"), target(meta))
}

// An apply without a Target makes what is absent, and nothing else: whoever made
// the object keeps it as it is, though no field of theirs is in the way.
func TestApplyWithoutATargetOnlyCreates(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	path := "/api/v1/namespaces/" + ns + "/configmaps/one"
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		_, err := plane.Apply(ctx, path, "alice", fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"},"data":{"other":"hers"}}`))
		return err
	})
	one := configMap(t, ns, "one", "ours")
	before, err := c.Metadata(t.Context(), one.ID, "v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		if _, err := c.Apply(t.Context(), one, apply.Target{}, force); !errors.Is(err, apply.ErrConflict) {
			t.Errorf("force %v: got %v, want %v", force, err, apply.ErrConflict)
		}
	}
	after, err := c.Metadata(t.Context(), one.ID, "v1")
	if err != nil || after.ResourceVersion != before.ResourceVersion {
		t.Errorf("got %+v, %v; want the object as it was", after, err)
	}
}

// What server-side apply says of our own entry changes exactly when one of our
// fields does: that is what lets a run trust it.
func TestOwnedStandsWhileOurFieldsDo(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	one := configMap(t, ns, "one", "a")
	owned := must(t, c, one, apply.Target{}).Owned
	path := "/api/v1/namespaces/" + ns + "/configmaps/one"
	for _, step := range []struct {
		patch string
		same  bool
	}{
		{`{"data":{"theirs":"1"}}`, true},
		{`{"metadata":{"annotations":{"x":"y"}}}`, true},
		{`{"data":{"key":"theirs"}}`, false},
	} {
		admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
			_, err := plane.Patch(ctx, path, []byte(step.patch))
			return err
		})
		meta, err := c.Metadata(t.Context(), one.ID, "v1")
		if err != nil {
			t.Fatal(err)
		}
		if (meta.Owned == owned) != step.same {
			t.Errorf("after %s: got same digest %t, want %t", step.patch, meta.Owned == owned, step.same)
		}
	}
}

func TestDelete(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	one := configMap(t, ns, "one", "a")
	first := must(t, c, one, apply.Target{})
	second := must(t, c, configMap(t, ns, "one", "b"), target(first))
	other := must(t, c, configMap(t, ns, "other", "a"), apply.Target{})

	for name, at := range map[string]apply.Target{
		"an earlier state": target(first),
		"another object":   {UID: other.UID},
	} {
		if err := c.Delete(t.Context(), one.ID, "v1", at, ""); !errors.Is(err, apply.ErrConflict) {
			t.Errorf("%s: got %v, want ErrConflict", name, err)
		}
	}
	if err := c.Delete(t.Context(), one.ID, "v1", apply.Target{}, ""); err == nil {
		t.Error("a delete that names no object was sent")
	}
	if err := c.Delete(t.Context(), one.ID, "v1", target(second), ""); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), one.ID, "v1", target(second), ""); !errors.Is(err, apply.ErrNotFound) {
		t.Errorf("got %v of a second delete, want ErrNotFound", err)
	}
}

func TestDeleteIsHeldByFinalizers(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	one := manifest(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: "+ns+", finalizers: [example.com/hold]}}")
	meta := must(t, c, one, apply.Target{})
	if err := c.Delete(t.Context(), one.ID, "v1", target(meta), "foreground"); err != nil {
		t.Fatal(err)
	}
	meta, err := c.Metadata(t.Context(), one.ID, "v1")
	if err != nil || !meta.Terminating || len(meta.Finalizers) == 0 {
		t.Errorf("got %+v, %v, want it terminating", meta, err)
	}
}

func TestDeletePropagates(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	for _, propagation := range []string{"", "background", "foreground", "orphan"} {
		one := manifest(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: one"+propagation+", namespace: "+ns+"}}")
		meta := must(t, c, one, apply.Target{})
		if err := c.Delete(t.Context(), one.ID, "v1", target(meta), propagation); err != nil {
			t.Errorf("%q: %v", propagation, err)
		}
	}
	one := manifest(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: two, namespace: "+ns+"}}")
	if err := c.Delete(t.Context(), one.ID, "v1", target(must(t, c, one, apply.Target{})), "Backward"); err == nil {
		t.Error("a propagation that there is not was sent")
	}
}

func TestNamesCannotLeadElsewhere(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	for _, name := range []string{"..", ".", "one/status", "one%2fstatus"} {
		o := manifest(t, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %q, namespace: %s}}", name, ns))
		if _, err := c.Apply(t.Context(), o, apply.Target{}, true); !errors.Is(err, apply.ErrRejected) {
			t.Errorf("%q: got %v, want ErrRejected", name, err)
		}
	}
	if sent := c.Requests()["apply"]; sent != 0 {
		t.Errorf("%d requests were sent, want none", sent)
	}
}

func TestRejected(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	for name, test := range map[string]struct{ text, want string }{
		"invalid": {
			"{apiVersion: v1, kind: Service, metadata: {name: one, namespace: NS}, spec: {ports: [{port: 99999, targetPort: 80}]}}",
			"rejected: spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive",
		},
		"unknown field": {
			"{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: NS}, datta: {a: b}}",
			"rejected: .datta: field not declared in schema",
		},
		"no namespace": {
			"{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: nowhere}}",
			`rejected: there is no namespace "nowhere"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Apply(t.Context(), manifest(t, strings.ReplaceAll(test.text, "NS", ns)), apply.Target{}, true)
			if !errors.Is(err, apply.ErrRejected) || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	const secret = "hunter2hunter2"
	wants := map[string]string{
		"not base64":     "illegal base64 data (",
		"wrong type":     "Invalid: data[.dockerconfigjson] (FieldValueInvalid) (",
		"value no text":  ".stringData.password: expected string (",
		"data no object": ".data: expected map (",
	}
	for name, fields := range map[string]string{
		"not base64":     "data: {password: " + secret + "!}",
		"wrong type":     "type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: " + secret + "}",
		"value no text":  "stringData: {password: [" + secret + "]}",
		"data no object": "data: " + secret,
	} {
		t.Run(name, func(t *testing.T) {
			o := manifest(t, fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: one, namespace: %s}, %s}", ns, fields))
			_, err := c.Apply(t.Context(), o, apply.Target{}, true)
			if !errors.Is(err, apply.ErrRejected) || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v, want ErrRejected without the value", err)
			}
			answer, err := c.DryRun(t.Context(), o, apply.Target{}, true)
			if err != nil || answer.Rejected == "" || strings.Contains(answer.Rejected, secret) {
				t.Errorf("got %q, %v, want a reason without the value", answer.Rejected, err)
			}
			if want := wants[name]; !strings.HasPrefix(answer.Rejected, want) {
				t.Errorf("got %q, want it to begin with %q", answer.Rejected, want)
			}
		})
	}
}

func TestSecretData(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	must(t, c, manifest(t, "{apiVersion: v1, kind: Secret, metadata: {name: one, namespace: "+ns+"}, stringData: {password: hunter2}}"), apply.Target{})
	data, err := c.SecretData(t.Context(), ns, "one")
	if err != nil || string(data["password"]) != "hunter2" {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := c.SecretData(t.Context(), ns, "two"); !errors.Is(err, apply.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestOldVersions(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	one := configMap(t, ns, "one", "a")
	meta := must(t, c, one, apply.Target{})
	got, err := c.Metadata(t.Context(), one.ID, "v1beta1")
	if err != nil || got.UID != meta.UID {
		t.Errorf("got %+v, %v when read in a version of old, want it", got, err)
	}
	old := manifest(t, "{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: one, namespace: "+ns+"}}")
	_, err = c.Apply(t.Context(), old, apply.Target{}, true)
	if !errors.Is(err, apply.ErrNoKind) || !strings.Contains(err.Error(), "it serves v1") {
		t.Errorf("got %v, want ErrNoKind that names what is served", err)
	}
	_, err = c.Metadata(t.Context(), object.ID{Group: "example.com", Kind: "Nothing", Name: "x"}, "v1")
	if !errors.Is(err, apply.ErrNoKind) {
		t.Errorf("got %v, want ErrNoKind", err)
	}
}
