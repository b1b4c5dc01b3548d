package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tidemark.dev/tidemark/tests/servers/assets"
)

// GCSOptions names the bucket.
type GCSOptions struct {
	// Bucket is made at the start; "tidemark" when empty.
	Bucket string
	// PublicURL is where clients reach the server when it is not URL itself, as behind a Proxy that was started first.
	PublicURL string
}

// GCS is fake-gcs-server with one empty bucket, held in memory. It asks for no credentials. Preconditions hold on writes,
// not on reads and deletes.
type GCS struct {
	// URL is without a path; STORAGE_EMULATOR_HOST takes it as it is.
	URL    string
	Bucket string

	process *process
}

// StartGCS logs to dir. A program that is not there is an *assets.MissingError.
func StartGCS(ctx context.Context, dir string, options GCSOptions) (*GCS, error) {
	bundle, err := assets.GCS()
	if err != nil {
		return nil, err
	}
	program, err := bundle.Path("fake-gcs-server")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	g := &GCS{URL: fmt.Sprintf("http://127.0.0.1:%d", port), Bucket: options.Bucket}
	if g.Bucket == "" {
		g.Bucket = "tidemark"
	}
	public := options.PublicURL
	if public == "" {
		public = g.URL
	}
	g.process, err = startProcess(ctx, dir, "fake-gcs-server", nil, []string{
		program, "-scheme", "http", "-host", "127.0.0.1", "-port", fmt.Sprint(port), "-backend", "memory", "-log-level", "warn",
		"-external-url", public, "-public-host", strings.TrimPrefix(public, "http://"),
	}, answersOK(g.URL+"/storage/v1/b?project=test"))
	if err != nil {
		return nil, err
	}
	bucket, err := json.Marshal(map[string]string{"name": g.Bucket})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+"/storage/v1/b?project=test", strings.NewReader(string(bucket)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	status, body, _, err := send(request)
	if err == nil && status != http.StatusOK {
		err = &StatusError{Request: "POST /storage/v1/b", Status: status, Body: body}
	}
	if err != nil {
		_ = g.Stop()
		return nil, fmt.Errorf("make bucket %s: %w", g.Bucket, err)
	}
	return g, nil
}

// Stop ends the server; its objects are gone.
func (g *GCS) Stop() error { return g.process.Stop() }
