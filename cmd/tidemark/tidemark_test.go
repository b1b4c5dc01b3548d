package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidemark.dev/tidemark/cmd/internal/app"
	"tidemark.dev/tidemark/reconcile"
	"tidemark.dev/tidemark/reconcile/apply"
	"tidemark.dev/tidemark/render/git"
	"tidemark.dev/tidemark/state"
)

var update = flag.Bool("update", false, "write the golden files anew")

// call runs the program in an environment of its own.
func call(t *testing.T, variables map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, app.Env{
		Lookup: func(name string) (string, bool) { value, ok := variables[name]; return value, ok },
		Stdout: &out, Stderr: &errs, Width: func() int { return 80 }, Home: t.TempDir(), User: "me", Host: "laptop",
		Now: time.Now, Version: "v1.2.3",
	})
	return code, out.String(), errs.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// The help of each command, exit codes with it, is part of the product.
func TestHelp(t *testing.T) {
	var all strings.Builder
	for _, args := range [][]string{
		{"--help"},
		{"sync", "--help"},
		{"plan", "--help"},
		{"approve", "--help"},
		{"render", "--help"},
		{"status", "--help"},
		{"history", "--help"},
		{"audit", "--help"},
		{"audit", "show", "--help"},
		{"audit", "verify", "--help"},
		{"detach", "--help"},
		{"unlock", "--help"},
		{"suspend", "--help"},
		{"drift", "--help"},
		{"resume", "--help"},
		{"doctor", "--help"},
		{"state", "--help"},
		{"state", "show", "--help"},
		{"state", "rebuild", "--help"},
		{"state", "adopt-cluster", "--help"},
		{"version", "--help"},
	} {
		code, stdout, stderr := call(t, nil, args...)
		if code != 0 || stderr != "" {
			t.Errorf("tidemark %s: exit %d, stderr %q", strings.Join(args, " "), code, stderr)
		}
		fmt.Fprintf(&all, "$ tidemark %s\n%s\n", strings.Join(args, " "), stdout)
	}
	golden(t, "help.txt", all.String())
	golden(t, "exits.md", exitsMarkdown())
}

// exitsMarkdown is the table as the README has it.
func exitsMarkdown() string {
	var b strings.Builder
	b.WriteString("| code | means |\n|---|---|\n")
	for _, e := range exits {
		fmt.Fprintf(&b, "| %d | %s |\n", e.code, e.meaning)
	}
	return b.String()
}

func TestUsage(t *testing.T) {
	tests := []struct {
		name      string
		variables map[string]string
		args      []string
		want      []string
	}{
		{"unknown command", nil, []string{"snyc"}, []string{`tidemark: there is no command "snyc"`, "hint: did you mean tidemark sync?"}},
		{"unknown flag", nil, []string{"sync", "--foo"}, []string{"tidemark: unknown flag: --foo", "hint: see tidemark sync --help"}},
		{"argument", nil, []string{"sync", "now"}, []string{"takes no argument"}},
		{"no argument", nil, []string{"approve", "--reason", "x"}, []string{"wants one argument"}},
		{"no reason", nil, []string{"approve", "abcdef12"}, []string{"wants a --reason"}},
		{"confirm without reason", nil, []string{"sync", "--confirm", "abcdef12"}, []string{"--confirm wants a --reason"}},
		{"half a hash", nil, []string{"approve", "abcdef1", "--reason", "x"}, []string{`"abcdef1" is not the hash of a plan`, "hint: give its first 8 digits at least"}},
		{"no hash", nil, []string{"approve", "my-plan-one", "--reason", "x"}, []string{`"my-plan-one" is not the hash of a plan`}},
		{"confirm half a hash", nil, []string{"sync", "--confirm", "abcdef12,abc", "--reason", "x"}, []string{`"abc" is not the hash of a plan`}},
		{"confirm no hash", map[string]string{"TIDEMARK_CONFIRM": "yes please"}, []string{"sync", "--reason", "x"}, []string{`"yes please" is not the hash of a plan`}},
		{"detach without a reason", nil, []string{"detach", "--app", "a"}, []string{"tidemark detach wants a --reason"}},
		{"detach without an app", nil, []string{"detach", "--reason", "x"}, []string{"which app is to be let go of?", "hint: name it with --app"}},
		{"unlock without a run", nil, []string{"unlock", "--reason", "x"}, []string{"which run has the lease?", "hint: name it with --run"}},
		{"unknown audit command", nil, []string{"audit", "shwo"}, []string{`there is no command "shwo"`, "did you mean tidemark audit show?"}},
		{"output", nil, []string{"sync", "-o", "yaml"}, []string{`--output is "yaml", not text, json`}},
		{"output by variable", map[string]string{"TIDEMARK_OUTPUT": "xml"}, []string{"version"}, []string{`--output is "xml"`}},
		{"bad variable", map[string]string{"TIDEMARK_TIMEOUT": "soon"}, []string{"status"}, []string{"the variable TIDEMARK_TIMEOUT"}},
		{"nothing to do", nil, []string{"sync"}, []string{"nothing to bring to a cluster is given", "hint: name a configuration"}},
		{"no state", nil, []string{"status"}, []string{"no state is given", "hint: name a bucket"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			code, stdout, stderr := call(t, test.variables, test.args...)
			if code != 1 || stdout != "" {
				t.Errorf("exit %d, stdout %q, want 1 and nothing", code, stdout)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr %q does not say %q", stderr, want)
				}
			}
		})
	}
}

func TestVersion(t *testing.T) {
	if code, stdout, _ := call(t, nil, "version"); code != 0 || !strings.HasPrefix(stdout, "tidemark v1.2.3 (go") {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
	_, stdout, _ := call(t, map[string]string{"TIDEMARK_OUTPUT": "json"}, "version")
	var got map[string]string
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || got["version"] != "v1.2.3" {
		t.Errorf("version -o json: %q: %v", stdout, err)
	}
	if code, _, _ := call(t, map[string]string{"TIDEMARK_OUTPUT": "json"}, "version", "-o", "text"); code != 0 {
		t.Error("a flag does not win over its variable")
	}
}

func TestVersionOf(t *testing.T) {
	if got := versionOf("v9"); got != "v9" {
		t.Errorf("versionOf(v9): got %q", got)
	}
	if got := versionOf(""); got == "" {
		t.Error("versionOf of nothing linked is empty")
	}
}

// Commands that only read do so without a cluster, also when there was no run.
func TestReadingAnEmptyLedger(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"status"}, {"history"}, {"audit", "verify"}, {"state", "show"}} {
		code, stdout, stderr := call(t, map[string]string{"TIDEMARK_STATE": "state"}, args...)
		if code != 0 || stdout == "" || stderr != "" {
			t.Errorf("tidemark %v: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	if code, _, stderr := call(t, nil, "audit", "show", "3", "--state", "state"); code != 1 || !strings.Contains(stderr, "there is no record 3") {
		t.Errorf("audit show 3: exit %d, stderr %q", code, stderr)
	}
}

// A run that fails leaves its record, and its exit code says in what way.
func TestSyncFails(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("kubeconfig", []byte("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"http://"+deadEnd(t)+"\"}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("bad.yaml", []byte("apiVersion: tidemark.dev/v1alpha1\nstate: ./state\nfoo: 1\napps: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call(t, nil, "sync", "--config", "bad.yaml", "--kubeconfig", "kubeconfig", "-o", "json")
	var record state.Record
	if err := json.Unmarshal([]byte(stdout), &record); err != nil {
		t.Fatalf("stdout is no record: %v\n%s\n%s", err, stdout, stderr)
	}
	if code != reconcile.ExitConfig || record.Seq != 1 || record.Exit != code || !strings.Contains(record.Message, "bad.yaml:3: foo: unknown field") {
		t.Errorf("a bad configuration: exit %d, record %+v", code, record)
	}
	if _, stdout, _ = call(t, nil, "history", "--config", "bad.yaml"); !strings.Contains(stdout, "failed") {
		t.Errorf("history: %q", stdout)
	}
	for line := range strings.Lines(stderr) {
		if !json.Valid([]byte(line)) {
			t.Errorf("stderr is not JSON: %q", line)
		}
	}
}

// What people are told at a terminal, a log has too: what to do, and the record
// of a run that could not leave it.
func TestLogTellsWhatToDo(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("kubeconfig", []byte("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"http://"+deadEnd(t)+"\"}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what, head, pod, want string
		code                  int
	}{
		{"a cluster that does not answer", "", "", `"hint":"check kubeconfig`, reconcile.ExitUnreachable},
		{"a damaged head", "{", "", `"hint":"restore head.json`, reconcile.ExitState},
		{"a run without a ledger", "{", "", `"unrecorded":{"format":1`, reconcile.ExitState},
		{"an own pod that cannot be read", "", "p", `not wholly protected from its own pruning: read Pod`, reconcile.ExitUnreachable},
	} {
		dir := t.TempDir()
		if test.head != "" {
			if err := os.WriteFile(filepath.Join(dir, "head.json"), []byte(test.head), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, _, stderr := call(t, map[string]string{"TIDEMARK_POD_NAME": test.pod}, "sync", "--app", "a", "--repo", t.TempDir(), "--state", dir, "--kubeconfig", "kubeconfig")
		if code != test.code || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit %d, want %d, and want %s in\n%s", test.what, code, test.code, test.want, stderr)
		}
		for line := range strings.Lines(stderr) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s: stderr is not JSON: %q", test.what, line)
			}
		}
	}
}

// deadEnd gives an address that nobody listens at.
func deadEnd(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Whatever a server says back, no credential of ours is printed.
func TestCredentialsAreNotPrinted(t *testing.T) {
	t.Chdir(t.TempDir())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "you sent %s", r.Header.Get("Authorization"))
	}))
	defer server.Close()
	const secret = "correct-horse-battery"
	code, stdout, stderr := call(t, map[string]string{"TIDEMARK_GIT_TOKEN": secret}, "render", "--app", "a", "--repo", server.URL+"/r")
	if code != reconcile.ExitConfig || !strings.Contains(stderr, "hint") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
	if strings.Contains(stdout+stderr, secret) {
		t.Errorf("printed: %q %q", stdout, stderr)
	}
}

func TestHintsAndCodes(t *testing.T) {
	tests := []struct {
		err  error
		code int
		hint string
	}{
		{&app.UsageError{Message: "m", Hint: "do this"}, 1, "do this"},
		{fmt.Errorf("x: %w", git.ErrAuth), 12, "give credentials"},
		{reconcile.Unreachable(fmt.Errorf("x: %w", git.ErrUnreachable)), 15, "check the URL and the network"},
		{fmt.Errorf("x: %w", &apply.BusyError{Err: errors.New("starting")}), 15, ""},
		{&state.HeldError{}, 15, "wait for that run"},
		{fmt.Errorf("x: %w", state.ErrRolledBack), 13, "restored an old copy"},
		{fmt.Errorf("x: %w", state.ErrLost), 14, ""},
		{reconcile.Refused(fmt.Errorf("x: %w", reconcile.ErrNeedless)), 10, "tidemark state show"},
		{reconcile.Refused(fmt.Errorf("x: %w", reconcile.ErrNotDead)), 10, "--force"},
		{&reconcile.Fault{Exit: 13, Err: fmt.Errorf("x: %w", reconcile.ErrCluster)}, 13, "adopt-cluster"},
		{&reconcile.Fault{Exit: 13, Err: fmt.Errorf("x: %w", reconcile.ErrNoLineage)}, 13, "adopt:"},
		{&interruptError{signal: os.Interrupt}, 16, ""},
		{&app.TimeoutError{}, 16, ""},
		{&reconcile.Fault{Exit: 15, Err: errors.New("x")}, 15, ""},
		{errors.New("anything"), 12, ""},
	}
	for _, test := range tests {
		if got := codeOf(test.err); got != test.code {
			t.Errorf("codeOf(%v): got %d, want %d", test.err, got, test.code)
		}
		if got := hint(test.err); (got == "") != (test.hint == "") || !strings.Contains(got, test.hint) {
			t.Errorf("hint(%v): got %q, want %q", test.err, got, test.hint)
		}
		if got := advice(test.err); got == "" {
			t.Errorf("advice(%v): got none", test.err)
		}
	}
	for _, e := range exits {
		if e.code >= reconcile.ExitRefused && nextSteps[e.code] == "" {
			t.Errorf("exit code %d, %s: nobody is told what to do", e.code, e.meaning)
		}
	}
}

func TestInterruptible(t *testing.T) {
	ctx, stop := interruptible(context.Background())
	stop()
	if err := ctx.Err(); err == nil {
		t.Error("stop leaves the context")
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"tidemark.yaml": "tidemark.yaml", "s3://b/p?x=1&y=2": "'s3://b/p?x=1&y=2'", "it's": `'it'\''s'`} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q): got %s, want %s", in, got, want)
		}
	}
}
