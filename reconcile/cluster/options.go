package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // the one auth-provider that client-go still has
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	defaultTimeout = 30 * time.Second
	// Smaller pages cost the server more, larger ones repeat more when the list has
	// to begin anew. Memory does not depend on it: objects are read as they come.
	defaultPageSize = 5_000
)

// ErrPlugin is the case of a kubeconfig whose user needs a program to be run
// for its credentials, without Options.AllowExec.
var ErrPlugin = errors.New("the kubeconfig asks for a credential plugin, which is not allowed")

// Options say which cluster is meant and how it is spoken with: either
// Kubeconfig, or Server with what goes with it. Nothing of it is read from the
// environment, but for the proxy that HTTPS_PROXY and NO_PROXY name, as every
// Go program does.
type Options struct {
	// Kubeconfig is the path of a kubeconfig file, or several as the variable
	// KUBECONFIG has them, merged in the same way.
	Kubeconfig string
	// Context is the one of Kubeconfig to use; empty is its current one.
	Context string

	// Server is the URL of the API server.
	Server string
	// Token is a bearer token. TokenFile names a file that holds one and is read
	// again as it changes.
	Token, TokenFile string
	// Tokens gives a bearer token and until when it holds, each time that the last
	// one is about to end; instead of Token and TokenFile.
	Tokens func(context.Context) (token string, until time.Time, err error)
	// CA holds the authorities that sign for Server, as PEM; CAFile names a file
	// of them. Without either, those of the system do.
	CA     []byte
	CAFile string

	// AllowExec lets a kubeconfig run programs for credentials (exec), or fetch
	// them (auth-provider; client-go knows oidc, and writes what it fetched into
	// the file); without it such a kubeconfig is ErrPlugin.
	AllowExec bool
	// Version is Tidemark's own, for the user agent "tidemark/VERSION".
	Version string
	// Timeout bounds one request with its answer; 0 is 30 s. The context that
	// is given with a request bounds it further.
	Timeout time.Duration
	// PageSize is the number of objects that one request of a list asks for; 0
	// is 5,000.
	PageSize int
	// Near: the server is in the same network, so that answers are not to be
	// compressed. They are not either where a kubeconfig forbids it, and from a
	// server on the same machine.
	Near bool
}

// serviceAccount is where Kubernetes puts the credentials of a Pod.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// InCluster gives the options for a Pod: host and port are the values of
// KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, and the credentials are
// those of its service account.
func InCluster(host, port string) Options {
	return Options{
		Server:    "https://" + net.JoinHostPort(host, port),
		TokenFile: filepath.Join(serviceAccount, "token"),
		CAFile:    filepath.Join(serviceAccount, "ca.crt"),
		Near:      true,
	}
}

func (o Options) config() (*rest.Config, error) {
	var config *rest.Config
	var err error
	switch {
	case o.Kubeconfig != "" && o.Server != "":
		return nil, errors.New("both a kubeconfig and a server are given: one cluster is wanted")
	case o.Kubeconfig != "":
		config, err = o.fromKubeconfig()
	case o.Server != "":
		config, err = o.explicit()
	default:
		return nil, errors.New("no cluster is given: neither a kubeconfig nor a server")
	}
	if err != nil {
		return nil, err
	}
	config.UserAgent = "tidemark/" + o.Version
	config.QPS = -1 // the server has its own priority and fairness
	return config, nil
}

func (o Options) explicit() (*rest.Config, error) {
	if server, err := url.Parse(o.Server); err == nil && server.Scheme == "http" && (o.Token+o.TokenFile != "" || o.Tokens != nil) && !loopback(server.Hostname()) {
		return nil, errors.New("the token would go over http:// unencrypted: the server's URL must begin with https://")
	}
	if o.TokenFile != "" {
		// client-go would find out at the first request, and call it a failure to
		// reach the server.
		if _, err := os.Stat(o.TokenFile); err != nil {
			return nil, fmt.Errorf("read the token for %s: %w", o.Server, err)
		}
	}
	config := &rest.Config{
		Host:            o.Server,
		BearerToken:     o.Token,
		BearerTokenFile: o.TokenFile,
		TLSClientConfig: rest.TLSClientConfig{CAData: o.CA, CAFile: o.CAFile},
	}
	if o.Tokens != nil {
		config.Wrap((&bearer{fresh: o.Tokens, now: time.Now}).wrap) //nolint:forbidigo // It is held against what clouds say.
	}
	return config, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip.IsLoopback()
}

func (o Options) fromKubeconfig() (*rest.Config, error) {
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(o.Kubeconfig)}
	if len(rules.Precedence) == 1 {
		// Of several files some may be missing; a single one is meant to be there.
		rules = &clientcmd.ClientConfigLoadingRules{ExplicitPath: rules.Precedence[0]}
	}
	raw, err := rules.Load()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", o.Kubeconfig, err)
	}
	name := o.Context
	if name == "" {
		name = raw.CurrentContext
	}
	selected := raw.Contexts[name]
	switch {
	case name == "":
		return nil, fmt.Errorf("kubeconfig %s: it has no current-context: name a context", o.Kubeconfig)
	case selected == nil:
		return nil, fmt.Errorf("kubeconfig %s: it has no context %q", o.Kubeconfig, name)
	}
	if user := raw.AuthInfos[selected.AuthInfo]; user != nil && !o.AllowExec {
		switch {
		case user.Exec != nil:
			return nil, fmt.Errorf("kubeconfig %s: user %q runs %q: %w", o.Kubeconfig, selected.AuthInfo, user.Exec.Command, ErrPlugin)
		case user.AuthProvider != nil:
			return nil, fmt.Errorf("kubeconfig %s: user %q has the auth-provider %q: %w", o.Kubeconfig, selected.AuthInfo, user.AuthProvider.Name, ErrPlugin)
		}
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*raw, name, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: context %q: %w", o.Kubeconfig, name, err)
	}
	return config, nil
}

func baseURL(config *rest.Config) (*url.URL, error) {
	tls := len(config.CAData) > 0 || config.CAFile != "" || len(config.CertData) > 0 || config.CertFile != "" || config.Insecure
	base, _, err := rest.DefaultServerURL(config.Host, "", schema.GroupVersion{}, tls)
	if err != nil {
		// url.Parse's error repeats the address, which may hold credentials.
		return nil, errors.New("the address of the API server is not a URL")
	}
	if base.User != nil {
		return nil, errors.New("the address of the API server holds credentials: put them into the user of the kubeconfig")
	}
	return base, nil
}
