package s3_test

import (
	"strings"
	"testing"

	"tidemark.dev/tidemark/state/s3"
)

// What names the store is shown to people and kept in the cluster.
func TestOpenRefusesCredentialsInTheEndpoint(t *testing.T) {
	for _, endpoint := range []string{"https://user:hunter2hunter2@store.example.com", "https://store.example.com?key=hunter2hunter2"} {
		_, err := s3.Open(t.Context(), s3.Options{Bucket: "b", Region: "r", Endpoint: endpoint, AccessKey: "a", SecretKey: "b"})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want it refused and not repeated", endpoint, err)
		}
	}
}
