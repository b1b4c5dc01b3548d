package corpus_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/tests/servers"
)

// namespaced asks the server for the scope of each kind it serves.
func namespaced(t *testing.T, c *servers.Client) map[string]bool {
	t.Helper()
	scope := map[string]bool{}
	note := func(group, path string) {
		answer, err := c.Get(t.Context(), path)
		if err != nil {
			return // an aggregated API without a backend
		}
		var list struct {
			Resources []struct {
				Kind, Name string
				Namespaced bool
			}
		}
		if err := json.Unmarshal(answer, &list); err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Resources {
			if !strings.Contains(r.Name, "/") {
				scope[group+"|"+r.Kind] = r.Namespaced
			}
		}
	}
	note("", "/api/v1")
	answer, err := c.Get(t.Context(), "/apis")
	if err != nil {
		t.Fatal(err)
	}
	var groups struct {
		Groups []struct {
			Name     string
			Versions []struct{ GroupVersion string }
		}
	}
	if err := json.Unmarshal(answer, &groups); err != nil {
		t.Fatal(err)
	}
	for _, group := range groups.Groups {
		for _, version := range group.Versions {
			note(group.Name, "/apis/"+version.GroupVersion)
		}
	}
	return scope
}

// installForeign makes a CustomResourceDefinition for each kind that the server
// does not serve and the set does not define: what an operator would install.
func installForeign(t *testing.T, c *servers.Client, all []manifest) {
	t.Helper()
	known := namespaced(t, c)
	for _, m := range all {
		if m.str("kind") == "CustomResourceDefinition" {
			known[m.str("spec", "group")+"|"+m.str("spec", "names", "kind")] = true
		}
	}
	versions := map[string][]string{}
	for _, m := range all {
		kind := m.group() + "|" + m.str("kind")
		if _, served := known[kind]; !served && !slices.Contains(versions[kind], m.version()) {
			versions[kind] = append(versions[kind], m.version())
		}
	}
	for kind, served := range versions {
		group, name, _ := strings.Cut(kind, "|")
		plural := strings.ToLower(name) + "s"
		var list []any
		for i, version := range served {
			list = append(list, map[string]any{
				"name": version, "served": true, "storage": i == 0,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			})
		}
		definition, err := json.Marshal(map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": map[string]any{"name": plural + "." + group, "annotations": map[string]any{"api-approved.kubernetes.io": "unapproved, a test"}},
			"spec": map[string]any{
				"group": group, "scope": "Namespaced", "versions": list,
				"names": map[string]any{"kind": name, "listKind": name + "List", "plural": plural, "singular": strings.ToLower(name)},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Create(t.Context(), "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition); err != nil {
			t.Fatal(err)
		}
		eventually(t, "kind "+kind+" is served", func() bool {
			_, served := namespaced(t, c)[kind]
			return served
		})
	}
}

// eventually polls until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after a minute: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// expected gives the IDs as the cluster must hold them: namespaces filled in,
// or dropped, by the kind's scope.
func expected(t *testing.T, c *servers.Client, all []manifest) []string {
	t.Helper()
	scope := namespaced(t, c)
	for _, m := range all {
		if m.str("kind") == "CustomResourceDefinition" {
			scope[m.str("spec", "group")+"|"+m.str("spec", "names", "kind")] = m.str("spec", "scope") == "Namespaced"
		}
	}
	var ids []string
	for _, m := range all {
		namespace := m.str("metadata", "namespace")
		in, known := scope[m.group()+"|"+m.str("kind")]
		switch {
		case !known:
			t.Fatalf("the server does not serve %s", m.id())
		case !in:
			namespace = ""
		case namespace == "":
			namespace = "default"
		}
		ids = append(ids, strings.Join([]string{m.group(), m.str("kind"), namespace, m.str("metadata", "name")}, "|"))
	}
	slices.Sort(ids)
	return ids
}

// ours lists the objects of the cluster that Tidemark marked as its own, as
// "group|kind|namespace|name".
func ours(t *testing.T, c *servers.Client) []string {
	t.Helper()
	objects, err := c.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for id, raw := range objects {
		var o struct {
			Metadata struct {
				Labels, Annotations map[string]string
				DeletionTimestamp   string
			}
		}
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		mark := strings.ReplaceAll(id, "|", "/")
		if o.Metadata.Labels["tidemark.dev/app"] != "" && o.Metadata.Annotations["tidemark.dev/id"] == mark && o.Metadata.DeletionTimestamp == "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// uids maps each object to its UID.
func uids(t *testing.T, c *servers.Client) map[string]string {
	t.Helper()
	objects, err := c.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for id, raw := range objects {
		var o struct{ Metadata struct{ UID string } }
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		all[id] = o.Metadata.UID
	}
	return all
}

// settled waits until the controllers have seen every Deployment.
func settled(t *testing.T, c *servers.Client) {
	t.Helper()
	eventually(t, "the controllers have seen every Deployment", func() bool {
		answer, err := c.Get(t.Context(), "/apis/apps/v1/deployments")
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Items []struct {
				Metadata struct {
					Generation  int64
					Annotations map[string]string
				}
				Status struct{ ObservedGeneration int64 }
			}
		}
		if err := json.Unmarshal(answer, &list); err != nil {
			t.Fatal(err)
		}
		for _, d := range list.Items {
			if d.Status.ObservedGeneration < d.Metadata.Generation || d.Metadata.Annotations["deployment.kubernetes.io/revision"] == "" {
				return false
			}
		}
		return true
	})
}

// requests sums up what Tidemark asked of the API server since a mark.
type requests struct {
	total, lists, witness int
	writes, reads         []string
}

func since(t *testing.T, c *servers.ControlPlane, mark int64) (requests, int64) {
	t.Helper()
	events, next, err := c.Audit(mark)
	if err != nil {
		t.Fatal(err)
	}
	var r requests
	for _, e := range events {
		if !strings.HasPrefix(e.UserAgent, "tidemark/") || e.Stage == "RequestReceived" {
			continue
		}
		if e.ObjectRef.Resource == "leases" && e.ObjectRef.Namespace == "kube-system" {
			r.witness++
			continue // the ledger's witness: one read a run, and one write where the run acts
		}
		r.total++
		text := fmt.Sprintf("%s %s", e.Verb, e.RequestURI)
		switch {
		case e.IsWrite():
			r.writes = append(r.writes, text)
		case e.Verb == "list":
			r.lists++
		case e.ObjectRef.Name != "" && e.ObjectRef.Name != "kube-system":
			r.reads = append(r.reads, text)
		}
	}
	return r, next
}
