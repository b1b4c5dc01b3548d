package cluster_test

import (
	"reflect"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/apply"
)

// No code of the API server says that a field cannot be changed: its words do, and
// they differ from kind to kind.
func TestDryRunKnowsImmutableFields(t *testing.T) {
	c, ns := open(t, nil), namespace(t)
	pod := "{metadata: {labels: {app: a}}, spec: {restartPolicy: Never, containers: [{name: c, image: IMAGE}]}}"
	for name, test := range map[string]struct {
		text     string
		old, now string
		want     []string
	}{
		"an immutable ConfigMap": {"{apiVersion: v1, kind: ConfigMap, metadata: {name: NAME, namespace: NS}, immutable: true, data: {a: VALUE}}", "b", "c", []string{"data"}},
		"a Secret's type":        {"{apiVersion: v1, kind: Secret, metadata: {name: NAME, namespace: NS}, type: VALUE}", "example.com/a", "example.com/b", []string{"type"}},
		"a Job's template":       {"{apiVersion: batch/v1, kind: Job, metadata: {name: NAME, namespace: NS}, spec: {suspend: true, template: " + strings.Replace(pod, "IMAGE", "VALUE", 1) + "}}", "a", "b", []string{"spec.template.spec"}},
		"a Deployment's selector": {
			"{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: NS}, spec: {selector: {matchLabels: {app: VALUE}}, template: {metadata: {labels: {app: VALUE}}, spec: {containers: [{name: c, image: a}]}}}}",
			"a", "b",
			[]string{"spec.selector"},
		},
		"a StatefulSet's service": {
			"{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: NAME, namespace: NS}, spec: {serviceName: VALUE, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: a}]}}}}",
			"a", "b",
			[]string{"spec.serviceName"},
		},
		"a Service's address":   {"{apiVersion: v1, kind: Service, metadata: {name: NAME, namespace: NS}, spec: {clusterIP: VALUE, ports: [{port: 80}]}}", `""`, "None", []string{"spec.clusterIPs[0]"}},
		"a binding's role":      {"{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: NAME, namespace: NS}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: VALUE}}", "a", "b", []string{"roleRef"}},
		"a claim":               {"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: NAME, namespace: NS}, spec: {accessModes: [VALUE], resources: {requests: {storage: 1Gi}}}}", "ReadWriteOnce", "ReadOnlyMany", []string{"spec"}},
		"a class's provisioner": {"{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: NAME}, provisioner: VALUE}", "example.com/a", "example.com/b", []string{"provisioner"}},
		"a class's value":       {"{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: NAME}, value: VALUE}", "1", "2", []string{"value"}},
		"what may change":       {"{apiVersion: v1, kind: ConfigMap, metadata: {name: NAME, namespace: NS}, data: {a: VALUE}}", "b", "c", nil},
		"a plain mistake":       {"{apiVersion: v1, kind: Service, metadata: {name: NAME, namespace: NS}, spec: {ports: [{port: VALUE}]}}", "80", "99999", nil},
		"a mistake too":         {"{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: NS}, spec: {selector: {matchLabels: {app: VALUE}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: a}]}}}}", "a", "b", nil},
	} {
		at := func(value string) string {
			return strings.NewReplacer("NAME", strings.NewReplacer(" ", "-", "'", "").Replace(strings.ToLower(ns+"-"+name)), "NS", ns, "VALUE", value).Replace(test.text)
		}
		made := must(t, c, manifest(t, at(test.old)), apply.Target{})
		answer, err := c.DryRun(t.Context(), manifest(t, at(test.now)), target(made), true)
		if err != nil || !reflect.DeepEqual(answer.Immutable, test.want) || (answer.Rejected == "") != (test.want == nil && !strings.Contains(name, "mistake")) {
			t.Errorf("%s: got immutable %q, rejected %q, %v; want %q", name, answer.Immutable, answer.Rejected, err, test.want)
		}
	}
}
