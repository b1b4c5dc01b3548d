package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/render/git"
)

// place takes an URL with another host for the same place.
func place(state string) (string, error) {
	if strings.HasPrefix(state, "ftp:") {
		return "", errors.New("is no place")
	}
	return strings.TrimRight(state, "/"), nil
}

func TestParseFleet(t *testing.T) {
	got, err := config.ParseFleet("fleet.yaml", []byte(head+`
kind: Fleet
defaults:
  config: clusters/all.yaml
  repo: https://git.example.com/acme/platform.git
  ref: {branch: main}
  auth: {bearerToken: {env: PLATFORM_TOKEN}}
ledgers:
- name: eu
  state: s3://b/eu
  cluster: {context: eu}
- name: us
  state: s3://b/us
  ref: {tag: v1}
  config: clusters/us.yaml
  apps: [web]
- name: lab
  state: s3://b/lab
  repo: https://lab.example.com/all.git
  cluster: {server: "https://10.0.0.1", tokenFile: /run/token}
`), place)
	if err != nil {
		t.Fatal(err)
	}
	platform := config.Origin{
		Config: "clusters/all.yaml", Repo: "https://git.example.com/acme/platform.git", Ref: git.Ref{Branch: "main"},
		Auth: config.Auth{BearerToken: &config.Secret{Env: "PLATFORM_TOKEN"}},
	}
	tagged := platform
	tagged.Config, tagged.Ref = "clusters/us.yaml", git.Ref{Tag: "v1"}
	want := config.Fleet{
		APIVersion: config.APIVersion, Kind: config.FleetKind,
		Ledgers: []config.Ledger{
			{Name: "eu", State: "s3://b/eu", Cluster: config.Cluster{Context: "eu"}, Origin: platform},
			{Name: "us", State: "s3://b/us", Apps: []string{"web"}, Origin: tagged},
			// Neither the ref nor the token of the defaults: they belong to another repository.
			{
				Name: "lab", State: "s3://b/lab", Cluster: config.Cluster{Server: "https://10.0.0.1", TokenFile: "/run/token"},
				Origin: config.Origin{Config: "clusters/all.yaml", Repo: "https://lab.example.com/all.git"},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseFleet (-want +got):\n%s", diff)
	}
}

// All problems are told at once, with line, field and what was probably meant.
func TestParseFleetRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", "fleet.yaml: is empty"},
		{"no list", head, "fleet.yaml:1: ledgers: is required"},
		{"no ledger", head + "ledgers: []", "fleet.yaml:2: ledgers: holds no ledger"},
		{"another version", "apiVersion: tidemark.dev/v2\nledgres: []", `fleet.yaml:1: apiVersion: is "tidemark.dev/v2"; this Tidemark reads "tidemark.dev/v1alpha1"`},
		{"a configuration", head + "kind: Config\nledgers: [{name: a, state: s, config: c}]", `fleet.yaml:2: kind: "Config" is not one of Fleet`},
		{"unknown field", head + "ledgers:\n- name: a\n  state: s\n  config: c\n  clustr: {}", "fleet.yaml:6: ledgers[0].clustr: unknown field; did you mean cluster?"},
		{"unknown list", head + "ledger: []\nledgers: [{name: a, state: s, config: c}]", "fleet.yaml:2: ledger: unknown field; did you mean ledgers?"},
		{"no state", head + "ledgers:\n- {name: a, config: c}", "fleet.yaml:3: ledgers[0].state: is required"},
		{"no place", head + "ledgers:\n- {name: a, config: c, state: \"ftp://x\"}", "fleet.yaml:3: ledgers[0].state: is no place"},
		{"no configuration", head + "ledgers:\n- {name: a, state: s}", "fleet.yaml:3: ledgers[0].config: is required"},
		{"no name", head + "ledgers:\n- {state: s, config: c}", "fleet.yaml:3: ledgers[0].name: is required"},
		{"a bad name", head + "ledgers:\n- {name: A_1, state: s, config: c}", `fleet.yaml:3: ledgers[0].name: "A_1" is not a name`},
		{"one name twice", head + "ledgers:\n- {name: a, state: s, config: c}\n- {name: a, state: t, config: c}", `fleet.yaml:4: ledgers[1].name: "a" is given twice, first on line 3`},
		{"one state twice", head + "ledgers:\n- {name: a, state: s, config: c}\n- {name: b, state: s/, config: c}", `fleet.yaml:4: ledgers[1].state: is that of ledger "a" too, on line 3: no two ledgers share a state`},
		{"two clusters", head + "ledgers:\n- {name: a, state: s, config: c, cluster: {context: x, inCluster: true}}", "fleet.yaml:3: ledgers[0].cluster.inCluster: goes without"},
		{"a ref of nothing", head + "ledgers:\n- {name: a, state: s, config: c, ref: {branch: main}}", "fleet.yaml:3: ledgers[0].repo: is required beside ref and auth"},
		{"two refs", head + "ledgers:\n- {name: a, state: s, config: c, repo: r, ref: {branch: main, tag: x}}", "fleet.yaml:3: ledgers[0].ref: give one of"},
		{"an empty app", head + "ledgers:\n- {name: a, state: s, config: c, apps: [\"\"]}", "fleet.yaml:3: ledgers[0].apps: holds an empty name"},
		{"a password in a URL", head + "defaults: {repo: \"https://me:hunter22@x/y\", config: c}\nledgers:\n- {name: a, state: s}", "fleet.yaml:2: defaults.repo: holds credentials"},
		{"a password", head + "defaults: {repo: r, config: c, auth: {password: hunter22}}\nledgers:\n- {name: a, state: s}", "fleet.yaml:2: defaults.auth.password: want a mapping"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.ParseFleet("fleet.yaml", []byte(test.text), place)
			var wrong *config.Error
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter22") {
				t.Errorf("ParseFleet(%q): got %v, want an Error that says %q", test.text, err, test.want)
			}
		})
	}
}

func TestParseFleetOfThousands(t *testing.T) {
	const n = 10_000
	var text strings.Builder
	text.WriteString(head + "ledgers:\n")
	for i := range n {
		fmt.Fprintf(&text, "- {name: shop-%d, state: \"s3://b/shop-%d\", config: c.yaml, repo: \"https://x/y\", cluster: {context: shop-%d}}\n", i, i, i)
	}
	f, err := config.ParseFleet("fleet.yaml", []byte(text.String()), place)
	if err != nil || len(f.Ledgers) != n || f.Ledgers[n-1].Cluster.Context != "shop-9999" {
		t.Errorf("ParseFleet of %d ledgers: got %d, %v", n, len(f.Ledgers), err)
	}
}
