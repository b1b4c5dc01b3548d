package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/reconcile/cluster/eks"
	"tidemark.dev/tidemark/reconcile/cluster/gke"
)

// cloudTimeout bounds each question to a cloud.
const cloudTimeout = 30 * time.Second

// eks asks Amazon where a cluster is. AWS_ENDPOINT_URL_EKS and
// AWS_ENDPOINT_URL_STS name other servers, as they do for AWS's own programs.
func (s *Session) eks(ctx context.Context, named config.EKS) (cluster.Options, error) {
	s.redactVariables("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
	found, err := eks.Open(ctx, eks.Options{
		Name: named.Name, Region: named.Region, Role: named.RoleARN,
		Endpoint: s.env.Get("AWS_ENDPOINT_URL_EKS"), STSEndpoint: s.env.Get("AWS_ENDPOINT_URL_STS"),
		HTTP: &http.Client{Timeout: cloudTimeout}, Now: s.env.Now,
	})
	if err != nil {
		return cluster.Options{}, fmt.Errorf("open the cluster: %w", err)
	}
	return cluster.Options{Server: found.Server, CA: found.CA, Tokens: s.discreet(found.Token)}, nil
}

// gke asks Google where a cluster is. TIDEMARK_GKE_ENDPOINT names another server.
func (s *Session) gke(ctx context.Context, named config.GKE) (cluster.Options, error) {
	found, err := gke.Open(ctx, gke.Options{Name: named.Name, Endpoint: s.env.Get("TIDEMARK_GKE_ENDPOINT"), HTTP: &http.Client{Timeout: cloudTimeout}})
	if err != nil {
		return cluster.Options{}, fmt.Errorf("open the cluster: %w", err)
	}
	return cluster.Options{Server: found.Server, CA: found.CA, Tokens: s.discreet(found.Token)}, nil
}

// discreet keeps the tokens that are given out of what is told.
func (s *Session) discreet(fresh func(context.Context) (string, time.Time, error)) func(context.Context) (string, time.Time, error) {
	return func(ctx context.Context) (string, time.Time, error) {
		token, until, err := fresh(ctx)
		s.Redactor.Add(token)
		return token, until, err
	}
}
