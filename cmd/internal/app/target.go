package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tidemark.dev/tidemark/reconcile/cluster"
)

// serviceAccountDir is where a Pod finds who it is.
const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// Cluster opens the target. Nothing is sent to it yet; only a cloud is asked where
// its cluster is.
func (s *Session) Cluster(ctx context.Context) (*cluster.Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settings.Offline {
		return nil, &UsageError{Message: "--offline asks no cluster, and something is to be read there", Hint: "name the credentials of repositories by a variable or a file, or leave --offline out"}
	}
	if s.cluster != nil {
		return s.cluster, nil
	}
	options, err := s.target(ctx)
	if err != nil {
		return nil, err
	}
	options.Version = s.env.Version
	if token, err := os.ReadFile(options.TokenFile); err == nil {
		s.Redactor.Add(string(token))
	}
	s.cluster, err = cluster.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open the cluster: %w", err)
	}
	return s.cluster, nil
}

// target says which cluster is meant: what the flags say, else what the
// configuration says, else what kubectl would take.
func (s *Session) target(ctx context.Context) (cluster.Options, error) {
	given := s.local.Cluster
	if s.settings.namesCluster() {
		given.Kubeconfig, given.Context = s.settings.Kubeconfig, s.settings.Context
		given.Server, given.TokenFile, given.CAFile = s.settings.Server, s.settings.TokenFile, s.settings.CAFile
		given.InCluster, given.EKS, given.GKE = s.settings.InCluster, s.settings.EKS, s.settings.GKE
	}
	options := cluster.Options{AllowExec: given.AllowExec || s.settings.AllowExec, Context: given.Context}
	switch {
	case given.EKS.Name != "":
		return s.eks(ctx, given.EKS)
	case given.GKE.Name != "":
		return s.gke(ctx, given.GKE)
	case given.Server != "":
		options.Server, options.TokenFile, options.CAFile = given.Server, given.TokenFile, given.CAFile
		return options, nil
	case given.InCluster:
		return s.pod()
	case given.Kubeconfig != "":
		options.Kubeconfig = given.Kubeconfig
		return options, nil
	}
	options.Kubeconfig = s.env.Get("KUBECONFIG")
	if options.Kubeconfig == "" {
		if s.env.Get("KUBERNETES_SERVICE_HOST") != "" && options.Context == "" {
			return s.pod()
		}
		options.Kubeconfig = filepath.Join(s.env.Home, ".kube", "config")
		if _, err := os.Stat(options.Kubeconfig); err != nil {
			return cluster.Options{}, &UsageError{
				Message: "no cluster is given, and there is no " + options.Kubeconfig,
				Hint:    "name a kubeconfig with --kubeconfig or KUBECONFIG, or a server with --server and --token-file",
			}
		}
	}
	return options, nil
}

func (s Settings) namesCluster() bool {
	return s.Kubeconfig != "" || s.Context != "" || s.Server != "" || s.InCluster || s.EKS.Name != "" || s.GKE.Name != ""
}

func (s *Session) pod() (cluster.Options, error) {
	host, port := s.env.Get("KUBERNETES_SERVICE_HOST"), s.env.Get("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return cluster.Options{}, &UsageError{Message: "this is no pod of a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set"}
	}
	return cluster.InCluster(host, port), nil
}

// ownNamespace gives the namespace that this runs in: TIDEMARK_POD_NAMESPACE,
// that of the pod's service account, else default.
func (s *Session) ownNamespace() string {
	if name := s.env.Get("TIDEMARK_POD_NAMESPACE"); name != "" {
		return name
	}
	data, err := os.ReadFile(filepath.Join(serviceAccountDir, "namespace"))
	if name := strings.TrimSpace(string(data)); err == nil && name != "" {
		return name
	}
	return "default"
}
