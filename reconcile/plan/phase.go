package plan

import "tidemark.dev/tidemark/render/object"

// The phases of an apply: what comes first is what later ones need to exist.
// Objects of one phase are applied side by side; prunes go the other way round.
const (
	phaseDefinitions = iota // CustomResourceDefinitions, waited for
	phaseNamespaces
	phaseClasses // cluster-scoped classes and roles
	phaseGround  // what workloads refer to
	phaseBindings
	phaseWorkloads
	phaseRest
	phaseAPIServices
	phaseWebhooks
)

// Founds says whether the change belongs to what every app may build on: it
// applies a definition or a namespace.
func (c Change) Founds() bool {
	return c.Action != Prune && Phase(c.ID.GroupKind()) <= phaseNamespaces
}

var phases = map[object.GroupKind]int{ //nolint:gochecknoglobals // a table
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: phaseDefinitions,

	{Kind: "Namespace"}: phaseNamespaces,

	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:       phaseClasses,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:           phaseClasses,
	{Group: "storage.k8s.io", Kind: "CSIDriver"}:              phaseClasses,
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:              phaseClasses,
	{Group: "networking.k8s.io", Kind: "IngressClass"}:        phaseClasses,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}: phaseClasses,
	{Kind: "PersistentVolume"}:                                phaseClasses,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:        phaseGround,
	{Kind: "ServiceAccount"}:                                  phaseGround,
	{Kind: "Secret"}:                                          phaseGround,
	{Kind: "ConfigMap"}:                                       phaseGround,
	{Kind: "ResourceQuota"}:                                   phaseGround,
	{Kind: "LimitRange"}:                                      phaseGround,
	{Kind: "PersistentVolumeClaim"}:                           phaseGround,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:       phaseGround,
	{Group: "policy", Kind: "PodDisruptionBudget"}:            phaseGround,

	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: phaseBindings,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        phaseBindings,
	{Kind: "Service"}: phaseBindings,

	{Kind: "Pod"}:                        phaseWorkloads,
	{Kind: "ReplicationController"}:      phaseWorkloads,
	{Group: "apps", Kind: "ReplicaSet"}:  phaseWorkloads,
	{Group: "apps", Kind: "Deployment"}:  phaseWorkloads,
	{Group: "apps", Kind: "StatefulSet"}: phaseWorkloads,
	{Group: "apps", Kind: "DaemonSet"}:   phaseWorkloads,

	{Group: "apiregistration.k8s.io", Kind: "APIService"}: phaseAPIServices,

	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:     phaseWebhooks,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}:   phaseWebhooks,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"}:        phaseWebhooks,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"}: phaseWebhooks,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicy"}:          phaseWebhooks,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicyBinding"}:   phaseWebhooks,
}

// Phase gives the phase of a kind, from 0; a kind that no phase names, such as
// a custom resource, comes after the workloads.
func Phase(kind object.GroupKind) int {
	if phase, ok := phases[kind]; ok {
		return phase
	}
	return phaseRest
}
