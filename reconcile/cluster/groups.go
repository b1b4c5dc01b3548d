package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/tidemark/reconcile/apply"
)

// aggregated asks for all groups in one answer (Kubernetes 1.26, stable since
// 1.30); a server that does not know it gives the list of groups alone.
const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList," +
	"application/json"

// groups gives the groups below /api (the core group, named "") or /apis.
func (c *Cluster) groups(ctx context.Context, path string) ([]group, error) {
	body, err := c.send(ctx, request{verb: verbDiscover, method: http.MethodGet, path: path, accept: aggregated})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Kind  string            `json:"kind"`
		Items []aggregatedGroup `json:"items"`

		Versions []string      `json:"versions"` // kind APIVersions
		Groups   []legacyGroup `json:"groups"`   // kind APIGroupList
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	var groups []group
	switch answer.Kind {
	case "APIGroupDiscoveryList":
		for _, item := range answer.Items {
			groups = append(groups, item.group())
		}
		return groups, nil
	case "APIVersions":
		core := legacyGroup{}
		for _, v := range answer.Versions {
			core.Versions = append(core.Versions, legacyVersion{Version: v})
		}
		return c.legacy(ctx, path, []legacyGroup{core})
	case "APIGroupList":
		return c.legacy(ctx, path, answer.Groups)
	default:
		return nil, fmt.Errorf("%s answers with kind %q: is this a Kubernetes API server?", path, clean(answer.Kind))
	}
}

// aggregatedGroup is an item of apidiscovery.k8s.io/v2 APIGroupDiscoveryList.
//
// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
type aggregatedGroup struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Versions []struct {
		Version   string `json:"version"`
		Freshness string `json:"freshness"`
		Resources []struct {
			Resource     string `json:"resource"`
			ResponseKind *struct {
				Kind string `json:"kind"`
			} `json:"responseKind"`
			Scope string   `json:"scope"`
			Verbs []string `json:"verbs"`
		} `json:"resources"`
	} `json:"versions"`
}

func (a aggregatedGroup) group() group {
	g := group{name: a.Metadata.Name}
	for _, v := range a.Versions {
		if v.Freshness == "Stale" {
			g.failing = fmt.Sprintf("the server behind %s/%s does not answer discovery", g.name, v.Version)
			return g
		}
		kinds := make([]served, 0, len(v.Resources))
		for _, r := range v.Resources {
			if r.ResponseKind == nil || r.ResponseKind.Kind == "" {
				continue // only a parent of subresources
			}
			kinds = append(kinds, served{kind: r.ResponseKind.Kind, plural: r.Resource, namespaced: r.Scope == "Namespaced", verbs: r.Verbs})
		}
		g.versions = append(g.versions, version{name: v.Version, kinds: kinds})
	}
	return g
}

type legacyGroup struct {
	Name             string          `json:"name"`
	Versions         []legacyVersion `json:"versions"`
	PreferredVersion legacyVersion   `json:"preferredVersion"`
}

type legacyVersion struct {
	Version string `json:"version"`
}

// legacy asks for the kinds of each version of each group, as every server
// answers it.
func (c *Cluster) legacy(ctx context.Context, path string, found []legacyGroup) ([]group, error) {
	groups := make([]group, len(found))
	var mu sync.Mutex
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(16)
	for i, f := range found {
		groups[i] = group{name: f.Name, versions: make([]version, len(f.Versions))}
		for j, name := range f.preferredFirst() {
			workers.Go(func() error {
				kinds, err := c.legacyKinds(ctx, path, f.Name, name)
				mu.Lock()
				defer mu.Unlock()
				groups[i].versions[j] = version{name: name, kinds: kinds}
				switch {
				case err == nil:
					return nil
				case ctx.Err() != nil, errors.Is(err, apply.ErrUnauthorized), errors.Is(err, apply.ErrUnreachable):
					// That is trouble with the server, not with the group.
					return err
				default:
					groups[i].failing = err.Error()
					return nil
				}
			})
		}
	}
	if err := workers.Wait(); err != nil {
		return nil, err
	}
	return groups, nil
}

func (f legacyGroup) preferredFirst() []string {
	names := make([]string, 0, len(f.Versions))
	if f.PreferredVersion.Version != "" {
		names = append(names, f.PreferredVersion.Version)
	}
	for _, v := range f.Versions {
		if v.Version != f.PreferredVersion.Version {
			names = append(names, v.Version)
		}
	}
	return names
}

func (c *Cluster) legacyKinds(ctx context.Context, path, group, version string) ([]served, error) {
	if group != "" {
		path += "/" + url.PathEscape(group)
	}
	body, err := c.send(ctx, request{verb: verbDiscover, method: http.MethodGet, path: path + "/" + url.PathEscape(version)})
	if err != nil {
		return nil, err
	}
	var list struct {
		Resources []struct {
			Name       string   `json:"name"`
			Namespaced bool     `json:"namespaced"`
			Kind       string   `json:"kind"`
			Verbs      []string `json:"verbs"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("decode the kinds of %s/%s: %w", group, version, err)
	}
	var kinds []served
	for _, r := range list.Resources {
		if strings.Contains(r.Name, "/") {
			continue // a subresource
		}
		kinds = append(kinds, served{kind: r.Kind, plural: r.Name, namespaced: r.Namespaced, verbs: r.Verbs})
	}
	return kinds, nil
}
