package servers_test

import (
	"testing"

	"tidemark.dev/tidemark/tests/servers"
)

func TestObjectPath(t *testing.T) {
	for _, test := range []struct{ kind, want string }{
		{"configmap", "/api/v1/namespaces/shop/configmaps/web"},
		{"deployment", "/apis/apps/v1/namespaces/shop/deployments/web"},
		{"namespace", "/api/v1/namespaces/web"},
		{"gadget", ""},
	} {
		got, err := servers.ObjectPath(test.kind, "shop", "web")
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s: got %q, %v, want %q", test.kind, got, err, test.want)
		}
	}
}
