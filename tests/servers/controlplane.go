package servers

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/tidemark/tests/servers/assets"
)

// Admin is the name of the user that may do everything in a ControlPlane.
const Admin = "admin"

// User is someone whom a ControlPlane knows by a token. RBAC decides what the user may do; nothing, to begin with.
type User struct {
	Name   string
	Token  string // made up when empty
	Groups []string
}

// ControlPlaneOptions says what runs. The zero value is etcd and a kube-apiserver with RBAC.
type ControlPlaneOptions struct {
	// Audit logs every request; see ControlPlane.Audit.
	Audit bool
	// ControllerManager runs Kubernetes' own controllers too. Without them nothing makes service accounts, so the API
	// server then takes Pods that name none.
	ControllerManager bool
	// Users are known beside Admin.
	Users []User
	// APIServerFlags are added at the end, so that they win.
	APIServerFlags []string
	// ControllerManagerFlags are added at the end, so that they win.
	ControllerManagerFlags []string
}

// ControlPlane is a running Kubernetes without nodes. Its methods from Client act as Admin. It is safe for concurrent
// use, except for Stop and RestartAPIServer.
type ControlPlane struct {
	*Client
	// CACert is the authority behind URL, as PEM.
	CACert []byte
	// Dir holds its data and logs.
	Dir string

	options   ControlPlaneOptions
	bundle    assets.Bundle
	users     map[string]User
	apiserver []string // its command line
	etcd      *process
	api       *process
	manager   *process
}

// StartControlPlane starts etcd and kube-apiserver with their data in dir, and kube-controller-manager if asked for.
// Programs that are not there are an *assets.MissingError.
func StartControlPlane(ctx context.Context, dir string, options ControlPlaneOptions) (_ *ControlPlane, err error) {
	find := assets.APIServer
	if options.ControllerManager {
		find = assets.ControlPlane
	}
	bundle, err := find()
	if err != nil {
		return nil, err
	}
	if err := bundle.Check(); err != nil {
		return nil, err
	}
	c := &ControlPlane{Dir: dir, options: options, bundle: bundle, users: map[string]User{}}
	defer func() {
		if err != nil {
			_ = c.Stop()
		}
	}()
	if err := c.startEtcd(ctx); err != nil {
		return nil, err
	}
	if err := c.startAPIServer(ctx); err != nil {
		return nil, err
	}
	if options.ControllerManager {
		if err := c.startManager(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Stop ends all of it. What was stored stays in Dir, of no further use.
func (c *ControlPlane) Stop() error {
	var errs []error
	for _, p := range []*process{c.manager, c.api, c.etcd} {
		// The data is thrown away, so nobody waits for a tidy end.
		errs = append(errs, p.Kill())
	}
	return errors.Join(errs...)
}

// APIServerPID is the process of the API server, for those who measure it.
func (c *ControlPlane) APIServerPID() int { return c.api.cmd.Process.Pid }

// RestartAPIServer kills the API server and starts it again, at the same URL, with the same data.
func (c *ControlPlane) RestartAPIServer(ctx context.Context) error {
	// Asked to end, it waits for its watches, which the controllers never give up.
	if err := c.api.Kill(); err != nil {
		return err
	}
	c.CloseIdleConnections()
	return c.runAPIServer(ctx)
}

// User is a client that acts as the named user; nil when there is none of that name.
func (c *ControlPlane) User(name string) *Client {
	user, known := c.users[name]
	if !known {
		return nil
	}
	return newClient(c.URL, user.Token, c.CACert)
}

// Kubeconfig writes a kubeconfig file for the named user, with one context that bears the user's name.
func (c *ControlPlane) Kubeconfig(path, user string) error {
	return c.kubeconfig(path, user, c.URL, c.CACert)
}

// KubeconfigVia writes what Kubeconfig does, for reaching the API server through a Proxy whose Target it is.
func (c *ControlPlane) KubeconfigVia(p *Proxy, path, user string) error {
	return c.kubeconfig(path, user, p.URL, p.CACert)
}

func (c *ControlPlane) kubeconfig(path, user, server string, caPEM []byte) error {
	known, ok := c.users[user]
	if !ok {
		return fmt.Errorf("write kubeconfig: no user %q", user)
	}
	type named map[string]any
	content, err := json.MarshalIndent(map[string]any{ // JSON is YAML too.
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": user,
		"clusters":        []named{{"name": "test", "cluster": map[string]any{"server": server, "certificate-authority-data": caPEM}}},
		"users":           []named{{"name": user, "user": map[string]any{"token": known.Token}}},
		"contexts":        []named{{"name": user, "context": map[string]any{"cluster": "test", "user": user}}},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// Program is the path of a program of the control plane's version, such as kubectl.
func (c *ControlPlane) Program(name string) (string, error) {
	bundle, err := assets.ControlPlane()
	if err != nil {
		return "", err
	}
	return bundle.Path(name)
}

func (c *ControlPlane) startEtcd(ctx context.Context) error {
	program, err := c.bundle.Path("etcd")
	if err != nil {
		return err
	}
	client, err := freePort()
	if err != nil {
		return err
	}
	peer, err := freePort()
	if err != nil {
		return err
	}
	clientURL := fmt.Sprintf("http://127.0.0.1:%d", client)
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", peer)
	c.apiserver = append(c.apiserver, "--etcd-servers="+clientURL)
	c.etcd, err = startProcess(ctx, c.Dir, "etcd", nil, []string{
		program,
		"--name=test",
		"--data-dir=" + filepath.Join(c.Dir, "etcd"),
		"--unsafe-no-fsync", // a crash of the machine may lose it: it is a test's
		"--log-level=warn",
		"--listen-client-urls=" + clientURL, "--advertise-client-urls=" + clientURL,
		"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=test=" + peerURL,
	}, answersOK(clientURL+"/health"))
	return err
}

func (c *ControlPlane) startAPIServer(ctx context.Context) error {
	program, err := c.bundle.Path("kube-apiserver")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	if err := c.writeFiles(); err != nil {
		return err
	}
	c.Client = newClient("https://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), c.users[Admin].Token, c.CACert)

	c.apiserver = append([]string{program}, c.apiserver...)
	c.apiserver = append(c.apiserver,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+strconv.Itoa(port),
		"--endpoint-reconciler-type=none", // it refuses a loopback address otherwise
		"--tls-cert-file="+c.file("tls.crt"), "--tls-private-key-file="+c.file("tls.key"),
		"--token-auth-file="+c.file("tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.file("sa.key"), "--service-account-signing-key-file="+c.file("sa.key"),
		"--service-cluster-ip-range=10.0.0.0/16",
		"--allow-privileged=true",
	)
	if !c.options.ControllerManager {
		c.apiserver = append(c.apiserver, "--disable-admission-plugins=ServiceAccount")
	}
	if c.options.Audit {
		c.apiserver = append(c.apiserver, "--audit-policy-file="+c.file("audit-policy.yaml"),
			"--audit-log-path="+c.file("audit.log"), "--audit-log-mode=blocking")
	}
	c.apiserver = append(c.apiserver, c.options.APIServerFlags...)
	return c.runAPIServer(ctx)
}

func (c *ControlPlane) runAPIServer(ctx context.Context) (err error) {
	c.api, err = startProcess(ctx, c.Dir, "kube-apiserver", nil, c.apiserver, func(ctx context.Context) error {
		if err := c.answers(ctx, "/readyz"); err != nil {
			return err
		}
		// Made by the server itself soon after it is ready; whoever creates objects at once wants them there.
		for _, ns := range []string{"default", "kube-system"} {
			if err := c.answers(ctx, "/api/v1/namespaces/"+ns); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func (c *ControlPlane) startManager(ctx context.Context) error {
	program, err := c.bundle.Path("kube-controller-manager")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	const user = "system:kube-controller-manager"
	if err := c.Kubeconfig(c.file("manager.kubeconfig"), user); err != nil {
		return err
	}
	argv := []string{
		program,
		"--kubeconfig=" + c.file("manager.kubeconfig"),
		"--leader-elect=false",
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port), "--cert-dir=" + c.Dir,
		"--service-account-private-key-file=" + c.file("sa.key"), "--root-ca-file=" + c.file("ca.crt"),
		"--controllers=*", "--kube-api-qps=1000", "--kube-api-burst=2000",
	}
	c.manager, err = startProcess(ctx, c.Dir, "kube-controller-manager", nil,
		append(argv, c.options.ControllerManagerFlags...), func(ctx context.Context) error {
			return c.answers(ctx, "/api/v1/namespaces/default/serviceaccounts/default")
		})
	return err
}

func (c *ControlPlane) file(name string) string { return filepath.Join(c.Dir, name) }

func (c *ControlPlane) writeFiles() error {
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	c.CACert = authority.caPEM
	serviceAccountKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	users := append([]User{
		{Name: Admin, Groups: []string{"system:masters"}},
		{Name: "system:kube-controller-manager", Groups: []string{"system:masters"}},
	}, c.options.Users...)
	var tokens strings.Builder
	for i, u := range users {
		if u.Token == "" {
			u.Token = randomToken()
		}
		c.users[u.Name] = u
		fmt.Fprintf(&tokens, "%s,%q,uid-%d,%q\n", u.Token, u.Name, i, strings.Join(u.Groups, ","))
	}
	for name, content := range map[string]string{
		"ca.crt":            string(authority.caPEM),
		"tls.crt":           string(authority.certPEM),
		"tls.key":           string(authority.keyPEM),
		"tokens.csv":        tokens.String(),
		"sa.key":            string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(serviceAccountKey)})),
		"audit-policy.yaml": "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n",
	} {
		if err := os.WriteFile(c.file(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func randomToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// answersOK is a readiness check: a GET of the URL answers 200.
func answersOK(url string) func(context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	}
}
