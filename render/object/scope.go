package object

import (
	"iter"
	"maps"
)

// builtinScopes says of each kind that Kubernetes brings with it whether its
// objects live in a namespace. Made from the discovery documents of Kubernetes
// 1.37.2, k8s.io/kubernetes/api/discovery/*.json, which hold every version of
// every group, alpha ones too; subresources are left out. Sorted by group and
// kind.
//
//nolint:gochecknoglobals // a table that never changes
var builtinScopes = map[GroupKind]bool{
	{"", "Binding"}:               true,
	{"", "ComponentStatus"}:       false,
	{"", "ConfigMap"}:             true,
	{"", "Endpoints"}:             true,
	{"", "Event"}:                 true,
	{"", "LimitRange"}:            true,
	{"", "Namespace"}:             false,
	{"", "Node"}:                  false,
	{"", "PersistentVolume"}:      false,
	{"", "PersistentVolumeClaim"}: true,
	{"", "Pod"}:                   true,
	{"", "PodTemplate"}:           true,
	{"", "ReplicationController"}: true,
	{"", "ResourceQuota"}:         true,
	{"", "Secret"}:                true,
	{"", "Service"}:               true,
	{"", "ServiceAccount"}:        true,
	{"admissionregistration.k8s.io", "MutatingAdmissionPolicy"}:          false,
	{"admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"}:   false,
	{"admissionregistration.k8s.io", "MutatingWebhookConfiguration"}:     false,
	{"admissionregistration.k8s.io", "ValidatingAdmissionPolicy"}:        false,
	{"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"}: false,
	{"admissionregistration.k8s.io", "ValidatingWebhookConfiguration"}:   false,
	{"apiextensions.k8s.io", "CustomResourceDefinition"}:                 false,
	{"apiregistration.k8s.io", "APIService"}:                             false,
	{"apps", "ControllerRevision"}:                                       true,
	{"apps", "DaemonSet"}:                                                true,
	{"apps", "Deployment"}:                                               true,
	{"apps", "ReplicaSet"}:                                               true,
	{"apps", "StatefulSet"}:                                              true,
	{"authentication.k8s.io", "SelfSubjectReview"}:                       false,
	{"authentication.k8s.io", "TokenReview"}:                             false,
	{"authorization.k8s.io", "LocalSubjectAccessReview"}:                 true,
	{"authorization.k8s.io", "SelfSubjectAccessReview"}:                  false,
	{"authorization.k8s.io", "SelfSubjectRulesReview"}:                   false,
	{"authorization.k8s.io", "SubjectAccessReview"}:                      false,
	{"autoscaling", "HorizontalPodAutoscaler"}:                           true,
	{"batch", "CronJob"}:                                                 true,
	{"batch", "Job"}:                                                     true,
	{"certificates.k8s.io", "CertificateSigningRequest"}:                 false,
	{"certificates.k8s.io", "ClusterTrustBundle"}:                        false,
	{"certificates.k8s.io", "PodCertificateRequest"}:                     true,
	{"coordination.k8s.io", "Lease"}:                                     true,
	{"coordination.k8s.io", "LeaseCandidate"}:                            true,
	{"discovery.k8s.io", "EndpointSlice"}:                                true,
	{"events.k8s.io", "Event"}:                                           true,
	{"flowcontrol.apiserver.k8s.io", "FlowSchema"}:                       false,
	{"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"}:       false,
	{"internal.apiserver.k8s.io", "StorageVersion"}:                      false,
	{"lifecycle.k8s.io", "Eviction"}:                                     true,
	{"lifecycle.k8s.io", "EvictionRequest"}:                              true,
	{"networking.k8s.io", "IPAddress"}:                                   false,
	{"networking.k8s.io", "Ingress"}:                                     true,
	{"networking.k8s.io", "IngressClass"}:                                false,
	{"networking.k8s.io", "NetworkPolicy"}:                               true,
	{"networking.k8s.io", "ServiceCIDR"}:                                 false,
	{"node.k8s.io", "RuntimeClass"}:                                      false,
	{"policy", "PodDisruptionBudget"}:                                    true,
	{"rbac.authorization.k8s.io", "ClusterRole"}:                         false,
	{"rbac.authorization.k8s.io", "ClusterRoleBinding"}:                  false,
	{"rbac.authorization.k8s.io", "Role"}:                                true,
	{"rbac.authorization.k8s.io", "RoleBinding"}:                         true,
	{"resource.k8s.io", "DeviceClass"}:                                   false,
	{"resource.k8s.io", "DeviceTaintRule"}:                               false,
	{"resource.k8s.io", "ResourceClaim"}:                                 true,
	{"resource.k8s.io", "ResourceClaimTemplate"}:                         true,
	{"resource.k8s.io", "ResourcePoolStatusRequest"}:                     false,
	{"resource.k8s.io", "ResourceSlice"}:                                 false,
	{"scheduling.k8s.io", "CompositePodGroup"}:                           true,
	{"scheduling.k8s.io", "PodGroup"}:                                    true,
	{"scheduling.k8s.io", "PriorityClass"}:                               false,
	{"scheduling.k8s.io", "Workload"}:                                    true,
	{"storage.k8s.io", "CSIDriver"}:                                      false,
	{"storage.k8s.io", "CSINode"}:                                        false,
	{"storage.k8s.io", "CSIStorageCapacity"}:                             true,
	{"storage.k8s.io", "StorageClass"}:                                   false,
	{"storage.k8s.io", "VolumeAttachment"}:                               false,
	{"storage.k8s.io", "VolumeAttributesClass"}:                          false,
	{"storagemigration.k8s.io", "StorageVersionMigration"}:               false,
}

// BuiltinScope says whether the objects of a kind live in a namespace, for the
// kinds that are part of Kubernetes 1.37; known is false for any other kind.
func BuiltinScope(kind GroupKind) (namespaced, known bool) {
	namespaced, known = builtinScopes[kind]
	return namespaced, known
}

// BuiltinScopes gives every such kind, and whether its objects live in a namespace.
func BuiltinScopes() iter.Seq2[GroupKind, bool] { return maps.All(builtinScopes) }
