package app

import (
	"time"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile"
)

// Settings are what a command was told by its flags and their variables. Where
// they are silent, the configuration speaks.
type Settings struct {
	// Config is the path of the configuration: a local file or, when Repo is
	// given, a file in that repository.
	Config string
	// Apps selects apps of the configuration; without one, it is the name of the
	// one app that Repo, Ref, Path and Namespace describe.
	Apps                       []string
	Repo, Ref, Path, Namespace string
	State                      string

	Kubeconfig, Context         string
	Server, TokenFile, CAFile   string
	InCluster, AllowExec        bool
	EKS                         config.EKS
	GKE                         config.GKE
	WitnessNamespace            string
	Git                         GitSettings
	Timeout, LeaseTTL, LockWait time.Duration
	Confirm                     []string
	Reason                      string
	// Offline plans against the ledger, Exactly is the saved plan to carry out, and
	// Keep puts a plan into the ledger.
	Offline bool
	Exactly *reconcile.Saved
	Keep    bool
	// Commits tells in a plan which commits it brings.
	Commits bool
	// Rollback is what tidemark rollback asks for.
	Rollback *reconcile.Rollback
	// AgeIdentity is a file with the key to the Secrets of kept sets.
	AgeIdentity string
	// LastConfig takes the configuration that the last run read from a repository, so
	// that none has to answer.
	LastConfig  bool
	KubeVersion string
	APIVersions []string
}

// GitSettings say where the credentials for Settings.Repo are found. The
// variables TIDEMARK_GIT_PASSWORD, TIDEMARK_GIT_TOKEN, TIDEMARK_GIT_SSH_KEY,
// TIDEMARK_GIT_SSH_PASSPHRASE, TIDEMARK_GIT_KNOWN_HOSTS and TIDEMARK_GIT_CA hold
// the values themselves.
type GitSettings struct {
	// Auth says it in the words of a configuration, and then alone: neither the
	// other fields nor the variables count.
	Auth *config.Auth
	// Secret is the "NAMESPACE/NAME" of a Kubernetes Secret.
	Secret       string
	Username     string
	PasswordFile string
	TokenFile    string
	SSHKeyFile   string
	// KnownHostsFile defaults to ~/.ssh/known_hosts.
	KnownHostsFile string
	CAFile         string
}

// UsageError says that a command was called wrongly; it is exit code 1.
type UsageError struct {
	Message string
	// Hint says what to do instead.
	Hint string
}

// Error says what is wrong.
func (e *UsageError) Error() string { return e.Message }
