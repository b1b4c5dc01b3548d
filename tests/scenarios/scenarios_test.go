// Package scenarios_test asks Tidemark what other tools' suites ask those tools: each file of testdata/scenario is a
// story of a repository, a cluster and a few runs, told by the built binary on a real control plane with
// kube-controller-manager and a node whose kubelet is played. tests/README.md says which test of which tool each of them
// answers, and how that tool behaves.
//
// A scenario has a namespace ($NS), a repository ($REPO), a state and a user of the API server to itself. The commands
// stand at TestScenarios.
package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

// stage is what all scenarios share.
type stage struct {
	dir     string
	cluster *servers.ControlPlane
	git     *servers.GitHTTP
}

// TestScenarios plays them. Beside the commands of testscript they have:
//
//	push MESSAGE                  commit the folder repo, and show it to those who fetch
//	sync [CODE] [FLAGS...]        one run with tidemark.yaml; it must exit with CODE, 0 unless given
//	tidemark [CODE] COMMAND ...   any other command, with the same state and cluster
//
//	record PATH [VALUE]           what the last command printed holds the value at the path: apps[shop].counts.pruned;
//	                              "! record PATH" says that there is nothing, "record -match PATH REGEXP" what it is like
//	let VARIABLE PATH             put the value at the path into a variable
//	has REF [PATH VALUE]          an object exists and holds the value at the path; "has -soon" waits until it does
//	absent REF                    it does not, or soon will not
//	same REF                      it exists, with the UID that it had when this was said last
//	untouched                     the last run wrote nothing to the cluster
//	order VERB REF...             the last run sent the first such request (apply or delete) about each in this order
//	never VERB REF...             the last run sent no such request about any of them
//
//	namespace NAME...             make namespaces
//	apply MANAGER FILE            apply the file's object as another tool would
//	patch REF JSON                change an object by hand
//	delete REF                    delete it by hand
//	before METHOD PATH COMMAND    once, when the next run sends a request whose REST path ends so, and before it arrives:
//	                              do one of these five, or push; a METHOD of WATCH is what it says
//	refuse METHOD PATH            from now on the cluster answers such requests with 403; "refuse" alone: no more
//
// REF is KIND/NAME in the scenario's namespace, or KIND/NAMESPACE/NAME. $NS and $REPO hold in all files; without a
// tidemark.yaml, the folder repo/app is the app "app" in the namespace.
func TestScenarios(t *testing.T) {
	if _, err := binary.Path(); err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"push": plain(push), "sync": plain(sync), "tidemark": plain(other),
		"record": record, "let": plain(let), "has": plain(has), "absent": plain(absent), "same": plain(same),
		"untouched": plain(untouched), "order": plain(order), "never": plain(never),
		"namespace": plain(namespace), "apply": plain(apply), "patch": plain(patch), "delete": plain(remove),
		"before": plain(before), "refuse": plain(refuse),
	}
	testscript.Run(t, testscript.Params{
		Files: scenarios(t),
		Cmds:  commands,
		Setup: func(env *testscript.Env) error { return s.enter(env) },
	})
}

func scenarios(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "scenario", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	return files
}

func newStage(t *testing.T) *stage {
	t.Helper()
	var users []servers.User
	for _, file := range scenarios(t) {
		users = append(users, servers.User{Name: name(file), Groups: []string{"system:masters"}})
	}
	s := &stage{dir: t.TempDir()}
	s.cluster = servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{Audit: true, ControllerManager: true, Users: users})
	servers.For(t, servers.StartNodes, servers.NodesOptions{Cluster: s.cluster})
	s.git = servers.For(t, servers.StartGitHTTP, servers.GitHTTPOptions{})
	return s
}

func name(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txtar") }

// plain is a command that cannot be negated.
func plain(command func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command has no negation")
		}
		command(ts, args)
	}
}

const config = `apiVersion: tidemark.dev/v1alpha1
defaults: {namespace: $NS, source: {repo: $REPO}}
apps:
- {name: app, source: {path: app}}
`

// enter gives a scenario its world.
func (s *stage) enter(env *testscript.Env) error {
	w := &world{stage: s, name: strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"), dir: env.WorkDir, uids: map[string]string{}}
	ctx := context.Background()
	var err error
	if w.repo, err = servers.NewRepo(ctx, filepath.Join(w.dir, ".worktree")); err != nil {
		return err
	}
	kubeconfig := filepath.Join(w.dir, ".kubeconfig")
	env.Setenv("NS", w.name)
	env.Setenv("REPO", s.git.URL+"/"+w.name+".git")
	env.Setenv("TIDEMARK_KUBECONFIG", kubeconfig)
	env.Setenv("TIDEMARK_STATE", "file://"+filepath.Join(w.dir, ".state"))
	file := filepath.Join(w.dir, "tidemark.yaml")
	if _, err = os.Stat(file); errors.Is(err, os.ErrNotExist) {
		err = os.WriteFile(file, []byte(config), 0o600)
	}
	env.Values[worldKey{}] = w
	env.Defer(w.leave)
	return errors.Join(err,
		w.expand(strings.NewReplacer("$NS", env.Getenv("NS"), "$REPO", env.Getenv("REPO"))),
		s.cluster.Kubeconfig(kubeconfig, w.name),
		w.makeNamespace(w.name),
	)
}

// TestEachIsListed holds the scenarios against the table in tests/README.md.
func TestEachIsListed(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "\n| scenario | answers | how the peer behaves |\n")
	if !found {
		t.Fatal("tests/README.md has no table of scenarios")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	row := regexp.MustCompile("^\\| `([a-z-]+)` \\| (\\S.*\\S) \\| (\\S.*\\S) \\|$")
	var listed []string
	for _, line := range strings.Split(table, "\n")[1:] {
		found := row.FindStringSubmatch(line)
		if found == nil {
			t.Errorf("tests/README.md: a row is not \"| `scenario` | answers | how the peer behaves |\": %s", line)
			continue
		}
		listed = append(listed, found[1])
	}
	var played []string
	for _, file := range scenarios(t) {
		played = append(played, name(file))
	}
	slices.Sort(listed)
	slices.Sort(played)
	if !slices.Equal(listed, played) {
		t.Errorf("tests/README.md lists\n%s\nand these are played\n%s", fmt.Sprint(listed), fmt.Sprint(played))
	}
}
