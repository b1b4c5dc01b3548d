package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/cmd/internal/config"
)

func TestDependsOn(t *testing.T) {
	c := parse(t, head+`
apps:
- {name: base, source: {repo: ./r}}
- {name: db, source: {repo: ./r}, dependsOn: [base, gone-before]}
- {name: web, source: {repo: ./r}, dependsOn: [{app: db, until: healthy}, base]}
`)
	want := []config.Dependency{{App: "db", Until: "healthy"}, {App: "base"}}
	if diff := cmp.Diff(want, c.Apps[2].DependsOn); diff != "" {
		t.Errorf("dependsOn (-want +got):\n%s", diff)
	}
	for _, bad := range []struct{ apps, want string }{
		{"[{name: a, dependsOn: [b]}, {name: b, dependsOn: [{app: a}]}]", "apps[0].dependsOn[0]: apps depend on each other in a circle: a → b → a"},
		{"[{name: a, dependsOn: [a]}]", "circle: a → a"},
		{"[{name: a, dependsOn: [Big]}]", `"Big" is not the name of an app`},
		{"[{name: a, dependsOn: [{app: b, until: ready}]}]", `"ready" is not one of applied, healthy`},
		{"[{name: a, dependsOn: [{until: healthy}]}]", "apps[0].dependsOn[0].app: is required"},
	} {
		_, err := config.Parse("tidemark.yaml", []byte(head+"defaults: {source: {repo: ./r}}\napps: "+bad.apps+"\n"), config.Trust{})
		if err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("Parse(%s): %v, want it to say %q", bad.apps, err, bad.want)
		}
	}
}
