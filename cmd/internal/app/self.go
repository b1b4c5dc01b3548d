package app

import (
	"context"
	"fmt"
	"strings"

	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/render/object"
)

// self gives the objects that this run runs from: the pod that the downward API
// names (TIDEMARK_POD_NAME), what owns it, its namespace and its service account
// (TIDEMARK_SERVICE_ACCOUNT). They are protected from Tidemark's own pruning, on
// top of all other guards. What cannot be found out is left out, with a warning.
// On its way it meets the Job, whose annotations tell who made it.
func (s *Session) self(ctx context.Context) (self []object.ID, job map[string]string) {
	pod := s.env.Get("TIDEMARK_POD_NAME")
	if pod == "" {
		return nil, nil
	}
	namespace := s.ownNamespace()
	self = []object.ID{{Kind: "Namespace", Name: namespace}}
	if account := s.env.Get("TIDEMARK_SERVICE_ACCOUNT"); account != "" {
		self = append(self, object.ID{Kind: "ServiceAccount", Namespace: namespace, Name: account})
	}
	target, err := s.Cluster(ctx)
	if err != nil {
		return self, nil
	}
	chain, job, err := owners(ctx, target, object.ID{Kind: "Pod", Namespace: namespace, Name: pod})
	if err != nil {
		s.warn(fmt.Sprintf("what this run runs from is not wholly protected from its own pruning: %v", err))
	}
	return append(self, chain...), job
}

// controllers are the kinds that pods belong to, directly or not, with their
// groups.
var controllers = map[string]string{ //nolint:gochecknoglobals // a table
	"Job": "batch", "CronJob": "batch", "ReplicaSet": "apps", "Deployment": "apps", "StatefulSet": "apps", "DaemonSet": "apps",
}

// owners follows the controllers of a pod, such as Job and CronJob, and gives the
// Job's annotations; on an error, as far as it came.
func owners(ctx context.Context, target *cluster.Cluster, id object.ID) (chain []object.ID, job map[string]string, err error) {
	chain = []object.ID{id}
	for range 3 {
		const version = "v1"
		meta, err := target.Metadata(ctx, id, version)
		if err != nil {
			return chain, job, fmt.Errorf("read %s: %w", id, err)
		}
		if id.Kind == "Job" {
			job = meta.Annotations
		}
		kind, name, ok := strings.Cut(meta.Controller, " ")
		if !ok {
			return chain, job, nil
		}
		group, known := controllers[kind]
		if !known {
			return chain, job, fmt.Errorf("%s belongs to the %s %s, which is of no known group", id, kind, name)
		}
		id = object.ID{Group: group, Kind: kind, Namespace: id.Namespace, Name: name}
		chain = append(chain, id)
	}
	return chain, job, nil
}
