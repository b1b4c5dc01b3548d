package servers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Client speaks plain HTTP with a Kubernetes API server, as one user. It is what tests judge the product by, so it
// shares nothing with it. It is safe for concurrent use.
type Client struct {
	// URL is where the API server listens, without a path.
	URL string
	// Token is the user's bearer token.
	Token string

	http *http.Client
}

// UserAgent is what Clients call themselves, so that audited requests can be told apart from the product's.
const UserAgent = "tidemark-tests"

func newClient(serverURL, token string, caPEM []byte) *Client {
	transport := &http.Transport{
		TLSClientConfig:     trusting(caPEM),
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 32,
	}
	return &Client{URL: serverURL, Token: token, http: &http.Client{Transport: transport, Timeout: time.Minute}}
}

// Do sends one request to a REST path, query included, and answers with status and body whatever the status is; the
// error is for requests without an answer. An empty contentType stands for JSON.
func (c *Client) Do(ctx context.Context, method, path, contentType string, body []byte) (status int, answer []byte, err error) {
	return c.do(ctx, method, path, "application/json", contentType, body)
}

func (c *Client) do(ctx context.Context, method, path, accept, contentType string, body []byte) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.Token)
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", UserAgent)
	if contentType == "" {
		contentType = "application/json"
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(response.Body)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	return response.StatusCode, answer, err
}

// StatusError is an answer other than 2xx.
type StatusError struct {
	Request string
	Status  int
	Body    []byte
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d: %s", e.Request, e.Status, bytes.TrimSpace(e.Body))
}

func (c *Client) must(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	status, answer, err := c.Do(ctx, method, path, contentType, body)
	if err == nil && status/100 != 2 {
		err = &StatusError{Request: method + " " + path, Status: status, Body: answer}
	}
	return answer, err
}

// Get reads what lies at the REST path; an answer other than 2xx is a *StatusError.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	return c.must(ctx, http.MethodGet, path, "", nil)
}

// Create posts the object to the REST path of its collection; an answer other than 2xx is a *StatusError.
func (c *Client) Create(ctx context.Context, path string, object []byte) ([]byte, error) {
	return c.must(ctx, http.MethodPost, path, "", object)
}

// Delete deletes in the background what lies at the REST path; an answer other than 2xx is a *StatusError.
func (c *Client) Delete(ctx context.Context, path string) error {
	_, err := c.must(ctx, http.MethodDelete, path, "", []byte(`{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}`))
	return err
}

// Apply applies the object, YAML or JSON, to its REST path on the server as the given field manager, taking conflicting
// fields over; an answer other than 2xx is a *StatusError.
func (c *Client) Apply(ctx context.Context, path, manager string, object []byte) ([]byte, error) {
	query := url.Values{"fieldManager": {manager}, "force": {"true"}}
	return c.must(ctx, http.MethodPatch, path+"?"+query.Encode(), "application/apply-patch+yaml", object)
}

// Patch merges the JSON into what lies at the REST path (RFC 7386); an answer other than 2xx is a *StatusError.
func (c *Client) Patch(ctx context.Context, path string, patch []byte) ([]byte, error) {
	return c.must(ctx, http.MethodPatch, path, "application/merge-patch+json", patch)
}

// CloseIdleConnections drops connections that are kept for later requests.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

func (c *Client) answers(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := c.Get(ctx, path)
	return err
}
