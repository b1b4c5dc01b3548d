package app

import (
	"fmt"
	"os"

	"tidemark.dev/tidemark/cmd/internal/config"
)

// Fleet reads a fleet file. Ledgers that share a state are refused, however
// the URLs of it are written.
func (e Env) Fleet(path string) (config.Fleet, error) {
	data, err := os.ReadFile(path) //nolint:gosec // The operator names it.
	if err != nil {
		return config.Fleet{}, fmt.Errorf("read fleet: %w", err)
	}
	return config.ParseFleet(path, data, func(state string) (string, error) {
		return e.place(state, config.StateOptions{})
	})
}

// Of gives the settings of one ledger of a fleet: what its entry says, and what
// is in force for all of them.
func (s Settings) Of(l config.Ledger) Settings {
	s.Config, s.Repo, s.Ref, s.State, s.Apps = l.Config, l.Repo, l.Ref.String(), l.State, l.Apps
	if l.Repo == "" {
		s.Ref = ""
	}
	s.Git = GitSettings{Auth: &l.Auth}
	s.AllowExec = s.AllowExec || l.Cluster.AllowExec
	if l.Cluster.WitnessNamespace != "" {
		s.WitnessNamespace = l.Cluster.WitnessNamespace
	}
	switch k := l.Cluster; {
	case k.Kubeconfig != "" || k.Server != "" || k.InCluster || k.EKS != config.EKS{} || k.GKE != config.GKE{}:
		s.EKS, s.GKE = k.EKS, k.GKE
		s.Kubeconfig, s.Context, s.InCluster = k.Kubeconfig, k.Context, k.InCluster
		s.Server, s.TokenFile, s.CAFile = k.Server, k.TokenFile, k.CAFile
	case k.Context != "":
		s.Context, s.InCluster = k.Context, false
		s.EKS, s.GKE = config.EKS{}, config.GKE{}
		s.Server, s.TokenFile, s.CAFile = "", "", ""
	}
	return s
}
