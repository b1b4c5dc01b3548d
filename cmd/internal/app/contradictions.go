package app

import (
	"slices"
	"strings"
	"time"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/state"
)

func duration(d state.Duration) time.Duration { return time.Duration(d) }

// isLocalFile: the configuration is a file of this machine.
func (s Settings) isLocalFile() bool { return s.Config != "" && s.Repo == "" }

// isCommitted: the configuration is a file of the repository.
func (s Settings) isCommitted() bool { return s.Config != "" && s.Repo != "" }

// isSingle: the flags describe one app.
func (s Settings) isSingle() bool { return s.Config == "" && s.Repo != "" }

// Check finds flags that contradict each other; the error is a UsageError.
func (s Settings) Check() error {
	switch {
	case s.isLocalFile() && (s.Ref != "" || s.Path != "" || s.Namespace != ""):
		return &UsageError{
			Message: "--ref, --path and --namespace describe an app without a configuration; here " + s.Config + " describes the apps",
			Hint:    "leave them out, or leave out --config and give --repo",
		}
	case s.isCommitted() && (s.Path != "" || s.Namespace != ""):
		return &UsageError{
			Message: "--path and --namespace describe an app without a configuration; here " + s.Config + " in the repository describes the apps",
			Hint:    "leave them out, or leave out --config",
		}
	case s.isSingle() && len(s.Apps) == 0:
		return &UsageError{Message: "the app has no name", Hint: "give it one with --app; it must stay the same from run to run"}
	case s.isSingle() && len(s.Apps) > 1:
		return &UsageError{
			Message: "--app is given more than once, and there is no configuration to select from",
			Hint:    "describe several apps in a tidemark.yaml and name it with --config",
		}
	case s.Server != "" && (s.Kubeconfig != "" || s.Context != "" || s.InCluster):
		return &UsageError{Message: "--server goes without --kubeconfig, --context and --in-cluster"}
	case s.InCluster && (s.Kubeconfig != "" || s.Context != ""):
		return &UsageError{Message: "--in-cluster goes without --kubeconfig and --context"}
	case (s.EKS != config.EKS{} || s.GKE != config.GKE{}) && (s.Server != "" || s.Kubeconfig != "" || s.Context != "" || s.InCluster),
		s.EKS != config.EKS{} && s.GKE != config.GKE{}:
		return &UsageError{Message: "--eks-cluster and --gke-cluster go without each other, --kubeconfig, --context, --server and --in-cluster"}
	case s.EKS.Name == "" && s.EKS != config.EKS{}:
		return &UsageError{Message: "--eks-region and --eks-role say something of a cluster, and there is none", Hint: "name it with --eks-cluster"}
	case s.Git.Secret != "" && !strings.Contains(s.Git.Secret, "/"):
		return &UsageError{Message: "--git-secret wants NAMESPACE/NAME, not " + s.Git.Secret}
	case slices.Contains(s.Apps, ""):
		return &UsageError{Message: "--app is empty"}
	}
	return nil
}

// single gives the configuration that the flags describe.
func (s Settings) single() (config.Config, error) {
	ref, err := git.ParseRef(s.Ref)
	if err != nil {
		return config.Config{}, &UsageError{Message: "--ref: " + err.Error()}
	}
	c, err := config.Single(s.Apps[0], s.Repo, ref, s.Path, s.Namespace)
	if err != nil {
		return config.Config{}, &UsageError{Message: err.Error()}
	}
	return c, nil
}
