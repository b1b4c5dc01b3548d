package servers_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"tidemark.dev/tidemark/tests/servers"
)

// TestServersDieWithTheirParent runs itself as a second process, kills that one, and looks for the server it started.
func TestServersDieWithTheirParent(t *testing.T) {
	const marker = "TIDEMARK_TEST_ORPHAN_DIR"
	if dir := os.Getenv(marker); dir != "" {
		s, err := servers.StartS3(t.Context(), dir, servers.S3Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/url", []byte(s.URL), 0o600); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute) // until the parent kills it
		return
	}
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServersDieWithTheirParent$")
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s", marker, dir))
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var url string
	eventually(t, "the server in the second process", func() bool {
		content, err := os.ReadFile(dir + "/url")
		url = string(content)
		return err == nil && url != ""
	})
	if status, reason := request(t.Context(), "GET", url+"/health", ""); status != 200 {
		t.Fatalf("got %d %s while the parent lives", status, reason)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed, of course
	eventually(t, "the server gone", func() bool {
		status, _ := request(t.Context(), "GET", url+"/health", "")
		return status == 0
	})
}
