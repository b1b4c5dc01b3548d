package cluster_test

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/tidemark/reconcile/cluster"
	"tidemark.dev/tidemark/tests/servers"
)

const kubeconfig = `{apiVersion: v1, kind: Config, current-context: CURRENT,
clusters: [{name: c, cluster: {server: SERVER, certificate-authority-data: AUTHORITY}}],
users: [{name: plain, user: {token: secret-token}}, {name: exec, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: PLUGIN, interactiveMode: Never}}},
  {name: provider, user: {auth-provider: {name: gcp}}}],
contexts: [{name: plain, context: {cluster: c, user: plain}}, {name: exec, context: {cluster: c, user: exec}}, {name: provider, context: {cluster: c, user: provider}}]}`

// written writes the kubeconfig above, and a server and plugin for it.
func written(t *testing.T, current string) (path string, authorization *string) {
	t.Helper()
	authorization = new(string)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*authorization = r.Header.Get("Authorization") + " " + r.Header.Get("User-Agent")
		_, _ = w.Write([]byte(`{"metadata":{"uid":"u"}}`))
	}))
	t.Cleanup(server.Close)
	plugin := filepath.Join(t.TempDir(), "plugin")
	script := "#!/bin/sh\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"from-plugin\"}}'\n"
	if err := os.WriteFile(plugin, []byte(script), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	authority := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	path = filepath.Join(t.TempDir(), "kubeconfig")
	text := strings.NewReplacer("CURRENT", current, "SERVER", server.URL, "AUTHORITY", authority, "PLUGIN", plugin).Replace(kubeconfig)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, authorization
}

func TestKubeconfig(t *testing.T) {
	for name, test := range map[string]struct {
		current, context string
		allow            bool
		want             string // what the server is sent
		refused          string // or what Open says
	}{
		"current context": {current: "plain", want: "Bearer secret-token tidemark/1.2.3"},
		"named context":   {current: "exec", context: "plain", want: "Bearer secret-token tidemark/1.2.3"},
		"no context":      {current: "''", refused: "no current-context"},
		"unknown context": {current: "plain", context: "other", refused: `no context "other"`},
		"plugin":          {current: "exec", refused: "not allowed"},
		"plugin allowed":  {current: "exec", allow: true, want: "Bearer from-plugin tidemark/1.2.3"},
		"provider":        {current: "provider", refused: `auth-provider "gcp"`},
	} {
		t.Run(name, func(t *testing.T) {
			path, sent := written(t, test.current)
			c, err := cluster.Open(cluster.Options{Kubeconfig: path, Context: test.context, AllowExec: test.allow, Version: "1.2.3"})
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) || strings.Contains(err.Error(), "secret-token") {
					t.Errorf("got %v, want %q in it", err, test.refused)
				}
				if name == "plugin" && !errors.Is(err, cluster.ErrPlugin) {
					t.Errorf("got %v, want ErrPlugin", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if uid, err := c.Identity(t.Context()); err != nil || uid != "u" || *sent != test.want {
				t.Errorf("got %q, %v; sent %q, want %q", uid, err, *sent, test.want)
			}
		})
	}
}

func TestKubeconfigFiles(t *testing.T) {
	path, _ := written(t, "plain")
	missing := filepath.Join(t.TempDir(), "missing")
	list := string(filepath.ListSeparator)
	if _, err := cluster.Open(cluster.Options{Kubeconfig: missing + list + path}); err != nil {
		t.Errorf("got %v, want the file that is there to do", err)
	}
	for _, kubeconfig := range []string{missing, missing + list + missing} {
		if _, err := cluster.Open(cluster.Options{Kubeconfig: kubeconfig}); err == nil {
			t.Errorf("%s: opened, want an error", kubeconfig)
		}
	}
	for name, options := range map[string]cluster.Options{
		"nothing":              {},
		"two clusters":         {Kubeconfig: path, Server: "https://x"},
		"no token file":        {Server: "https://x", TokenFile: missing},
		"credentials in a URL": {Server: "https://user:secret@x"},
		"no authorities":       {Server: "https://x", CA: []byte("nothing")},
		"unencrypted":          {Server: "http://example.com", Token: "secret"},
		"no URL":               {Server: "https://x:secret"},
	} {
		if _, err := cluster.Open(options); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error without secrets", name, err)
		}
	}
}

// The kubeconfig of a real control plane, and a token from a file as Pods have it.
func TestCredentials(t *testing.T) {
	plane := controlPlane(t)
	dir := t.TempDir()
	path, token, ca := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "token"), filepath.Join(dir, "ca.crt")
	if err := plane.Kubeconfig(path, servers.Admin); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(token, []byte(plane.Token+"\n"), 0o600), os.WriteFile(ca, plane.CACert, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]cluster.Options{
		"kubeconfig": {Kubeconfig: path},
		"files":      {Server: plane.URL, TokenFile: token, CAFile: ca},
	} {
		c, err := cluster.Open(options)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := c.Identity(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, want := cluster.InCluster("::1", "6443").Server, "https://[::1]:6443"; got != want {
		t.Errorf("got %q in a cluster, want %q", got, want)
	}
}
