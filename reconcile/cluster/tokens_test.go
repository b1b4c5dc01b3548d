package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/cluster"
)

// A token is asked for when there is none that holds, and not for each request.
func TestTokens(t *testing.T) {
	var shown []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown = append(shown, r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"u"}}`))
	}))
	defer server.Close()
	given := 0
	lasts, broken := time.Hour, error(nil)
	c, err := cluster.Open(cluster.Options{Server: server.URL, Tokens: func(context.Context) (string, time.Time, error) {
		given++
		return fmt.Sprintf("t%d", given), time.Now().Add(lasts), broken
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func() error {
		_, err := c.Identity(t.Context())
		return err
	}
	if err := errors.Join(ask(), ask()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"Bearer t1", "Bearer t1"}; !slices.Equal(shown, want) {
		t.Errorf("with a token that lasts an hour: got %v, want %v", shown, want)
	}

	shown, given, lasts = nil, 0, 30*time.Second
	d, err := cluster.Open(cluster.Options{Server: server.URL, Tokens: func(context.Context) (string, time.Time, error) {
		given++
		return fmt.Sprintf("t%d", given), time.Now().Add(lasts), broken
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c = d
	if err := errors.Join(ask(), ask()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"Bearer t1", "Bearer t2"}; !slices.Equal(shown, want) {
		t.Errorf("with tokens about to end: got %v, want %v", shown, want)
	}
	broken = errors.New("the cloud says no")
	if err := ask(); !errors.Is(err, broken) && (err == nil || len(shown) != 2) {
		t.Errorf("without a token: got %v, and %d requests", err, len(shown))
	}
}

func TestTokensNeedTLS(t *testing.T) {
	_, err := cluster.Open(cluster.Options{Server: "http://cluster.example", Tokens: func(context.Context) (string, time.Time, error) { return "t", time.Time{}, nil }})
	if err == nil {
		t.Error("a token would go over http:// unencrypted, and nobody objects")
	}
}
