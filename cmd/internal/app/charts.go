package app

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/render/helm"
)

// chartFetcher is what an attempt's apps fetch charts with.
type chartFetcher struct {
	charts *helm.Charts
	// failed are the repositories whose credentials could not be had, by URL.
	failed map[string]error
}

// chartsFor gives what fetches a chart; nil stands for the dependencies of a
// chart that is not named. Credentials that could not be had fail only the
// charts that they are for.
func (a *attempt) chartsFor(ctx context.Context, ref *helm.ChartRef) (*helm.Charts, error) {
	fetcher, err := a.fetcher(ctx)
	if err != nil {
		return nil, err
	}
	for url, err := range fetcher.failed {
		if ref != nil && strings.HasPrefix(ref.Repo, url) {
			return nil, fmt.Errorf("chart repository %s: %w", url, err)
		}
	}
	return fetcher.charts, nil
}

func (a *attempt) fetcher(ctx context.Context) (chartFetcher, error) {
	a.fetching.Lock()
	defer a.fetching.Unlock()
	if a.fetchers != nil {
		return *a.fetchers, nil
	}
	made := chartFetcher{failed: map[string]error{}}
	options := helm.ChartsOptions{Credentials: map[string]helm.Credentials{}, Proxy: http.ProxyFromEnvironment, UserAgent: "tidemark/" + a.session.env.Version}
	for _, r := range a.config.ChartRepositories {
		credentials, err := a.session.chartCredentials(ctx, r)
		if err != nil {
			made.failed[r.URL] = err
			continue
		}
		options.Credentials[r.URL] = credentials
	}
	charts, err := helm.NewCharts(options)
	if err != nil {
		return chartFetcher{}, err
	}
	made.charts = charts
	a.fetchers = &made
	return made, nil
}

func (s *Session) chartCredentials(ctx context.Context, r config.ChartRepository) (helm.Credentials, error) {
	auth, err := s.auth(ctx, r.Auth)
	if err != nil {
		return helm.Credentials{}, err
	}
	return helm.Credentials{
		Username: auth.Username, Password: auth.Password, BearerToken: auth.BearerToken, CA: auth.CA, PlainHTTP: r.PlainHTTP,
	}, nil
}
