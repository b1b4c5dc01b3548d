package helm

import (
	"slices"
	"strconv"
	"strings"
)

// builtInKinds are the kinds that every Kubernetes serves without CRDs, in
// their stable versions; since is the minor release that brought one, 0 for
// those older than 1.25, the oldest release this table speaks of.
//
// https://kubernetes.io/docs/reference/using-api/deprecation-guide/
func builtInKinds() []kinds {
	return []kinds{
		{"v1", 0, "ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount"},
		{"admissionregistration.k8s.io/v1", 0, "MutatingWebhookConfiguration ValidatingWebhookConfiguration"},
		{"admissionregistration.k8s.io/v1", 30, "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"},
		{"apiextensions.k8s.io/v1", 0, "CustomResourceDefinition"},
		{"apiregistration.k8s.io/v1", 0, "APIService"},
		{"apps/v1", 0, "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet"},
		{"authentication.k8s.io/v1", 0, "TokenReview"},
		{"authentication.k8s.io/v1", 28, "SelfSubjectReview"},
		{"authorization.k8s.io/v1", 0, "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview"},
		{"autoscaling/v1", 0, "HorizontalPodAutoscaler"},
		{"autoscaling/v2", 0, "HorizontalPodAutoscaler"},
		{"batch/v1", 0, "CronJob Job"},
		{"certificates.k8s.io/v1", 0, "CertificateSigningRequest"},
		{"coordination.k8s.io/v1", 0, "Lease"},
		{"discovery.k8s.io/v1", 0, "EndpointSlice"},
		{"events.k8s.io/v1", 0, "Event"},
		{"flowcontrol.apiserver.k8s.io/v1", 29, "FlowSchema PriorityLevelConfiguration"},
		{"networking.k8s.io/v1", 0, "Ingress IngressClass NetworkPolicy"},
		{"networking.k8s.io/v1", 33, "IPAddress ServiceCIDR"},
		{"node.k8s.io/v1", 0, "RuntimeClass"},
		{"policy/v1", 0, "PodDisruptionBudget"},
		{"rbac.authorization.k8s.io/v1", 0, "ClusterRole ClusterRoleBinding Role RoleBinding"},
		{"resource.k8s.io/v1", 34, "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice"},
		{"scheduling.k8s.io/v1", 0, "PriorityClass"},
		{"storage.k8s.io/v1", 0, "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment"},
	}
}

type kinds struct {
	version string
	since   int
	names   string
}

// builtIn gives the built-in API versions of Kubernetes 1.minor, as
// "group/version" and "group/version/Kind". Helm's own list, which "helm
// template" takes, also names versions that were removed years ago, and no
// kinds.
func builtIn(minor string) []string {
	release, err := strconv.Atoi(minor)
	if err != nil {
		release = 0
	}
	var all []string
	for _, k := range builtInKinds() {
		if k.since > release {
			continue
		}
		all = append(all, k.version)
		for name := range strings.FieldsSeq(k.names) {
			all = append(all, k.version+"/"+name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
