package config

import "tidemark.dev/tidemark/render/git"

// Repository is a git repository that apps name in source.repo.
type Repository struct {
	// Name by which apps name the repository.
	Name string `json:"name" required:"true"`
	// URL of the repository: https://, http://, ssh://, user@host:path,
	// file:// or a path. It holds no credentials.
	URL string `json:"url" required:"true"`
	// Ref that is wanted, unless an app wants another. Default: the remote's
	// HEAD.
	Ref git.Ref `json:"ref,omitzero"`
	// Auth is what the server is shown, and what it is recognised by.
	Auth Auth `json:"auth,omitzero"`
	// Limits bound what the repository can make Tidemark hold.
	Limits Limits `json:"limits,omitzero"`
	// Submodules are fetched too. Default false.
	Submodules bool `json:"submodules,omitempty"`
}

// Auth says where the credentials of a server are found. None stands in the
// file itself.
type Auth struct {
	// SecretRef names a Kubernetes Secret of the target cluster, in the shape
	// that Flux or Argo CD give it. It goes alone, but for knownHosts and ca,
	// which count where the Secret has none.
	SecretRef *SecretRef `json:"secretRef,omitempty"`
	// Username for https.
	Username *Text `json:"username,omitempty"`
	// Password for https; a personal access token goes here too.
	Password *Secret `json:"password,omitempty"`
	// BearerToken for https, instead of username and password.
	BearerToken *Secret `json:"bearerToken,omitempty"`
	// SSHKey is a private key in PEM.
	SSHKey *Secret `json:"sshKey,omitempty"`
	// SSHPassphrase opens the private key.
	SSHPassphrase *Secret `json:"sshPassphrase,omitempty"`
	// KnownHosts is what ssh servers are recognised by, as ~/.ssh/known_hosts
	// has it. Default: that file.
	KnownHosts *Text `json:"knownHosts,omitempty"`
	// CA holds PEM certificates to trust for https beside the system's own.
	CA *Text `json:"ca,omitempty"`
	// GitHubApp gets its tokens as an installation of a GitHub App.
	GitHubApp *GitHubApp `json:"githubApp,omitempty"`
}

// ChartRepository says how a chart repository or registry is reached.
type ChartRepository struct {
	// URL as charts write it, or of a folder above it.
	URL string `json:"url" required:"true"`
	// Auth: secretRef, username, password, bearerToken and ca.
	Auth Auth `json:"auth,omitzero"`
	// PlainHTTP speaks HTTP with an oci:// registry.
	PlainHTTP bool `json:"plainHTTP,omitempty"`
}

// GitHubApp is an installation of a GitHub App.
type GitHubApp struct {
	// ID is the app's ID or client ID.
	ID string `json:"id" required:"true"`
	// InstallationID is that of one account's installation.
	InstallationID string `json:"installationID" required:"true"`
	// PrivateKey is the app's key in PEM.
	PrivateKey *Secret `json:"privateKey" required:"true"`
	// BaseURL of the API; GitHub Enterprise Server has it at
	// https://HOST/api/v3. Default: GitHub's own.
	BaseURL string `json:"baseURL,omitempty"`
}

// SecretRef names a Kubernetes Secret.
type SecretRef struct {
	// Name of the Secret.
	Name string `json:"name" required:"true"`
	// Namespace of the Secret. Default: the one that Tidemark runs in; a
	// configuration in a repository may name no other.
	Namespace string `json:"namespace,omitempty"`
}

// Secret says where a credential is found; exactly one field is given.
type Secret struct {
	// Env names an environment variable.
	Env string `json:"env,omitempty"`
	// File is the path of a file.
	File string `json:"file,omitempty"`
}

// Text is a value that is no credential, or where it is found; exactly one
// field is given.
type Text struct {
	// Value is the value itself.
	Value string `json:"value,omitempty"`
	// Env names an environment variable.
	Env string `json:"env,omitempty"`
	// File is the path of a file.
	File string `json:"file,omitempty"`
}

// Limits bound what a repository can make Tidemark hold; what is left out has
// its default.
type Limits struct {
	// PackSize is the most that one fetch reads from the server. Default 256Mi.
	PackSize Size `json:"packSize,omitempty"`
	// Objects is the most objects of one fetch. Default 250000.
	Objects int64 `json:"objects,omitempty"`
	// FileSize is the largest file that is read. Default 16Mi.
	FileSize Size `json:"fileSize,omitempty"`
}
