// Package gke gives the way into a cluster of Google Kubernetes Engine without a
// kubeconfig and without its credential plugin: where it is, whose certificates it
// has, and tokens by which it knows who asks.
package gke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
)

const (
	scope = "https://www.googleapis.com/auth/cloud-platform"
	// largest is more than GKE says of a cluster.
	largest = 4 << 20
)

// Options say which cluster is meant.
type Options struct {
	// Name is projects/PROJECT/locations/LOCATION/clusters/NAME.
	Name string
	// Endpoint is the URL of another server than Google's.
	Endpoint string
	HTTP     *http.Client
}

// Cluster is a cluster of GKE. It is safe for concurrent use.
type Cluster struct {
	// Server is the URL of its API server, and CA the authorities behind that, as
	// PEM; none where those of the system count.
	Server string
	CA     []byte

	credentials *auth.Credentials
}

// Open finds the application default credentials and asks GKE where the cluster
// is (container.clusters.get).
func Open(ctx context.Context, options Options) (*Cluster, error) {
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{scope}, Client: options.HTTP})
	if err != nil {
		return nil, fmt.Errorf("find Google credentials: %w", err)
	}
	c := &Cluster{credentials: found}
	if err := c.describe(ctx, options); err != nil {
		return nil, fmt.Errorf("describe the cluster %s: %w", options.Name, err)
	}
	return c, nil
}

func (c *Cluster) describe(ctx context.Context, options Options) error {
	token, _, err := c.Token(ctx)
	if err != nil {
		return err
	}
	base := options.Endpoint
	if base == "" {
		base = "https://container.googleapis.com"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/v1/"+options.Name, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := options.HTTP.Do(request)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, largest))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	var answer struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
		Status     string `json:"status"`
		Endpoint   string `json:"endpoint"`
		MasterAuth struct {
			CA []byte `json:"clusterCaCertificate"`
		} `json:"masterAuth"`
		Ways struct {
			DNS struct {
				Endpoint string `json:"endpoint"`
				Open     bool   `json:"allowExternalTraffic"`
			} `json:"dnsEndpointConfig"`
		} `json:"controlPlaneEndpointsConfig"`
	}
	err = json.Unmarshal(data, &answer)
	switch {
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("GKE answers %s: %.300s", response.Status, answer.Error.Message)
	case err != nil:
		return fmt.Errorf("read the answer of GKE: %w", err)
	case answer.Ways.DNS.Endpoint != "" && answer.Ways.DNS.Open:
		// Google's own front, whose certificates are everybody's.
		c.Server = "https://" + answer.Ways.DNS.Endpoint
	case answer.Endpoint != "" && len(answer.MasterAuth.CA) > 0:
		c.Server, c.CA = "https://"+answer.Endpoint, answer.MasterAuth.CA
	default:
		return fmt.Errorf("it has no endpoint yet: its status is %q", answer.Status)
	}
	return nil
}

// Token gives a token and until when Google takes it.
func (c *Cluster) Token(ctx context.Context) (token string, until time.Time, err error) {
	found, err := c.credentials.Token(ctx)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("get a token of Google: %w", err)
	}
	return found.Value, found.Expiry, nil
}
