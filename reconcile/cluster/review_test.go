package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

func TestReview(t *testing.T) {
	plane, ns := controlPlane(t), namespace(t)
	grant := func(path, body string) {
		admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
			_, err := plane.Create(ctx, "/apis/rbac.authorization.k8s.io/v1/namespaces/"+ns+"/"+path, []byte(body))
			return err
		})
	}
	grant("roles", `{"metadata":{"name":"r"},"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","list"]},{"apiGroups":["apps"],"resources":["deployments"],"resourceNames":["web"],"verbs":["patch"]}]}`)
	grant("rolebindings", `{"metadata":{"name":"r"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"limited","apiGroup":"rbac.authorization.k8s.io"}]}`)
	limited := open(t, func(o *cluster.Options) { o.Token = plane.User("limited").Token })
	configMaps, deployments := object.GroupKind{Kind: "ConfigMap"}, object.GroupKind{Group: "apps", Kind: "Deployment"}
	for _, test := range []struct {
		permission apply.Permission
		want       bool
	}{
		{apply.Permission{Verb: "get", Kind: configMaps, Namespace: ns}, true},
		{apply.Permission{Verb: "list", Kind: configMaps, Namespace: ns}, true},
		{apply.Permission{Verb: "list", Kind: configMaps}, false},
		{apply.Permission{Verb: "patch", Kind: configMaps, Namespace: ns}, false},
		{apply.Permission{Verb: "patch", Kind: deployments, Namespace: ns}, false},
		{apply.Permission{Verb: "patch", Kind: deployments, Namespace: ns, Name: "web"}, true},
	} {
		// The authorizer learns of new roles a moment after they were made.
		eventually(t, fmt.Sprintf("%s: want %v", test.permission, test.want), func() bool {
			granted, err := limited.Review(t.Context(), test.permission)
			if err != nil {
				t.Fatal(err)
			}
			return granted == test.want
		})
	}
	if granted, err := open(t, nil).Review(t.Context(), apply.Permission{Verb: "delete", Kind: deployments}); err != nil || !granted {
		t.Errorf("an administrator: got %v, %v", granted, err)
	}
	if _, err := limited.Review(t.Context(), apply.Permission{Verb: "get", Kind: object.GroupKind{Group: "no.test", Kind: "Thing"}}); !errors.Is(err, apply.ErrNoKind) {
		t.Errorf("a kind that is not served: got %v, want %v", err, apply.ErrNoKind)
	}
	if got := limited.Requests(); got["review"] < 6 || got["create"] != 0 {
		t.Errorf("requests = %v, want reviews and no create", got)
	}
}

// What is no answer grants nothing, and denies nothing.
func TestReviewWithoutAnAnswer(t *testing.T) {
	c := behind(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		_, _ = w.Write([]byte(`{"status":{"allowed":true}}`))
		return true
	})
	if granted, err := c.Review(t.Context(), apply.Permission{Verb: "get", Kind: object.GroupKind{Kind: "Pod"}}); granted || !errors.Is(err, apply.ErrUnanswered) {
		t.Errorf("got %v, %v; want %v", granted, err, apply.ErrUnanswered)
	}
}
