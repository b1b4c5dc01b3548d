package servers_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tidemark.dev/tidemark/tests/servers"
)

func TestS3(t *testing.T) {
	s := servers.For(t, servers.StartS3, servers.S3Options{Bucket: "tides"})
	do := func(method, key string, header http.Header, body string) (int, string, http.Header) {
		t.Helper()
		status, answer, headers, err := s.Do(t.Context(), method, key, header, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return status, string(answer), headers
	}
	absent := http.Header{"If-None-Match": {"*"}}
	if statuses := race(32, func(i int) int {
		status, _, _, _ := s.Do(t.Context(), http.MethodPut, "p/head.json", absent, fmt.Append(nil, i))
		return status
	}); statuses[http.StatusOK] != 1 || statuses[http.StatusPreconditionFailed] != 31 {
		t.Errorf("32 racing creates: got %v, want one winner", statuses)
	}
	status, _, header := do(http.MethodGet, "p/head.json", nil, "")
	if status != http.StatusOK {
		t.Fatalf("got %d of the created object", status)
	}
	match := http.Header{"If-Match": {header.Get("ETag")}}
	if status, body, _ := do(http.MethodPut, "p/head.json", match, "second"); status != http.StatusOK {
		t.Errorf("got %d %s of a swap with the right ETag", status, body)
	}
	if status, _, _ := do(http.MethodPut, "p/head.json", match, "third"); status != http.StatusPreconditionFailed {
		t.Errorf("got %d of a swap with a stale ETag, want 412", status)
	}
	if content, err := os.ReadFile(filepath.Join(s.Dir, "p", "head.json")); err != nil || string(content) != "second" {
		t.Errorf("got %q, %v in the bucket's folder", content, err)
	}
	stranger := *s
	stranger.SecretKey = "wrong"
	if status, _, _, err := stranger.Do(t.Context(), http.MethodGet, "p/head.json", nil, nil); err != nil || status != http.StatusForbidden {
		t.Errorf("got %d, %v with a wrong secret, want 403", status, err)
	}
}

func TestGCS(t *testing.T) {
	g := servers.For(t, servers.StartGCS, servers.GCSOptions{Bucket: "tides"})
	upload := func(generation string, body string) int {
		url := g.URL + "/upload/storage/v1/b/" + g.Bucket + "/o?uploadType=media&name=head.json&ifGenerationMatch=" + generation
		status, _ := request(t.Context(), http.MethodPost, url, body)
		return status
	}
	if statuses := race(32, func(i int) int { return upload("0", fmt.Sprint(i)) }); statuses[http.StatusOK] != 1 {
		t.Errorf("32 racing creates: got %v, want one winner", statuses)
	}
	if status := upload("12345", "late"); status != http.StatusPreconditionFailed {
		t.Errorf("got %d of a swap with a stale generation, want 412", status)
	}
	for _, path := range []string{"/storage/v1/b/" + g.Bucket + "/o/head.json?alt=media", "/" + g.Bucket + "/head.json"} {
		if status, body := request(t.Context(), http.MethodGet, g.URL+path, ""); status != http.StatusOK || body == "late" {
			t.Errorf("GET %s: got %d %q", path, status, body)
		}
	}
}

func race(racers int, run func(int) int) map[int]int {
	var wait sync.WaitGroup
	var mu sync.Mutex
	results := map[int]int{}
	for i := range racers {
		wait.Go(func() {
			result := run(i)
			mu.Lock()
			defer mu.Unlock()
			results[result]++
		})
	}
	wait.Wait()
	return results
}

// request answers status 0 and the reason when there was no answer.
func request(ctx context.Context, method, url, body string) (status int, answer string) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	content, err := io.ReadAll(response.Body)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(content)
}
