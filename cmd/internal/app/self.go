package app

import (
	"context"
	"strings"

	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/render/object"
)

// self gives the objects that this run runs from: the pod that the downward API
// names (TIDEMARK_POD_NAME), what owns it, its namespace and its service account
// (TIDEMARK_SERVICE_ACCOUNT). What cannot be read is left out: these objects are
// protected from Tidemark's own pruning, on top of all other guards.
func (s *Session) self(ctx context.Context) []object.ID {
	pod := s.env.Get("TIDEMARK_POD_NAME")
	if pod == "" {
		return nil
	}
	namespace := s.ownNamespace()
	self := []object.ID{{Kind: "Namespace", Name: namespace}}
	if account := s.env.Get("TIDEMARK_SERVICE_ACCOUNT"); account != "" {
		self = append(self, object.ID{Kind: "ServiceAccount", Namespace: namespace, Name: account})
	}
	target, err := s.Cluster()
	if err != nil {
		return self
	}
	return append(self, owners(ctx, target, object.ID{Kind: "Pod", Namespace: namespace, Name: pod})...)
}

// owners follows the controllers of a pod: Job, then CronJob.
func owners(ctx context.Context, target *cluster.Cluster, id object.ID) []object.ID {
	chain := []object.ID{id}
	for range 3 {
		version := "v1"
		meta, err := target.Metadata(ctx, id, version)
		kind, name, ok := strings.Cut(meta.Controller, " ")
		if err != nil || !ok {
			break
		}
		group := map[string]string{"Job": "batch", "CronJob": "batch", "ReplicaSet": "apps", "Deployment": "apps", "StatefulSet": "apps"}[kind]
		id = object.ID{Group: group, Kind: kind, Namespace: id.Namespace, Name: name}
		chain = append(chain, id)
	}
	return chain
}
