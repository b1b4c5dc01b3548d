package cluster

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// early is how long before its end a token is no longer used: requests take time,
// and clocks differ.
const early = time.Minute

// bearer gives each request a token that still holds. It is safe for concurrent
// use.
type bearer struct {
	fresh func(context.Context) (token string, until time.Time, err error)
	now   func() time.Time

	mu    sync.Mutex
	token string
	until time.Time
}

func (b *bearer) wrap(next http.RoundTripper) http.RoundTripper {
	return &bearing{bearer: b, next: next}
}

// bearing is a connection whose requests have the token.
type bearing struct {
	*bearer
	next http.RoundTripper
}

// RoundTrip sends the request with a token.
func (b *bearing) RoundTrip(request *http.Request) (*http.Response, error) {
	token, err := b.current(request.Context())
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+token)
	return b.next.RoundTrip(request)
}

// WrappedRoundTripper is where client-go looks for the connections.
func (b *bearing) WrappedRoundTripper() http.RoundTripper { return b.next }

func (b *bearer) current(ctx context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token != "" && b.now().Before(b.until.Add(-early)) {
		return b.token, nil
	}
	token, until, err := b.fresh(ctx)
	if err != nil {
		return "", err
	}
	b.token, b.until = token, until
	return token, nil
}
