package object_test

import (
	"testing"

	"tidemark.dev/tidemark/render/object"
)

func TestBuiltinScope(t *testing.T) {
	tests := []struct {
		group, kind       string
		namespaced, known bool
	}{
		{"", "ConfigMap", true, true},
		{"", "Namespace", false, true},
		{"", "PersistentVolume", false, true},
		{"apps", "Deployment", true, true},
		{"rbac.authorization.k8s.io", "ClusterRole", false, true},
		{"rbac.authorization.k8s.io", "Role", true, true},
		{"apiextensions.k8s.io", "CustomResourceDefinition", false, true},
		{"apiregistration.k8s.io", "APIService", false, true},
		{"networking.k8s.io", "IngressClass", false, true},
		{"x.dev", "ConfigMap", false, false},
	}
	for _, test := range tests {
		kind := object.GroupKind{Group: test.group, Kind: test.kind}
		if namespaced, known := object.BuiltinScope(kind); namespaced != test.namespaced || known != test.known {
			t.Errorf("BuiltinScope(%s) = %t, %t, want %t, %t", kind, namespaced, known, test.namespaced, test.known)
		}
	}
}
