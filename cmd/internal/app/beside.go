package app

import (
	"slices"

	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/object"
)

// Beside gives what a run that is a CronJob's in a namespace asks of the cluster
// beside its stages: what it runs from, and the Secrets that were read so far.
func (s *Session) Beside(namespace string) func() []apply.Permission {
	return func() []apply.Permission {
		s.mu.Lock()
		defer s.mu.Unlock()
		asked := slices.Clone(s.secretsRead)
		for kind, group := range map[string]string{"Pod": "", "Job": "batch", "CronJob": "batch"} {
			asked = append(asked, apply.Permission{Verb: "get", Kind: object.GroupKind{Group: group, Kind: kind}, Namespace: namespace})
		}
		return asked
	}
}
