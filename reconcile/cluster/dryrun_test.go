package cluster_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/tests/servers"
)

func TestDryRun(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	one := configMap(t, ns, "one", "a")
	answer, err := c.DryRun(t.Context(), one, apply.Target{}, false)
	if err != nil || answer.Rejected+answer.NotValidated != "" || len(answer.Conflicts) > 0 {
		t.Fatalf("got %+v, %v", answer, err)
	}
	if answer.Content != nil {
		t.Errorf("got %v, want no content of what is made", answer.Content)
	}
	if _, err := c.Metadata(t.Context(), one.ID, "v1"); !errors.Is(err, apply.ErrNotFound) {
		t.Errorf("got %v, want that nothing was made", err)
	}

	meta := must(t, c, one, apply.Target{})
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		_, err := plane.Apply(ctx, "/api/v1/namespaces/"+ns+"/configmaps/one", "alice", []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"},"data":{"key":"hers","b":"c"}}`))
		return err
	})
	if _, err := c.DryRun(t.Context(), one, target(meta), true); !errors.Is(err, apply.ErrConflict) {
		t.Errorf("got %v for an earlier state, want ErrConflict", err)
	}
	answer, err = c.DryRun(t.Context(), one, apply.Target{UID: meta.UID}, false)
	if want := []string{"alice: .data.key"}; err != nil || !reflect.DeepEqual(answer.Conflicts, want) || answer.Content != nil {
		t.Errorf("got %+v, %v, want conflicts %q", answer, err, want)
	}
	answer, err = c.DryRun(t.Context(), one, apply.Target{UID: meta.UID}, true)
	if data, _ := answer.Content["data"].(map[string]any); err != nil || data["key"] != "a" || data["b"] != "c" {
		t.Errorf("got %+v, %v with force, want our key among hers", answer, err)
	}
	if got := c.Requests(); got["apply"] != 1 || got["dry-run"] != 4 {
		t.Errorf("got requests %v", got)
	}
}

func TestDryRunTells(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	for text, want := range map[string]struct{ rejected, notValidated string }{
		"{apiVersion: v1, kind: Service, metadata: {name: one, namespace: NS}, spec: {ports: [{port: 99999, targetPort: 80}]}}": {rejected: "spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive"},
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: NS}, data: {a: {b: c}}}":                            {rejected: ".data.a: expected string, got &value.valueUnstructured{Value:map[string]interface {}{\"b\":\"c\"}}"},
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: one}}":                                                              {rejected: "ConfigMap one is namespaced and has no namespace"},
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: nowhere}}":                                          {notValidated: `there is no namespace "nowhere" yet`},
		"{apiVersion: example.com/v1, kind: Nothing, metadata: {name: one}}":                                                    {notValidated: "the server does not serve this kind: Nothing.example.com"},
		"{apiVersion: authentication.k8s.io/v1, kind: TokenReview, metadata: {name: one}}":                                      {rejected: "TokenReview.authentication.k8s.io cannot be applied: the server keeps no such objects"},
	} {
		answer, err := c.DryRun(t.Context(), manifest(t, strings.ReplaceAll(text, "NS", ns)), apply.Target{}, true)
		if err != nil || answer.Rejected != want.rejected || answer.NotValidated != want.notValidated {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", text, answer, err, want)
		}
	}
}

// webhook makes a webhook for the ConfigMaps and Secrets of one namespace.
func webhook(t *testing.T, ns, url string, ca []byte) {
	t.Helper()
	const path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"name": ns},
		"webhooks": []any{map[string]any{
			"name": "strict.example.com", "admissionReviewVersions": []string{"v1"}, "sideEffects": "None", "timeoutSeconds": 2,
			"clientConfig":      map[string]any{"url": url, "caBundle": ca},
			"namespaceSelector": map[string]any{"matchLabels": map[string]string{"kubernetes.io/metadata.name": ns}},
			"rules":             []any{map[string]any{"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "operations": []string{"CREATE", "UPDATE"}, "resources": []string{"configmaps", "secrets"}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	admin(t, func(ctx context.Context, plane *servers.ControlPlane) error {
		_, err := plane.Create(ctx, path, body)
		return err
	})
	t.Cleanup(func() {
		if err := controlPlane(t).Delete(context.WithoutCancel(t.Context()), path+"/"+ns); err != nil {
			t.Error(err)
		}
	})
}

func TestWebhookThatDenies(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Request struct {
				UID    string         `json:"uid"`
				Object map[string]any `json:"object"`
			} `json:"request"`
		}
		_ = json.NewDecoder(r.Body).Decode(&review)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
			"response": map[string]any{"uid": review.Request.UID, "allowed": false, "status": map[string]any{
				"code": 403, "message": fmt.Sprintf("I do not like\n\x1b[31m%v", review.Request.Object["data"]),
			}},
		})
	}))
	t.Cleanup(server.Close)
	webhook(t, ns, server.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))

	want := `rejected: forbidden: admission webhook "strict.example.com" denied the request: I do not like [31mmap[key:a]`
	eventually(t, "the webhook is asked", func() bool {
		_, err := c.DryRun(t.Context(), configMap(t, ns, "probe", "a"), apply.Target{}, true)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Apply(t.Context(), configMap(t, ns, "one", "a"), apply.Target{}, true)
		return err != nil && err.Error() == want
	})
	answer, err := c.DryRun(t.Context(), configMap(t, ns, "one", "a"), apply.Target{}, true)
	if err != nil || answer.Rejected != strings.TrimPrefix(want, "rejected: forbidden: ") {
		t.Errorf("got %+v, %v, want the webhook's words", answer, err)
	}
	secret := manifest(t, "{apiVersion: v1, kind: Secret, metadata: {name: one, namespace: "+ns+"}, stringData: {password: hunter2}}")
	answer, err = c.DryRun(t.Context(), secret, apply.Target{}, true)
	if want := `admission webhook "strict.example.com" denied the request (its words are withheld: they may repeat the Secret's values)`; err != nil || answer.Rejected != want {
		t.Errorf("got %+v, %v, want %s", answer, err, want)
	}
}

func TestWebhookThatIsAway(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	webhook(t, ns, "https://127.0.0.1:1/", nil)
	one := configMap(t, ns, "one", "a")
	eventually(t, "the webhook is asked", func() bool {
		answer, err := c.DryRun(t.Context(), one, apply.Target{}, true)
		if err != nil {
			t.Fatal(err)
		}
		return strings.HasPrefix(answer.NotValidated, `failed calling webhook "strict.example.com"`)
	})
	_, err := c.Apply(t.Context(), one, apply.Target{}, true)
	if !errors.Is(err, apply.ErrRejected) || !strings.Contains(err.Error(), "strict.example.com") {
		t.Errorf("got %v, want ErrRejected that names the webhook", err)
	}
}

// Since 1.22 no new webhook may be one that cannot do dry runs, but one that was
// made earlier still may: so the answer is given in the server's stead.
func TestWebhookWithoutDryRun(t *testing.T) {
	const message = `admission webhook "old.example.com" does not support dry run`
	c := behind(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("dryRun") == "" {
			return false
		}
		answer(w, http.StatusBadRequest, nil, map[string]any{"reason": "BadRequest", "message": message})
		return true
	})
	got, err := c.DryRun(t.Context(), configMap(t, "default", "one", "a"), apply.Target{}, true)
	if err != nil || got.NotValidated != message || got.Rejected != "" {
		t.Errorf("got %+v, %v, want it not validated", got, err)
	}
}
