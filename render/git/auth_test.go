package git_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/render/git"
)

func TestAuthFromSecret(t *testing.T) {
	for name, test := range map[string]struct {
		data map[string]string
		want git.Auth
	}{
		"empty":       {nil, git.Auth{}},
		"basic":       {map[string]string{"username": "ada\n", "password": "s3cret\n", "type": "git", "url": "https://x"}, git.Auth{Username: "ada", Password: "s3cret"}},
		"token":       {map[string]string{"bearerToken": "t0ken", "ca.crt": "CA"}, git.Auth{BearerToken: "t0ken", CA: []byte("CA")}},
		"caFile":      {map[string]string{"caFile": "CA"}, git.Auth{CA: []byte("CA")}},
		"flux ssh":    {map[string]string{"identity": "K", "identity.pub": "P", "known_hosts": "H", "password": "open"}, git.Auth{SSHKey: []byte("K"), KnownHosts: []byte("H"), SSHPassphrase: []byte("open")}},
		"argo ssh":    {map[string]string{"sshPrivateKey": "K", "insecure": "false"}, git.Auth{SSHKey: []byte("K"), SSHPassphrase: []byte{}}},
		"flux github": {map[string]string{"githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": "K", "githubAppBaseURL": "https://g/api/v3"}, git.Auth{GitHubApp: &git.GitHubApp{ID: "1", InstallationID: "2", PrivateKey: []byte("K"), BaseURL: "https://g/api/v3"}}},
		"argo github": {map[string]string{"githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": "K", "githubAppEnterpriseBaseUrl": "https://g/api/v3"}, git.Auth{GitHubApp: &git.GitHubApp{ID: "1", InstallationID: "2", PrivateKey: []byte("K"), BaseURL: "https://g/api/v3"}}},
	} {
		got, err := git.AuthFromSecret(secret(test.data))
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for name, data := range map[string]map[string]string{
		"insecure":                {"insecure": "true", "password": "s3cret"},
		"insecureIgnoreHostKey":   {"insecureIgnoreHostKey": "true", "sshPrivateKey": "s3cret"},
		"bearer":                  {"username": "a", "password": "s3cret", "bearerToken": "s3cret"},
		"its installation ID":     {"githubAppID": "1", "githubAppPrivateKey": "s3cret"},
		"line break":              {"bearerToken": "s3cret\r\nX-Evil: 1"},
		"a colon in the username": {"username": "a:b", "password": "s3cret"},
	} {
		_, err := git.AuthFromSecret(secret(data))
		wantError(t, err, git.ErrInvalid, name, "!s3cret")
	}
}

func secret(data map[string]string) map[string][]byte {
	out := map[string][]byte{}
	for key, value := range data {
		out[key] = []byte(value)
	}
	return out
}

func TestAuthIsNotPrinted(t *testing.T) {
	auth := git.Auth{
		Username: "s3cret", Password: "s3cret", BearerToken: "s3cret", SSHKey: []byte("s3cret"), SSHPassphrase: []byte("s3cret"),
		GitHubApp: &git.GitHubApp{ID: "s3cret", PrivateKey: []byte("s3cret")},
	}
	options := git.Options{Auth: auth}
	encoded, err := json.Marshal(auth)
	must(t, err)
	for _, text := range []string{
		string(encoded), fmt.Sprint(auth), fmt.Sprintf("%+v", auth), fmt.Sprintf("%#v", auth), fmt.Sprintf("%v", &auth), fmt.Sprintf("%+v", options),
		fmt.Sprintf("%+v", *auth.GitHubApp), fmt.Sprintf("%#v", auth.GitHubApp),
	} {
		if strings.Contains(text, "s3cret") || strings.Contains(text, fmt.Sprint([]byte("s3cret"))) {
			t.Errorf("got %s", text)
		}
	}
}
