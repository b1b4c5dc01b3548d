package gcs_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/state/gcs"
)

// What names the store is shown to people and kept in the cluster.
func TestOpenRefusesCredentialsInTheEndpoint(t *testing.T) {
	for _, endpoint := range []string{"https://user:hunter2hunter2@store.example.com", "https://store.example.com?key=hunter2hunter2"} {
		_, err := gcs.Open(t.Context(), gcs.Options{Bucket: "b", Endpoint: endpoint})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want it refused and not repeated", endpoint, err)
		}
	}
}
