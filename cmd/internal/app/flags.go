package app

import (
	"fmt"

	"github.com/spf13/pflag"
)

// Variables gives each flag that was not set the value of its variable.
func (e Env) Variables(flags *pflag.FlagSet) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		value, ok := e.Lookup(Variable(f.Name))
		if f.Changed || !ok || value == "" || err != nil || f.Name == "help" {
			return
		}
		if bad := flags.Set(f.Name, value); bad != nil {
			err = &UsageError{Message: fmt.Sprintf("the variable %s: %v", Variable(f.Name), bad)}
		}
	})
	return err
}

// Told gives the settings of a program that has no flags, by their variables:
// those of a sync.
func (e Env) Told() (Settings, error) {
	var s Settings
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.StateFlags(flags)
	s.WaitFlags(flags)
	s.AppFlags(flags)
	s.ClusterFlags(flags)
	err := e.Variables(flags)
	return s, err
}

// StateFlags say which ledger is meant.
func (s *Settings) StateFlags(f *pflag.FlagSet) {
	f.StringVar(&s.Config, "config", "", "configuration `file` (default tidemark.yaml, if it is there); with --repo, a path in that repository")
	f.StringVar(&s.State, "state", "", "`URL` of the state: s3://bucket/prefix, gs://bucket/prefix, file:///directory")
	f.DurationVar(&s.LeaseTTL, "lease-ttl", 0, "how long the lease of a dead run is honoured (default 1m)")
	f.DurationVar(&s.Timeout, "timeout", 0, "bound for everything that the command does (default none)")
}

// WaitFlags say how long to wait for others.
func (s *Settings) WaitFlags(f *pflag.FlagSet) {
	f.DurationVar(&s.LockWait, "lock-timeout", 0, "bound for waiting for another run's lease (default until that run shows life or is proven dead)")
}

// AppFlags say what is wanted.
func (s *Settings) AppFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&s.Apps, "app", nil, "`name` of an app: selects it from the configuration (repeatable), or names the one app that --repo gives")
	f.StringVar(&s.Repo, "repo", "", "`URL` or path of the git repository")
	f.StringVar(&s.Ref, "ref", "", "branch, tag, full ref name, commit or semver:RANGE (default the remote's HEAD)")
	f.StringVar(&s.Path, "path", "", "directory or file in the repository (default its root)")
	f.StringVarP(&s.Namespace, "namespace", "n", "", "namespace of objects that name none (default \"default\")")
	f.StringVar(&s.Git.Secret, "git-secret", "", "`NAMESPACE/NAME` of a Kubernetes Secret with the credentials for --repo, as Flux or Argo CD have it")
	f.StringVar(&s.Git.Username, "git-username", "", "user name for --repo")
	f.StringVar(&s.Git.PasswordFile, "git-password-file", "", "`file` with the password or access token (or TIDEMARK_GIT_PASSWORD)")
	f.StringVar(&s.Git.TokenFile, "git-token-file", "", "`file` with a bearer token (or TIDEMARK_GIT_TOKEN)")
	f.StringVar(&s.Git.SSHKeyFile, "git-ssh-key-file", "", "`file` with the private ssh key (or TIDEMARK_GIT_SSH_KEY, TIDEMARK_GIT_SSH_PASSPHRASE)")
	f.StringVar(&s.Git.KnownHostsFile, "git-known-hosts-file", "", "`file` with the keys of ssh servers (or TIDEMARK_GIT_KNOWN_HOSTS; default ~/.ssh/known_hosts)")
	f.StringVar(&s.Git.CAFile, "git-ca-file", "", "`file` with certificates to trust for --repo (or TIDEMARK_GIT_CA)")
}

// ClusterFlags say which cluster is the target.
func (s *Settings) ClusterFlags(f *pflag.FlagSet) {
	f.StringVar(&s.Kubeconfig, "kubeconfig", "", "kubeconfig `file` (default $KUBECONFIG, else the pod's service account, else ~/.kube/config)")
	f.StringVar(&s.Context, "context", "", "context of the kubeconfig (default its current one)")
	f.BoolVar(&s.InCluster, "in-cluster", false, "use the service account of the pod")
	f.StringVar(&s.Server, "server", "", "`URL` of the API server, instead of a kubeconfig")
	f.StringVar(&s.TokenFile, "token-file", "", "`file` with a bearer token for --server")
	f.StringVar(&s.CAFile, "ca-file", "", "`file` with the certificates of --server")
	f.StringVar(&s.EKS.Name, "eks-cluster", "", "`name` of a cluster of Amazon EKS, instead of a kubeconfig")
	f.StringVar(&s.EKS.Region, "eks-region", "", "region of --eks-cluster (default the AWS SDK's)")
	f.StringVar(&s.EKS.RoleARN, "eks-role", "", "`ARN` of a role to assume for --eks-cluster")
	f.StringVar(&s.GKE.Name, "gke-cluster", "", "projects/P/locations/L/clusters/C: a cluster of Google's, instead of a kubeconfig")
	f.StringVar(&s.WitnessNamespace, "witness-namespace", "", "`namespace` of the Lease by which the cluster remembers the ledger (default \"kube-system\")")
	f.BoolVar(&s.AllowExec, "allow-exec", false, "let the kubeconfig run its credential plugins")
}
