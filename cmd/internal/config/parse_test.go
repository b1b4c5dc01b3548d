package config_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/render/helm"
)

const head = "apiVersion: tidemark.dev/v1alpha1\n"

func parse(t *testing.T, text string) config.Config {
	t.Helper()
	c, err := config.Parse("tidemark.yaml", []byte(text), config.Trust{})
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return c
}

func TestParse(t *testing.T) {
	c := parse(t, head+`
state: s3://bucket/prefix
leaseTTL: 90s
repositories:
- name: platform
  url: https://github.com/acme/platform
  ref: {branch: main}
  auth:
    username: {value: git}
    password: {env: GIT_PASSWORD}
  limits: {packSize: 512Mi}
defaults:
  namespaceLabels: {team: web}
  prune: false
apps:
- name: shop
  source: {path: deploy}
  namespace: shop
  namespaceLabels: {tier: front}
  adopt: [helm, "tidemark:abc"]
- name: db
  prune: true
  render:
    helm:
      chart: {repo: "oci://registry.example/charts", name: pg, version: 1.2.3}
      values: {enabled: yes, mode: 0755, count: 1000000, ratio: 0.5, nothing: ~, deep: {list: [1, two]}}
`)
	if got, want := time.Duration(c.LeaseTTL), 90*time.Second; got != want {
		t.Errorf("leaseTTL %s, want %s", got, want)
	}
	if got, want := int64(c.Repositories[0].Limits.PackSize), int64(512<<20); got != want {
		t.Errorf("packSize %d, want %d", got, want)
	}
	shop, db := c.Apps[0], c.Apps[1]
	if shop.Source.Repo != "platform" || *shop.Prune || shop.Conflicts != "take" || shop.Validate != "server" {
		t.Errorf("defaults of shop: %+v", shop)
	}
	if diff := cmp.Diff(map[string]string{"team": "web", "tier": "front"}, shop.NamespaceLabels); diff != "" {
		t.Errorf("namespaceLabels (-want +got):\n%s", diff)
	}
	if db.Source != (config.Source{}) || !*db.Prune || db.Namespace != "default" {
		t.Errorf("defaults of db, which is only a chart: %+v", db)
	}
	// What Helm reads in a values file: YAML 1.1, whole numbers whole.
	want := map[string]any{
		"enabled": true, "mode": int64(493), "count": int64(1000000), "ratio": 0.5, "nothing": nil,
		"deep": map[string]any{"list": []any{int64(1), "two"}},
	}
	if diff := cmp.Diff(want, db.Render.Helm.Values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&helm.ChartRef{Repo: "oci://registry.example/charts", Name: "pg", Version: "1.2.3"}, db.Render.Helm.Chart); diff != "" {
		t.Errorf("chart (-want +got):\n%s", diff)
	}
}

func TestParseTellsEveryProblem(t *testing.T) {
	const app = "apps:\n- name: web\n  source: {repo: https://example.com/r}\n"
	tests := []struct {
		name string
		in   string
		want []string
	}{
		{"empty", "", []string{"tidemark.yaml: is empty"}},
		{"only a comment", "# nothing\n", []string{"tidemark.yaml: is empty"}},
		{"syntax", head + "a: b: c\n", []string{"tidemark.yaml:2: mapping values are not allowed"}},
		{"not a mapping", "- 1\n", []string{"tidemark.yaml:1: want a mapping, not a list"}},
		{"two documents", head + app + "---\n" + head, []string{"tidemark.yaml:5: holds more than one document"}},
		{"another version", "apiVersion: tidemark.dev/v2\nfoo: bar\n", []string{`tidemark.yaml:1: apiVersion: is "tidemark.dev/v2"; this Tidemark reads "tidemark.dev/v1alpha1"`}},
		{"nothing required", "kind: Config\n", []string{"tidemark.yaml:1: apiVersion: is required", "tidemark.yaml:1: apps: is required"}},
		{"unknown field", head + app + "  namespce: x\n", []string{"tidemark.yaml:5: apps[0].namespce: unknown field; did you mean namespace?"}},
		{"a word of Argo CD", head + "apps:\n- name: web\n  source: {repoURL: https://example.com/r}\n", []string{"tidemark.yaml:4: apps[0].source.repoURL: unknown field; did you mean repo?"}},
		{"given twice", head + app + "  drift: report\n  drift: correct\n", []string{"tidemark.yaml:6: apps[0].drift: is given twice, first on line 5"}},
		{"given twice in values", head + app + "  render: {helm: {values: {a: 1, a: 2}}}\n", []string{"apps[0].render.helm.values.a: is given twice, first on line 5"}},
		{"wrong word", head + app + "  conflicts: tke\n", []string{`tidemark.yaml:5: apps[0].conflicts: "tke" is not one of take, refuse; did you mean take?`}},
		{"wrong word for a renderer", head + app + "  render: {engine: kustomise}\n", []string{`"kustomise" is not one of plain, kustomize, helm; did you mean kustomize?`}},
		{"a number for a string", head + app + "  namespace: 1.10\n", []string{`tidemark.yaml:5: apps[0].namespace: want a string, not a number: write "1.10" in quotes`}},
		{"a word for a boolean", head + app + "  prune: yes\n", []string{"tidemark.yaml:5: apps[0].prune: want true or false, not yes"}},
		{"nothing for a value", head + app + "  namespace:\n", []string{"tidemark.yaml:5: apps[0].namespace: has no value"}},
		{"no duration", head + app + "timeout: 60\n", []string{`tidemark.yaml:5: timeout: time: missing unit in duration "60"`}},
		{"negative duration", head + app + "timeout: -1s\n", []string{"tidemark.yaml:5: timeout: is negative"}},
		{"no size", head + app + "repositories:\n- {name: a, url: x/y, limits: {packSize: much}}\n", []string{`want a size such as 256Mi, not "much"`}},
		{"bad name", head + "apps:\n- name: Web_1\n  source: {repo: ./r}\n", []string{`tidemark.yaml:3: apps[0].name: "Web_1" is not a name`}},
		{"two apps of a name", head + app + "- name: web\n  source: {repo: ./r}\n", []string{`tidemark.yaml:5: apps[1].name: "web" is given twice, first on line 3`}},
		{"no apps", head + "apps: []\n", []string{"tidemark.yaml:2: apps: holds no app"}},
		{"no source", head + "apps:\n- name: web\n", []string{"tidemark.yaml:3: apps[0].source: is required"}},
		{"no such repository", head + "repositories:\n- {name: platform, url: ./p}\napps:\n- name: web\n  source: {repo: platfrom}\n", []string{`there is no repository named "platfrom"; did you mean platform?`}},
		{"path out of the repository", head + "apps:\n- name: web\n  source: {repo: ./r, path: ../x}\n", []string{"apps[0].source.path: want a path inside the repository"}},
		{"two refs", head + "apps:\n- name: web\n  source: {repo: ./r, ref: {branch: a, tag: b}}\n", []string{"apps[0].source.ref: give one of branch, tag"}},
		{"unknown tool", head + app + "  adopt: [hlm]\n", []string{`apps[0].adopt[0]: "hlm" is not one of`, "did you mean helm?"}},
		{"credentials in a URL", head + "apps:\n- name: web\n  source: {repo: https://me:hunter2@example.com/r}\n", []string{"apps[0].source.repo: holds credentials"}},
		{"a literal password", head + app + "repositories:\n- {name: a, url: ./a, auth: {password: hunter2}}\n", []string{"repositories[0].auth.password: want a mapping, not a string"}},
		{"a password in two places", head + app + "repositories:\n- {name: a, url: ./a, auth: {password: {env: A, file: b}}}\n", []string{"repositories[0].auth.password: give exactly one way to find it, not 2"}},
		{"a Secret and more", head + app + "repositories:\n- {name: a, url: ./a, auth: {secretRef: {name: s}, username: {value: u}}}\n", []string{"secretRef: goes alone"}},
		{"token without server", head + app + "cluster: {tokenFile: a}\n", []string{"cluster.server: is required beside tokenFile"}},
		{"two clusters", head + app + "cluster: {server: a, tokenFile: b, context: c}\n", []string{"cluster.server: goes without kubeconfig"}},
		{"several at once", head + "nope: 1\napps:\n- nme: a\n", []string{"tidemark.yaml:2: nope", "tidemark.yaml:4: apps[0].nme: unknown field; did you mean name?", "tidemark.yaml:4: apps[0].name: is required"}},
		{"alias bomb", head + bomb(), []string{"excessive aliasing"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.Parse("tidemark.yaml", []byte(test.in), config.Trust{})
			if _, told := errors.AsType[*config.Error](err); !told {
				t.Fatalf("Parse(%q): got %v, want a *config.Error", test.in, err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Parse(%q): got %q, want it to say %q", test.in, err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error repeats a credential: %q", err)
			}
		})
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 10; i++ {
		n, m := string(rune('0'+i)), string(rune('0'+i-1))
		b.WriteString("a" + n + ": &a" + n + " [" + strings.TrimSuffix(strings.Repeat("*a"+m+", ", 10), ", ") + "]\n")
	}
	return b.String()
}

// committed is what is trusted of a repository by a Tidemark in the namespace n.
var committed = config.Trust{Committed: true, Namespace: "n"}

// A configuration in a repository may be written by anybody who may write
// there: it cannot reach what only the operator has.
func TestParseCommitted(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"another namespace's Secret", "repositories: [{name: a, url: https://evil.example/r, auth: {secretRef: {name: s, namespace: prod}}}]\napps: [{name: a}]\n", `tidemark.yaml:2: repositories[0].auth.secretRef.namespace: a configuration in a repository may only name Secrets of the namespace that Tidemark runs in, "n"`},
		{"another namespace's Secret for charts", "chartRepositories: [{url: https://evil.example, auth: {secretRef: {name: s, namespace: prod}}}]\napps: [{name: a}]\n", "chartRepositories[0].auth.secretRef.namespace: a configuration in a repository"},
		{"state", "state: s3://other/bucket\napps: [{name: a}]\n", "state: cannot be set"},
		{"cluster", "cluster: {context: prod}\napps: [{name: a}]\n", "cluster: cannot be set"},
		{"timeout", "timeout: 1h\napps: [{name: a}]\n", "timeout: cannot be set"},
		{"environment", "repositories: [{name: a, url: https://evil.example/r, auth: {password: {env: AWS_SECRET_ACCESS_KEY}}}]\napps: [{name: a}]\n", "cannot read the runner's files and environment"},
		{"file", "repositories: [{name: a, url: https://evil.example/r, auth: {ca: {file: /etc/passwd}}}]\napps: [{name: a}]\n", "cannot read the runner's files and environment"},
		{"local repository", "repositories: [{name: a, url: /home/me/private}]\napps: [{name: a}]\n", "is a path of the runner"},
		{"file URL", "apps: [{name: a, source: {repo: \"file:///home/me/private\"}}]\n", "is a path of the runner"},
		{"chart credentials", "chartRepositories: [{url: https://evil.example, auth: {password: {file: /x}}}]\napps: [{name: a}]\n", "cannot read the runner's files and environment"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.Parse("tidemark.yaml", []byte(head+test.in), committed)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%q): got %v, want it to say %q", test.in, err, test.want)
			}
		})
	}
	good := head + "repositories: [{name: b, url: https://example.com/r, auth: {secretRef: {name: s, namespace: n}}}, {name: d, url: https://example.com/d, auth: {secretRef: {name: s}}}]\napps: [{name: a}, {name: c, source: {repo: b}}]\n"
	if _, err := config.Parse("tidemark.yaml", []byte(good), committed); err != nil {
		t.Errorf("Parse(%q): %v", good, err)
	}
}

// Anchors, aliases and merge keys are YAML, and people use them.
func TestParseMerges(t *testing.T) {
	c := parse(t, head+`
apps:
- &base
  name: a
  source: &src {repo: ./r, path: x}
  drift: report
- <<: *base
  name: b
  source: {<<: *src, path: y}
`)
	b := c.Apps[1]
	if b.Name != "b" || b.Drift.Mode != "report" || b.Source.Repo != "./r" || b.Source.Path != "y" {
		t.Errorf("merged app: %+v", b)
	}
}

func TestDigest(t *testing.T) {
	const app = "apps: [{name: web, source: {repo: ./r}%s}]\n"
	text := func(more string) string { return head + strings.Replace(app, "%s", more, 1) }
	base := parse(t, text("")).Digest()
	for name, test := range map[string]struct {
		in   string
		same bool
	}{
		"a default written out": {text(", drift: correct"), true},
		"comments":              {"# hello\n" + text(""), true},
		"another policy":        {text(", drift: report"), false},
		"another namespace":     {text(", namespace: x"), false},
	} {
		if got := parse(t, test.in).Digest(); (got == base) != test.same {
			t.Errorf("%s: same digest is %t, want %t", name, got == base, test.same)
		}
	}
}

// What a broken configuration says of its state is still good for leaving the
// record of the failure there.
func TestParseGivesWhatItCouldRead(t *testing.T) {
	c, err := config.Parse("tidemark.yaml", []byte(head+"state: file:///s\nbroken: true\napps: []\n"), config.Trust{})
	if err == nil || c.State != "file:///s" {
		t.Errorf("got state %q and error %v, want file:///s and an error", c.State, err)
	}
}

func TestSingle(t *testing.T) {
	tests := []struct {
		name, app, path, namespace, want string
	}{
		{"good", "web", "deploy", "shop", ""},
		{"name", "Web", "", "", `--app: "Web" is not a name`},
		{"path", "web", "../x", "", "--path: want a path inside"},
		{"namespace", "web", "", "a/b", `--namespace: "a/b" is not the name of a namespace`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := config.Single(test.app, "https://token@example.com/r", git.Ref{}, test.path, test.namespace)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("Single: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("Single: got %v, want it to say %q", err, test.want)
			case strings.Contains(c.Repositories[0].URL, "token"):
				t.Errorf("the URL keeps its credential: %s", c.Repositories[0].URL)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(example), head, head + "apps: [{name: a, source: {repo: ./r}}]\n", "a: &a {<<: *a}", bomb(), "\xff", "{"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		c, err := config.Parse("f", data, committed)
		if err == nil {
			_ = c.Digest()
		}
	})
}

// The example uses every part of the format, and is itself good.
func TestExample(t *testing.T) {
	example, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	parse(t, string(example))
}

func TestLongestNames(t *testing.T) {
	text := func(app, secret string) []byte {
		return []byte("apiVersion: tidemark.dev/v1alpha1\nstate: file:///s\nrepositories:\n- name: r\n  url: https://git.example.com/r.git\n" +
			"  auth: {secretRef: {name: " + secret + "}}\napps:\n- {name: " + app + ", source: {path: a}}\n")
	}
	name := func(n int) string { return strings.Repeat("a", n) }
	for _, test := range []struct {
		app, secret int
		wrong       string
	}{
		{63, 253, ""},
		{64, 253, "apps[0].name"},
		{63, 254, "secretRef.name"},
	} {
		_, err := config.Parse("tidemark.yaml", text(name(test.app), name(test.secret)), config.Trust{Namespace: "tidemark"})
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("an app of %d and a Secret of %d letters: got %v, want a complaint about %q", test.app, test.secret, err, test.wrong)
		}
	}
}
