// Package config gives the configuration of a ledger: tidemark.yaml, read
// strictly, checked, and with its defaults filled in; and the fleet file, which
// lists ledgers, read in the same way.
//
// Its words: a Repository is where revisions come from, an App what is made of
// one; Secret and Text say where a value is found, so that no credential ever
// stands in the file.
//
// Its laws: a problem names file, line and field, and all problems are told at
// once. The structs are the documented schema: tidemark.schema.json,
// fleet.schema.json and the reference are generated from them. A configuration that was read from a
// repository may be hostile: it cannot name the runner's files or environment,
// the state or the cluster, and no Secret of another namespace (see Trust).
package config

import (
	"tidemark.dev/tidemark/state"
)

// APIVersion and Kind are those of the one format that this Tidemark reads.
const (
	APIVersion = "tidemark.dev/v1alpha1"
	Kind       = "Config"
)

// Config is the configuration of one ledger: one state, one cluster, any
// number of apps.
type Config struct {
	// APIVersion is the version of this format.
	APIVersion string `json:"apiVersion" required:"true" oneof:"tidemark.dev/v1alpha1"`
	// Kind may be left out.
	Kind string `json:"kind,omitempty" oneof:"Config"`
	// State is the URL of the bucket and prefix, or the directory, that holds
	// the ledger: s3://bucket/prefix, gs://bucket/prefix, file:///directory.
	State string `json:"state,omitempty"`
	// StateOptions say how the state is reached.
	StateOptions StateOptions `json:"stateOptions,omitzero"`
	// Cluster is the target. Left out, it is found as kubectl finds it.
	Cluster Cluster `json:"cluster,omitzero"`
	// Repositories are those that apps name in source.repo.
	Repositories []Repository `json:"repositories,omitempty"`
	// ChartRepositories say how chart repositories and registries are reached
	// that want credentials or certificates; charts name them by URL.
	ChartRepositories []ChartRepository `json:"chartRepositories,omitempty"`
	// Defaults hold for each app that does not say otherwise.
	Defaults Defaults `json:"defaults,omitzero"`
	// Apps are what is brought to the cluster. What other apps want of one that
	// leaves this list is handed over to them; the rest of it is reported and left
	// alone, until it is listed as absent or its deletion is approved.
	Apps []App `json:"apps" required:"true"`
	// SyncWindows say when runs may act. Default: always.
	SyncWindows []SyncWindow `json:"syncWindows,omitempty"`
	// History says which sets of an app are kept to go back to.
	History History `json:"history,omitzero"`
	// Audit says which runs leave a record of their own.
	Audit Audit `json:"audit,omitzero"`
	// LeaseTTL is how long the lease of a run that died is honoured; at least
	// 3s, and 10s on gs://. Default 1m.
	LeaseTTL state.Duration `json:"leaseTTL,omitempty"`
	// Timeout bounds a whole run. Default: none.
	Timeout state.Duration `json:"timeout,omitempty"`
	// DeferTimeout is how long a run waits for kinds that an operator has yet
	// to install. Default: one further try, no wait.
	DeferTimeout state.Duration `json:"deferTimeout,omitempty"`
}

// StateOptions say how the object store of the state is reached.
type StateOptions struct {
	// S3 is for s3:// URLs.
	S3 S3 `json:"s3,omitzero"`
	// GCS is for gs:// URLs.
	GCS GCS `json:"gcs,omitzero"`
}

// S3 says how a bucket with the S3 protocol is reached. Credentials are the
// ambient ones of the AWS SDK: environment, shared files, web identity,
// instance role.
type S3 struct {
	// Endpoint is the URL of a server other than AWS.
	Endpoint string `json:"endpoint,omitempty"`
	// Region of the bucket. Default: the SDK's.
	Region string `json:"region,omitempty"`
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool `json:"pathStyle,omitempty"`
}

// GCS says how a Google Cloud Storage bucket is reached. Credentials are the
// application default ones.
type GCS struct {
	// Endpoint is the URL of an emulator.
	Endpoint string `json:"endpoint,omitempty"`
}

// Cluster says which cluster is the target and how to get in: a kubeconfig, the
// service account of the pod that Tidemark runs in, or a server with a token.
type Cluster struct {
	// Kubeconfig is the path of a kubeconfig file. Default: $KUBECONFIG, else
	// the pod's service account, else ~/.kube/config.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Context of the kubeconfig. Default: its current one.
	Context string `json:"context,omitempty"`
	// InCluster insists on the service account of the pod.
	InCluster bool `json:"inCluster,omitempty"`
	// Server is the URL of the API server; with tokenFile and caFile it takes
	// the place of a kubeconfig.
	Server string `json:"server,omitempty"`
	// TokenFile holds a bearer token.
	TokenFile string `json:"tokenFile,omitempty"`
	// CAFile holds PEM certificates that the server is recognised by.
	CAFile string `json:"caFile,omitempty"`
	// EKS is a cluster of Amazon's, which takes the place of a kubeconfig.
	EKS EKS `json:"eks,omitzero"`
	// GKE is a cluster of Google's, which takes the place of a kubeconfig.
	GKE GKE `json:"gke,omitzero"`
	// AllowExec lets the kubeconfig run its credential plugins.
	AllowExec bool `json:"allowExec,omitempty"`
	// WitnessNamespace is where the Lease stands by which the cluster remembers
	// the ledger, so that a state that was lost or rolled back is noticed. It must
	// stay the same for all runs of a ledger. Default kube-system.
	WitnessNamespace string `json:"witnessNamespace,omitempty"`
}

// EKS names a cluster of Amazon EKS. Who asks is found as the AWS SDK finds it:
// environment, shared files, web identity, instance role. It needs
// eks:DescribeCluster, and an access entry in the cluster.
type EKS struct {
	// Name of the cluster.
	Name string `json:"name,omitempty"`
	// Region of the cluster. Default: the SDK's.
	Region string `json:"region,omitempty"`
	// RoleARN is a role to assume for this cluster. Default: none.
	RoleARN string `json:"roleARN,omitempty"`
}

// GKE names a cluster of Google Kubernetes Engine. Who asks is found as Google's
// SDKs find it (application default credentials). It needs container.clusters.get,
// and rights in the cluster.
type GKE struct {
	// Name is projects/PROJECT/locations/LOCATION/clusters/NAME.
	Name string `json:"name,omitempty"`
}

// Audit says which runs leave a record of their own, and what stays beside the
// records.
type Audit struct {
	// Unchanged: every run without changes leaves a record (every), or those of
	// an hour are counted in one (hourly). Default every.
	Unchanged string `json:"unchanged,omitempty" oneof:"every hourly"`
	// Retention is how long plans, results and inventories of past runs stay
	// beside their records. The records themselves always stay. Default 2160h (90
	// days).
	Retention state.Duration `json:"retention,omitempty"`
}
