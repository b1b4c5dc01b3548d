package reconcile_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/state"
)

// awaitRight waits until the server's authorizer has seen the rules that give
// the limited user a right, or take it away.
func awaitRight(t *testing.T, want bool, right string) {
	t.Helper()
	var review struct{ Status struct{ Allowed bool } }
	for range 1500 {
		answer, err := server.User(limited).Create(t.Context(), "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
			[]byte(`{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{`+right+`}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(answer, &review); err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed == want {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatalf("the right %s is %v, want %v", right, review.Status.Allowed, want)
}

// A runner that may work in one namespace only lists there, where it may not
// list in the whole cluster; what it may not list it never takes for gone.
func TestRunWorksWithTheRightsOfOneNamespace(t *testing.T) {
	t.Parallel()
	web := newApp(t, "web")
	web.makeNamespace(t)
	delete(web.files, "namespace.yaml")
	web.configMap("one", "1")
	web.configMap("two", "2")
	bound := false
	allow := func(verbs string) {
		t.Helper()
		role := fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"tidemark"},"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":[%s]}]}`, verbs)
		path := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + web.app.Namespace + "/roles/tidemark"
		if _, err := server.Apply(t.Context(), path, "test", []byte(role)); err != nil {
			t.Fatal(err)
		}
		if lists := strings.Contains(verbs, "list"); bound {
			awaitRight(t, lists, `"verb":"list","resource":"configmaps","namespace":"`+web.app.Namespace+`"`)
		}
	}
	allow(`"get","list","create","patch","delete"`)
	byHand(t, "/apis/rbac.authorization.k8s.io/v1/namespaces/"+web.app.Namespace+"/rolebindings",
		`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"tidemark"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"tidemark"},"subjects":[{"kind":"User","name":"`+limited+`","apiGroup":"rbac.authorization.k8s.io"}]}`)
	byHand(t, "/apis/rbac.authorization.k8s.io/v1/clusterroles",
		`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"tidemark-identity"},"rules":[{"apiGroups":[""],"resources":["namespaces"],"resourceNames":["kube-system","`+web.app.Namespace+`"],"verbs":["get"]}]}`)
	byHand(t, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
		`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"tidemark-identity"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"tidemark-identity"},"subjects":[{"kind":"User","name":"`+limited+`","apiGroup":"rbac.authorization.k8s.io"}]}`)
	bound = true
	awaitRight(t, true, `"verb":"list","resource":"configmaps","namespace":"`+web.app.Namespace+`"`)
	awaitRight(t, true, `"verb":"get","resource":"namespaces","name":"kube-system"`)
	w := newWorld(t, web)
	w.user = limited
	counts(t, w.sync(0), state.Counts{Created: 2})
	second := w.sync(0)
	counts(t, second, state.Counts{Unchanged: 2})
	if sent := second.Record.Cost.KubernetesRequests["list"]; sent != 2 {
		t.Errorf("%d LISTs were sent, want the one that is forbidden and the one in the namespace", sent)
	}
	delete(web.files, "two.yaml")
	counts(t, w.sync(0), state.Counts{Pruned: 1, Unchanged: 1})

	// Without the right to look, nothing is known, and nothing is forgotten.
	allow(`"create","patch","delete"`)
	report := w.sync(11)
	if text := show(report); !strings.Contains(text, "forbidden") {
		t.Errorf("got %s, want the missing right named", text)
	}
	allow(`"get","list","create","patch","delete"`)
	counts(t, w.sync(0), state.Counts{Unchanged: 1})
	if got := web.get(t, "one"); got != "1" {
		t.Errorf("one = %q, want it left alone", got)
	}
}
