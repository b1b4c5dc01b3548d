package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tidemark.dev/tidemark/cmd/internal/app"
)

// variables gives each flag that was not set the value of its variable.
func (c *cli) variables(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, ok := c.env.Lookup(app.Variable(f.Name))
		if f.Changed || !ok || value == "" || err != nil || f.Name == "help" {
			return
		}
		if bad := cmd.Flags().Set(f.Name, value); bad != nil {
			err = &app.UsageError{Message: fmt.Sprintf("the variable %s: %v", app.Variable(f.Name), bad)}
		}
	})
	if err != nil {
		return err
	}
	for name, words := range outputs(cmd) {
		if f := cmd.Flags().Lookup(name); f != nil {
			if err := oneOf(name, f.Value.String(), words); err != nil {
				return err
			}
		}
	}
	return nil
}

const outputKey = "tidemark.dev/one-of"

// outputs gives the flags of a command that allow only some words.
func outputs(cmd *cobra.Command) map[string][]string {
	found := map[string][]string{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if words := f.Annotations[outputKey]; len(words) > 0 {
			found[f.Name] = words
		}
	})
	return found
}

// outputFlag adds -o; the first word is the default.
func outputFlag(cmd *cobra.Command, into *string, words ...string) {
	cmd.Flags().StringVarP(into, "output", "o", words[0], "how to print the result: "+strings.Join(words, ", "))
	cmd.Flags().Lookup("output").Annotations = map[string][]string{outputKey: words}
	_ = cmd.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return slices.Clone(words), cobra.ShellCompDirectiveNoFileComp
	})
}

// stateFlags say which ledger is meant.
func (c *cli) stateFlags(cmd *cobra.Command) {
	f, s := cmd.Flags(), &c.settings
	f.StringVar(&s.Config, "config", "", "configuration `file` (default tidemark.yaml, if it is there); with --repo, a path in that repository")
	f.StringVar(&s.State, "state", "", "`URL` of the state: s3://bucket/prefix, gs://bucket/prefix, file:///directory")
	f.DurationVar(&s.LeaseTTL, "lease-ttl", 0, "how long the lease of a dead run is honoured (default 1m)")
	f.DurationVar(&s.Timeout, "timeout", 0, "bound for everything that the command does (default none)")
}

// waitFlags say how long to wait for others.
func (c *cli) waitFlags(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&c.settings.LockWait, "lock-timeout", 0, "bound for waiting for another run's lease (default until that run shows life or is proven dead)")
}

// appFlags say what is wanted.
func (c *cli) appFlags(cmd *cobra.Command) {
	f, s := cmd.Flags(), &c.settings
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

// clusterFlags say which cluster is the target.
func (c *cli) clusterFlags(cmd *cobra.Command) {
	f, s := cmd.Flags(), &c.settings
	f.StringVar(&s.Kubeconfig, "kubeconfig", "", "kubeconfig `file` (default $KUBECONFIG, else the pod's service account, else ~/.kube/config)")
	f.StringVar(&s.Context, "context", "", "context of the kubeconfig (default its current one)")
	f.BoolVar(&s.InCluster, "in-cluster", false, "use the service account of the pod")
	f.StringVar(&s.Server, "server", "", "`URL` of the API server, instead of a kubeconfig")
	f.StringVar(&s.TokenFile, "token-file", "", "`file` with a bearer token for --server")
	f.StringVar(&s.CAFile, "ca-file", "", "`file` with the certificates of --server")
	f.StringVar(&s.WitnessNamespace, "witness-namespace", "", "`namespace` of the Lease by which the cluster remembers the ledger (default \"kube-system\")")
	f.BoolVar(&s.AllowExec, "allow-exec", false, "let the kubeconfig run its credential plugins")
}
