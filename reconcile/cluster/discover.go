package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"tidemark.dev/tidemark/reconcile/plan"
	"tidemark.dev/tidemark/render/object"
)

// known is what discovery told: kinds for those who ask, paths for requests.
type known struct {
	kinds plan.Kinds
	paths map[object.GroupKind]map[string]resource // by version
}

// resource is where the objects of a kind are found, in one version.
type resource struct {
	group, version string
	plural         string
	namespaced     bool
	// fixed: see plan.Kind.
	fixed bool
}

// Discover gives the kinds that the server serves. It asks once and remembers
// the answer until fresh asks again, or Established did. A group that could not
// be discovered is in Kinds.Failing; only when nothing could be is it an error,
// and what was known before stays. What it gives is shared: it must not be
// edited.
func (c *Cluster) Discover(ctx context.Context, fresh bool) (plan.Kinds, error) {
	k, err := c.discover(ctx, fresh)
	if err != nil {
		return plan.Kinds{}, err
	}
	return k.kinds, nil
}

func (c *Cluster) discover(ctx context.Context, fresh bool) (*known, error) {
	// Whoever comes while it is being looked up waits for that look-up.
	c.discovering.Lock()
	defer c.discovering.Unlock()
	if c.known != nil && !fresh {
		return c.known, nil
	}
	k, err := c.lookUp(ctx)
	if err != nil {
		return nil, fmt.Errorf("discover the server's kinds: %w", err)
	}
	c.known = k
	return k, nil
}

func (c *Cluster) lookUp(ctx context.Context) (*known, error) {
	version, err := c.send(ctx, request{verb: verbDiscover, method: http.MethodGet, path: "/version"})
	if err != nil {
		return nil, err
	}
	var server struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(version, &server); err != nil {
		return nil, fmt.Errorf("decode the server's version: %w", err)
	}
	k := &known{
		kinds: plan.Kinds{
			Version: server.GitVersion,
			Served:  map[object.GroupKind]plan.Kind{},
			Failing: map[string]string{},
		},
		paths: map[object.GroupKind]map[string]resource{},
	}
	for _, path := range []string{"/api", "/apis"} {
		groups, err := c.groups(ctx, path)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			k.add(g)
		}
	}
	return k, nil
}

// group is one API group as discovery tells it.
type group struct {
	name     string
	versions []version // the preferred one first
	// failing is the reason why not all of it is known.
	failing string
}

type version struct {
	name  string
	kinds []served
}

// served is one kind in one version.
type served struct {
	kind, plural string
	namespaced   bool
	verbs        []string
}

// add takes a group up. Of one that is not wholly known nothing is: a kind
// that seems to be missing may be in the part that failed.
func (k *known) add(g group) {
	if g.failing != "" {
		k.kinds.Failing[g.name] = g.failing
		return
	}
	for _, v := range g.versions {
		for _, s := range v.kinds {
			gk := object.GroupKind{Group: g.name, Kind: s.kind}
			if k.paths[gk] == nil {
				k.paths[gk] = map[string]resource{}
			}
			if _, twice := k.paths[gk][v.name]; twice {
				continue
			}
			k.paths[gk][v.name] = resource{group: g.name, version: v.name, plural: s.plural, namespaced: s.namespaced, fixed: !s.applicable()}
			kind, later := k.kinds.Served[gk]
			if !later {
				kind.Namespaced = s.namespaced
				kind.Resource = s.plural
				kind.Fixed = true
			}
			kind.Versions = append(kind.Versions, v.name)
			kind.Fixed = kind.Fixed && !s.applicable()
			k.kinds.Served[gk] = kind
		}
	}
}

// applicable: objects of the kind can be listed and patched.
func (s served) applicable() bool {
	var list, patch bool
	for _, verb := range s.verbs {
		list = list || verb == "list"
		patch = patch || verb == "patch"
	}
	return list && patch
}
