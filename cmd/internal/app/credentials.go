package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/object"
)

// auth finds the credentials that the configuration names.
func (s *Session) auth(ctx context.Context, a config.Auth) (git.Auth, error) {
	if a.SecretRef != nil {
		found, err := s.secret(ctx, a.SecretRef.Namespace, a.SecretRef.Name)
		if err != nil {
			return git.Auth{}, err
		}
		// Argo CD keeps what servers are recognised by in places of its own.
		beside, err := s.auth(ctx, config.Auth{KnownHosts: a.KnownHosts, CA: a.CA})
		if len(found.KnownHosts) == 0 {
			found.KnownHosts = beside.KnownHosts
		}
		if len(found.CA) == 0 {
			found.CA = beside.CA
		}
		return found, err
	}
	var found git.Auth
	var err error
	text := func(t *config.Text) string {
		if t == nil || err != nil {
			return ""
		}
		if t.Value != "" {
			return t.Value
		}
		var value string
		value, err = s.value(t.Env, t.File)
		return value
	}
	secret := func(c *config.Secret) string {
		if c == nil || err != nil {
			return ""
		}
		var value string
		value, err = s.value(c.Env, c.File)
		s.Redactor.Add(value)
		return value
	}
	found.Username, found.Password, found.BearerToken = text(a.Username), secret(a.Password), secret(a.BearerToken)
	found.SSHKey, found.SSHPassphrase = []byte(secret(a.SSHKey)), []byte(secret(a.SSHPassphrase))
	found.KnownHosts, found.CA = []byte(text(a.KnownHosts)), []byte(text(a.CA))
	if app := a.GitHubApp; app != nil {
		found.GitHubApp = &git.GitHubApp{ID: app.ID, InstallationID: app.InstallationID, PrivateKey: []byte(secret(app.PrivateKey)), BaseURL: app.BaseURL}
	}
	return found, err
}

// value reads a variable or a file, without the newline that editors put at the
// end. One that is named and empty is an error: it is never meant.
func (s *Session) value(env, file string) (string, error) {
	if env != "" {
		value := s.env.Get(env)
		if value == "" {
			return "", fmt.Errorf("read credentials: the environment variable %s is not set", env)
		}
		return value, nil
	}
	data, err := os.ReadFile(file) //nolint:gosec // The operator names it.
	if err != nil {
		return "", fmt.Errorf("read credentials: %w", err)
	}
	if value := strings.TrimRight(string(data), "\r\n"); value != "" {
		return value, nil
	}
	return "", fmt.Errorf("read credentials: %s is empty", file)
}

// secret reads a Secret of the cluster.
func (s *Session) secret(ctx context.Context, namespace, name string) (git.Auth, error) {
	if namespace == "" {
		namespace = s.ownNamespace()
	}
	target, err := s.Cluster(ctx)
	if err != nil {
		return git.Auth{}, err
	}
	s.mu.Lock()
	s.secretsRead = append(s.secretsRead, apply.Permission{Verb: "get", Kind: object.GroupKind{Kind: "Secret"}, Namespace: namespace, Name: name})
	s.mu.Unlock()
	data, err := target.SecretData(ctx, namespace, name)
	if err != nil {
		return git.Auth{}, fmt.Errorf("read credentials from Secret %s/%s: %w", namespace, name, err)
	}
	for key, value := range data {
		switch key {
		case "username", "known_hosts", "ca.crt", "caFile", "url", "type", "githubAppID", "githubAppInstallationID", "project":
		default:
			s.Redactor.Add(string(value))
		}
	}
	auth, err := git.AuthFromSecret(data)
	if err != nil {
		return git.Auth{}, fmt.Errorf("read credentials from Secret %s/%s: %w", namespace, name, err)
	}
	return auth, nil
}

// flagAuth finds the credentials for the repository of the flags.
func (s *Session) flagAuth(ctx context.Context) (git.Auth, error) {
	g := s.settings.Git
	if g.Auth != nil {
		return s.auth(ctx, *g.Auth)
	}
	secret := func(variable, file string) *config.Secret {
		switch {
		case file != "":
			return &config.Secret{File: file}
		case s.env.Get(variable) != "":
			return &config.Secret{Env: variable}
		}
		return nil
	}
	text := func(variable, file string) *config.Text {
		if found := secret(variable, file); found != nil {
			return &config.Text{Env: found.Env, File: found.File}
		}
		return nil
	}
	if g.Secret != "" {
		namespace, name, _ := strings.Cut(g.Secret, "/")
		return s.auth(ctx, config.Auth{
			SecretRef:  &config.SecretRef{Namespace: namespace, Name: name},
			KnownHosts: text("TIDEMARK_GIT_KNOWN_HOSTS", g.KnownHostsFile),
			CA:         text("TIDEMARK_GIT_CA", g.CAFile),
		})
	}
	auth := config.Auth{
		Password:      secret("TIDEMARK_GIT_PASSWORD", g.PasswordFile),
		BearerToken:   secret("TIDEMARK_GIT_TOKEN", g.TokenFile),
		SSHKey:        secret("TIDEMARK_GIT_SSH_KEY", g.SSHKeyFile),
		SSHPassphrase: secret("TIDEMARK_GIT_SSH_PASSPHRASE", ""),
		KnownHosts:    text("TIDEMARK_GIT_KNOWN_HOSTS", g.KnownHostsFile),
		CA:            text("TIDEMARK_GIT_CA", g.CAFile),
	}
	if g.Username != "" {
		auth.Username = &config.Text{Value: g.Username}
	}
	return s.auth(ctx, auth)
}

// redactURL remembers a password that stands in a URL.
func (s *Session) redactURL(raw string) {
	if u, err := url.Parse(raw); err == nil && u.User != nil && u.Scheme != "ssh" {
		password, _ := u.User.Password()
		s.Redactor.Add(u.User.Username(), password)
	}
}

// knownHosts gives the user's own list of servers, if there is one.
func (s *Session) knownHosts() ([]byte, error) {
	if s.env.Home == "" {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(s.env.Home, ".ssh", "known_hosts"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read known hosts: %w", err)
	}
	return data, nil
}
