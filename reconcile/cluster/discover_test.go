package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
	"tidemark.dev/tidemark/tests/servers"
)

func TestDiscover(t *testing.T) {
	c := open(t, nil)
	kinds, err := c.Discover(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(kinds.Version, "v1.") {
		t.Errorf("got version %q", kinds.Version)
	}
	for kind, want := range map[object.GroupKind]plan.Kind{
		{Kind: "ConfigMap"}:                                                 {Versions: []string{"v1"}, Namespaced: true, Resource: "configmaps"},
		{Kind: "Namespace"}:                                                 {Versions: []string{"v1"}, Resource: "namespaces"},
		{Group: "apps", Kind: "Deployment"}:                                 {Versions: []string{"v1"}, Namespaced: true, Resource: "deployments"},
		{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:             {Versions: []string{"v2", "v1"}, Namespaced: true, Resource: "horizontalpodautoscalers"},
		{Group: "authentication.k8s.io", Kind: "TokenReview"}:               {Versions: []string{"v1"}, Resource: "tokenreviews", Fixed: true},
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:   {Versions: []string{"v1"}, Resource: "customresourcedefinitions"},
		{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                  {Versions: []string{"v1"}, Namespaced: true, Resource: "roles"},
		{Group: "authorization.k8s.io", Kind: "LocalSubjectAccessReview"}:   {Versions: []string{"v1"}, Namespaced: true, Resource: "localsubjectaccessreviews", Fixed: true},
		{Group: "admissionregistration.k8s.io", Kind: "NoSuchKindInServer"}: {},
		{Group: "apps", Kind: "Scale"}:                                      {},
	} {
		if got := kinds.Served[kind]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", kind, got, want)
		}
	}
	if got := c.Requests()["discover"]; got != 3 {
		t.Errorf("got %d requests for it, want 3", got)
	}
	if _, err := c.Discover(t.Context(), false); err != nil || c.Requests()["discover"] != 3 {
		t.Errorf("got %v and %v requests, want it remembered", err, c.Requests())
	}
}

// Servers before 1.26 do not know aggregated discovery.
func TestDiscoverTheOldWay(t *testing.T) {
	want, err := open(t, nil).Discover(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	old := behind(t, func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Set("Accept", "application/json")
		return false
	})
	got, err := old.Discover(t.Context(), false)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want as aggregated: %v", got, err, want)
	}
}

func TestFailingGroup(t *testing.T) {
	const path = "/apis/apiregistration.k8s.io/v1/apiservices"
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		_, err := plane.Create(ctx, path, []byte(`{"metadata":{"name":"v1.broken.example.com"},"spec":{"group":"broken.example.com","version":"v1",
			"groupPriorityMinimum":1000,"versionPriority":10,"insecureSkipTLSVerify":true,"service":{"name":"nothing","namespace":"default"}}}`))
		return err
	})
	defer admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		return plane.Delete(ctx, path+"/v1.broken.example.com")
	})
	aggregated := open(t, nil)
	legacy := behind(t, func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Set("Accept", "application/json")
		return false
	})
	broken := object.ID{Group: "broken.example.com", Kind: "Thing", Name: "one"}
	for name, c := range map[string]interface {
		Discover(context.Context, bool) (plan.Kinds, error)
		apply.Cluster
	}{"aggregated": aggregated, "legacy": legacy} {
		eventually(t, name+": the group is failing", func() bool {
			kinds, err := c.Discover(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := kinds.Served[object.GroupKind{Kind: "ConfigMap"}]; !ok {
				t.Fatal("other groups are gone too")
			}
			return kinds.Failing[broken.Group] != ""
		})
		_, err := c.Metadata(t.Context(), broken, "v1")
		if !errors.Is(err, apply.ErrUndiscovered) || errors.Is(err, apply.ErrNoKind) || errors.Is(err, apply.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrUndiscovered", name, err)
		}
	}
}

func definition(t *testing.T, group, plural, kind string, versions ...string) object.Object {
	t.Helper()
	var list []string
	for i, v := range versions {
		list = append(list, fmt.Sprintf("{name: %s, served: true, storage: %t, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}", v, i == 0))
	}
	return manifest(t, fmt.Sprintf(`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: %[1]s.%[2]s},
		spec: {group: %[2]s, scope: Namespaced, names: {plural: %[1]s, kind: %[3]s}, versions: [%[4]s]}}`, plural, group, kind, strings.Join(list, ", ")))
}

func TestEstablished(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	widget := manifest(t, "{apiVersion: established.example.com/v1, kind: Widget, metadata: {name: one, namespace: "+ns+"}, spec: {size: 3}}")
	if _, err := c.Apply(t.Context(), widget, apply.Target{}, true); !errors.Is(err, apply.ErrNoKind) {
		t.Fatalf("got %v before the definition, want ErrNoKind", err)
	}
	answer, err := c.DryRun(t.Context(), widget, apply.Target{}, true)
	if err != nil || answer.NotValidated == "" {
		t.Errorf("got %+v, %v, want it not validated", answer, err)
	}

	one := must(t, c, definition(t, "established.example.com", "widgets", "Widget", "v1"), apply.Target{})
	if err := c.Established(t.Context(), []string{"widgets.established.example.com", "widgets.established.example.com"}); err != nil {
		t.Fatal(err)
	}
	must(t, c, widget, apply.Target{})
	content, _, err := c.Read(t.Context(), widget.ID, "v1")
	if spec, _ := content["spec"].(map[string]any); err != nil || spec["size"] != int64(3) {
		t.Errorf("got %v, %v, want size 3 as an int64", content["spec"], err)
	}
	if _, err := c.Metadata(t.Context(), object.ID{Group: "established.example.com", Kind: "Widget", Namespace: ns, Name: "two"}, "v1"); !errors.Is(err, apply.ErrNotFound) {
		t.Errorf("got %v of a custom object that is not there, want ErrNotFound", err)
	}

	// A definition that is established already gets another version.
	must(t, c, definition(t, "established.example.com", "widgets", "Widget", "v1", "v2"), apply.Target{UID: one.UID})
	if err := c.Established(t.Context(), []string{"widgets.established.example.com"}); err != nil {
		t.Fatal(err)
	}
	kinds, err := c.Discover(t.Context(), false)
	if got := kinds.Served[widget.ID.GroupKind()]; err != nil || len(got.Versions) != 2 {
		t.Errorf("got %+v, %v, want two versions", got, err)
	}
}

func TestNeverEstablished(t *testing.T) {
	c := open(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := c.Established(ctx, []string{"nothing.example.com"})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nothing.example.com: not found") {
		t.Errorf("got %v, want it to name what is missing when the time is up", err)
	}

	must(t, c, definition(t, "taken.example.com", "widgets", "Widget", "v1"), apply.Target{})
	if err := c.Established(t.Context(), []string{"widgets.taken.example.com"}); err != nil {
		t.Fatal(err)
	}
	must(t, c, definition(t, "taken.example.com", "gadgets", "Widget", "v1"), apply.Target{})
	err = c.Established(t.Context(), []string{"widgets.taken.example.com", "gadgets.taken.example.com"})
	if !errors.Is(err, apply.ErrRejected) || !strings.Contains(err.Error(), `gadgets.taken.example.com: rejected: names not accepted: "Widget`) {
		t.Errorf("got %v, want the condition's words", err)
	}
}

func TestIdentity(t *testing.T) {
	one, err := open(t, nil).Identity(t.Context())
	if err != nil || len(one) != 36 {
		t.Errorf("got %q, %v, want a UID", one, err)
	}
}

// eventually waits for what the API server does in its own time.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); !condition(); {
		select {
		case <-end:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
