package git

import (
	"net/http"
	"net/url"
	"strings"
)

// Auth holds what a server is shown, and what it is recognised by. It prints
// as one word: its fields never reach a message.
type Auth struct {
	// Username and Password, or BearerToken, are for https and http. A
	// password without a username goes with the username "git".
	Username, Password string
	BearerToken        string
	// SSHKey is a private key in PEM (OpenSSH, PKCS #1, PKCS #8, SEC 1):
	// ed25519, ECDSA or RSA. SSHPassphrase opens it if it is encrypted.
	SSHKey, SSHPassphrase []byte
	// KnownHosts is what ~/.ssh/known_hosts would hold; ssh does not work
	// without it.
	KnownHosts []byte
	// CA holds PEM certificates to trust for https, beside the system's own.
	CA []byte
	// GitHubApp gets its tokens itself.
	GitHubApp *GitHubApp
}

// GitHubApp is an installation of an app on GitHub or GitHub Enterprise.
type GitHubApp struct {
	// ID is the app's ID or client ID.
	ID string
	// InstallationID is that of one account's installation.
	InstallationID string
	// PrivateKey is the app's RSA key in PEM (PKCS #1 or PKCS #8).
	PrivateKey []byte
	// BaseURL is where the API is; empty is GitHub's own. GitHub Enterprise
	// Server has it at https://HOST/api/v3.
	BaseURL string
}

const redacted = "(redacted)"

func (Auth) String() string { return redacted }

// GoString shows that something is withheld.
func (Auth) GoString() string { return redacted }

// MarshalText shows that something is withheld.
func (Auth) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (GitHubApp) String() string          { return redacted }

// GoString shows that something is withheld.
func (GitHubApp) GoString() string { return redacted }

// MarshalText shows that something is withheld.
func (GitHubApp) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// AuthFromSecret reads the data of a Kubernetes Secret in one of the two
// shapes people have:
//
//   - Flux (GitRepository .spec.secretRef): username, password, bearerToken,
//     identity (password is then its passphrase), known_hosts, ca.crt or
//     caFile, githubAppID, githubAppInstallationID, githubAppPrivateKey,
//     githubAppBaseURL
//   - Argo CD (secret-type: repository): username, password, bearerToken,
//     sshPrivateKey, githubAppID, githubAppInstallationID,
//     githubAppPrivateKey, githubAppEnterpriseBaseUrl; its known hosts live
//     elsewhere, so known_hosts must be added
//
// Other keys are ignored, except those that switch verification off: they are
// refused rather than obeyed. The error is ErrInvalid and names keys only.
func AuthFromSecret(data map[string][]byte) (Auth, error) {
	for _, key := range []string{"insecure", "insecureIgnoreHostKey"} {
		if value := text(data[key]); value != "" && value != "false" {
			return Auth{}, invalid("secret: %s: servers are always verified; remove it, and give ca.crt or known_hosts", key)
		}
	}
	auth := Auth{
		Username:    text(data["username"]),
		Password:    text(data["password"]),
		BearerToken: text(data["bearerToken"]),
		SSHKey:      first(data, "identity", "sshPrivateKey"),
		KnownHosts:  first(data, "known_hosts"),
		CA:          first(data, "ca.crt", "caFile"),
	}
	if len(auth.SSHKey) > 0 {
		auth.SSHPassphrase, auth.Password = []byte(auth.Password), ""
	}
	app := GitHubApp{
		ID:             text(data["githubAppID"]),
		InstallationID: text(data["githubAppInstallationID"]),
		PrivateKey:     data["githubAppPrivateKey"],
		BaseURL:        text(first(data, "githubAppBaseURL", "githubAppEnterpriseBaseUrl")),
	}
	if app.ID != "" || app.InstallationID != "" || len(app.PrivateKey) > 0 {
		auth.GitHubApp = &app
	}
	if err := auth.check(); err != nil {
		return Auth{}, err
	}
	return auth, nil
}

// text gives a value without the newline that editors and shells put at its
// end.
func text(value []byte) string { return strings.TrimRight(string(value), "\r\n") }

func first(data map[string][]byte, keys ...string) []byte {
	for _, key := range keys {
		if len(data[key]) > 0 {
			return data[key]
		}
	}
	return nil
}

// check finds contradictions that hold for any URL.
func (a Auth) check() error {
	ways := 0
	for _, given := range []bool{a.Username != "" || a.Password != "", a.BearerToken != "", a.GitHubApp != nil} {
		if given {
			ways++
		}
	}
	if ways > 1 && (len(a.SSHKey) == 0 || a.Password != "") {
		return invalid("credentials: give one of username and password, bearer token, and GitHub App")
	}
	if a.GitHubApp != nil && (a.GitHubApp.ID == "" || a.GitHubApp.InstallationID == "" || len(a.GitHubApp.PrivateKey) == 0) {
		return invalid("credentials: a GitHub App wants its ID, its installation ID and its private key")
	}
	if strings.ContainsAny(a.Username, "\r\n:") || strings.ContainsAny(a.Password+a.BearerToken, "\r\n\x00") {
		return invalid("credentials: a colon in the username, or a line break")
	}
	return nil
}

// withUserinfo takes what stood in a URL, unless something was given apart.
func (a Auth) withUserinfo(info *url.Userinfo) Auth {
	if info == nil || a.hasHTTP() {
		return a
	}
	a.Username = info.Username()
	a.Password, _ = info.Password()
	if a.Password == "" {
		// https://TOKEN@host: the servers that allow it take the token as the
		// username of a basic authentication.
		a.Password = "x-oauth-basic"
	}
	return a
}

func (a Auth) hasHTTP() bool {
	return a.Username != "" || a.Password != "" || a.BearerToken != "" || a.GitHubApp != nil
}

// set puts the credentials of http on a request.
func (a Auth) set(req *http.Request) {
	switch {
	case a.BearerToken != "":
		req.Header.Set("Authorization", "Bearer "+a.BearerToken)
	case a.Password != "" && a.Username == "":
		req.SetBasicAuth("git", a.Password)
	case a.Password != "" || a.Username != "":
		req.SetBasicAuth(a.Username, a.Password)
	}
}

// redact takes the credentials out of what a server said.
func (a Auth) redact(said string) string {
	for _, secret := range []string{a.Password, a.BearerToken, string(a.SSHPassphrase)} {
		if len(secret) >= 4 {
			said = strings.ReplaceAll(said, secret, redacted)
		}
	}
	return said
}
