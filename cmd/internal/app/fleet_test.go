package app_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/cmd/internal/config"
	"tidemark.dev/tidemark/cmd/internal/fleet"
	gitref "tidemark.dev/tidemark/render/git"
)

func TestShard(t *testing.T) {
	tests := []struct {
		name, given string
		variables   map[string]string
		want        fleet.Shard
		wrong       string
	}{
		{name: "nothing", want: fleet.Whole},
		{name: "given", given: "1/3", want: fleet.Shard{Index: 1, Count: 3}},
		{name: "Indexed Job", variables: map[string]string{"JOB_COMPLETION_INDEX": "2", "TIDEMARK_SHARDS": "3"}, want: fleet.Shard{Index: 2, Count: 3}},
		{name: "Cloud Run job", variables: map[string]string{"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "2"}, want: fleet.Shard{Index: 0, Count: 2}},
		{name: "a flag wins", given: "0/2", variables: map[string]string{"JOB_COMPLETION_INDEX": "2", "TIDEMARK_SHARDS": "3"}, want: fleet.Shard{Index: 0, Count: 2}},
		{
			name:      "two platforms of one mind",
			variables: map[string]string{"JOB_COMPLETION_INDEX": "1", "TIDEMARK_SHARDS": "2", "CLOUD_RUN_TASK_INDEX": "1", "CLOUD_RUN_TASK_COUNT": "2"},
			want:      fleet.Shard{Index: 1, Count: 2},
		},
		{
			name:      "two platforms",
			variables: map[string]string{"JOB_COMPLETION_INDEX": "1", "TIDEMARK_SHARDS": "2", "CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "2"},
			wrong:     "an Indexed Job say shard 1/2, those of a Cloud Run job say 0/2",
		},
		{name: "no count", variables: map[string]string{"JOB_COMPLETION_INDEX": "2"}, wrong: "JOB_COMPLETION_INDEX is set and TIDEMARK_SHARDS is not"},
		{name: "no index", variables: map[string]string{"TIDEMARK_SHARDS": "2"}, wrong: "TIDEMARK_SHARDS is set and JOB_COMPLETION_INDEX is not"},
		{name: "no task count", variables: map[string]string{"CLOUD_RUN_TASK_INDEX": "2"}, wrong: "CLOUD_RUN_TASK_INDEX is set and CLOUD_RUN_TASK_COUNT is not"},
		{name: "fewer shards than completions", variables: map[string]string{"JOB_COMPLETION_INDEX": "3", "TIDEMARK_SHARDS": "3"}, wrong: `JOB_COMPLETION_INDEX="3" and TIDEMARK_SHARDS="3": "3/3": shards are counted from 0`},
		{name: "no number", variables: map[string]string{"JOB_COMPLETION_INDEX": "", "TIDEMARK_SHARDS": "3"}, wrong: `JOB_COMPLETION_INDEX=""`},
		{name: "given from 1", given: "3/3", wrong: "--shard: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := env(t, test.variables).Shard(test.given)
			var usage *app.UsageError
			switch {
			case test.wrong == "" && (err != nil || got != test.want):
				t.Errorf("Shard(%q) with %v: got %v, %v, want %v", test.given, test.variables, got, err, test.want)
			case test.wrong != "" && (!errors.As(err, &usage) || usage.Hint == "" || !strings.Contains(err.Error(), test.wrong)):
				t.Errorf("Shard(%q) with %v: got %v, %v, want a UsageError with a hint that says %q", test.given, test.variables, got, err, test.wrong)
			}
		})
	}
}

// The place counts, however the URL is written.
func TestFleetStates(t *testing.T) {
	t.Chdir(t.TempDir())
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for second, want := range map[string]string{
		"s3://b/a/?region=x":            `is that of ledger "a" too, on line 3`,
		"s3://b/a?endpoint=http://x":    "",
		"file://" + cwd + "/./d":        "",
		"ftp://b/a":                     "ftp:// is not a place",
		"s3://key:verysecret@b/a":       "is not s3://bucket/prefix",
		"gs://b/a?regoin=x&endpoint=me": "is not endpoint",
	} {
		text := "apiVersion: tidemark.dev/v1alpha1\nledgers:\n- {name: a, config: c, state: s3://b/a}\n- {name: b, config: c, state: " + quoted(second) + "}\n"
		if err := os.WriteFile("fleet.yaml", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := env(t, nil).Fleet("fleet.yaml")
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) || strings.Contains(got, "verysecret") {
			t.Errorf("a state %s beside s3://b/a: got %q, want %q", second, got, want)
		}
	}
	if err := os.WriteFile("fleet.yaml", []byte("apiVersion: tidemark.dev/v1alpha1\nledgers:\n- {name: a, config: c, state: d}\n- {name: b, config: c, state: "+quoted("file://"+filepath.Join(cwd, "d"))+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := env(t, nil).Fleet("fleet.yaml"); err == nil || !strings.Contains(err.Error(), `ledger "a" too`) {
		t.Errorf("one directory, written in two ways: got %v", err)
	}
	if _, err := env(t, nil).Fleet("none.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
}

func quoted(text string) string { return `"` + text + `"` }

func TestSettingsOfLedger(t *testing.T) {
	flags := app.Settings{Kubeconfig: "all", Context: "here", WitnessNamespace: "w", LeaseTTL: 5}
	server := app.Settings{Server: "https://x", TokenFile: "t", CAFile: "c"}
	auth := config.Auth{BearerToken: &config.Secret{Env: "T"}}
	committed := config.Origin{Config: "c.yaml", Repo: "r", Ref: gitref.Ref{Branch: "main"}, Auth: auth}
	none := app.GitSettings{Auth: &config.Auth{}}
	for _, test := range []struct {
		name   string
		flags  app.Settings
		ledger config.Ledger
		want   app.Settings
	}{
		{
			"what the flags say", flags,
			config.Ledger{Name: "a", State: "s", Origin: config.Origin{Config: "c.yaml"}},
			app.Settings{Config: "c.yaml", State: "s", Git: none, Kubeconfig: "all", Context: "here", WitnessNamespace: "w", LeaseTTL: 5},
		},
		{
			"a context of their kubeconfig", flags,
			config.Ledger{State: "s", Apps: []string{"web"}, Cluster: config.Cluster{Context: "eu", WitnessNamespace: "v", AllowExec: true}, Origin: committed},
			app.Settings{Config: "c.yaml", Repo: "r", Ref: "refs/heads/main", State: "s", Apps: []string{"web"}, Git: app.GitSettings{Auth: &auth}, Kubeconfig: "all", Context: "eu", WitnessNamespace: "v", AllowExec: true, LeaseTTL: 5},
		},
		{
			"a kubeconfig without their context", flags,
			config.Ledger{State: "s", Cluster: config.Cluster{Kubeconfig: "own"}},
			app.Settings{State: "s", Git: none, Kubeconfig: "own", WitnessNamespace: "w", LeaseTTL: 5},
		},
		{
			"a context instead of their server", server,
			config.Ledger{State: "s", Cluster: config.Cluster{Context: "eu"}},
			app.Settings{State: "s", Git: none, Context: "eu"},
		},
		{
			"the pod's cluster", server,
			config.Ledger{State: "s", Cluster: config.Cluster{InCluster: true}},
			app.Settings{State: "s", Git: none, InCluster: true},
		},
	} {
		if diff := cmp.Diff(test.want, test.flags.Of(test.ledger)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// A credential that was given for something else is never shown to the
// repository of a ledger.
func TestFleetCredentials(t *testing.T) {
	seen := make(chan string, 10)
	url := answering(t, seen)
	variables := map[string]string{"TIDEMARK_GIT_TOKEN": "of-somebody-else", "OWN": "of-this-ledger"}
	for want, auth := range map[string]config.Auth{"": {}, "Bearer of-this-ledger": {BearerToken: &config.Secret{Env: "OWN"}}} {
		ledger := config.Ledger{Name: "a", State: t.TempDir(), Origin: config.Origin{Config: "c.yaml", Repo: url, Auth: auth}}
		session := open(t, env(t, variables), app.Settings{}.Of(ledger))
		if _, err := session.Configure(t.Context(), nil); err == nil {
			t.Fatal("the server is no repository, and was taken for one")
		}
		if got := <-seen; got != want {
			t.Errorf("with auth %+v the server was shown %q, want %q", auth, got, want)
		}
	}
}

// answering gives a server that refuses, and notes what it was shown.
func answering(t *testing.T, shown chan<- string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/r.git"
}
