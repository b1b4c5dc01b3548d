// Package scripts_test tells the product's story: each file of testdata/script is a scenario that the built binary is
// taken through against real servers, and reads as one.
//
// A script has a namespace, a git server, a state and a user of the API server to itself; the servers behind them are
// started once, when the first script asks for them. The commands of the scripts stand at TestScripts.
//
// The same is done with input that others made bad: see TestBadInput.
package scripts_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tidemark.dev/tidemark/tests/binary"
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tidemark-scripts-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = newCast(dir)
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

var update = flag.Bool("update", false, "write what the binary says into the scripts")

// TestScripts runs the scripts. Beside the commands of testscript they have:
//
//	tidemark ARGS...               run the binary; it must exit with 0
//	exit CODE tidemark ARGS...     run it; it must exit with CODE
//	signal NAME SIGNAL             send TERM, INT or KILL to the program that "exec … &NAME&" began
//	exited NAME CODE               hold its exit code, after "wait NAME"
//
//	cluster [NAMESPACE...]         point at the API server, and make namespaces; $NS is the script's own
//	cluster another                point at a second one
//	state file|s3|gcs [PREFIX]     point at an empty state
//	proxy METHOD PATH              point at the API server through a proxy that holds what matches both expressions,
//	                               but for dry runs
//	proxy held                     wait until it holds a request
//	unused VARIABLE                put an address that nobody listens on into a variable
//
//	expand FILE...                 put the values of variables into files
//	replace FILE OLD NEW           put other words into a file, which must hold the old ones
//	commit DIR MESSAGE             make the folder the next commit of the repository $WORK/git/DIR.git; $COMMIT is its hash
//	branch DIR NAME                go on with a branch
//	tag DIR NAME [MESSAGE]         tag the commit
//	charts SECRET DIR...           serve the folders as charts of the repository $CHARTS to the user tide
//	git http|https|token|ssh|redirect [SECRET]
//	                               serve the repositories under $GIT, to those who know the password of the user tide,
//	                               the token, or the key ($GIT_KEY, $GIT_KNOWN_HOSTS); $GIT_CA is the authority of https
//	git lured                      fail when somebody went where "git redirect" leads
//
//	kube has REF [PATH VALUE]      an object exists and holds the value at the path
//	kube absent REF                it does not, or soon will not
//	kube patch REF JSON            change it by hand
//	kube apply REF MANAGER FILE    apply it as another tool would
//	kube delete REF                delete it by hand
//	kube secret NAME KEY=VALUE...  make a Secret; a VALUE of @FILE is the file's content
//	kube established NAME          wait until the kind of a CustomResourceDefinition is served
//	kube token FILE                write the token of the script's user to a file
//	kube hides FILE                as canary, for the content of that file
//	kube mark                      from here on …
//	kube untouched                 … Tidemark wrote nothing to the cluster
//	kube wrote REGEXP...           … it wrote exactly requests that match, in any order
//
//	json PATH [VALUE]              stdout is one JSON document that holds the value at the path: apps[shop].counts.created;
//	                               "! json PATH" says that there is nothing, "json -match PATH REGEXP" what it looks like
//	capture VARIABLE PATH          put the value at the path of that document into a variable
//	digest VARIABLE FILE           put the SHA-256 of a file, less the last line's end, into a variable
//	sameplan FILE APP              what the run on stdout did for the app is what the plan in the file says
//	normal                         make of stdout what is the same in each run, to be compared
//	loglines KEY...                every line of stderr is a JSON object with level, time and message and no other key
//	canary WORD...                 no word is in anything that Tidemark said, in the state, or in temporary files
//
// REF is KIND/NAME in the script's namespace, or KIND/NAMESPACE/NAME.
func TestScripts(t *testing.T) {
	t.Parallel()
	if _, err := binary.Path(); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tidemark": positive(tidemark),
			"exit":     positive(exit),
			"signal":   positive(signal),
			"exited":   positive(exited),
			"cluster":  positive(cluster),
			"state":    positive(pointState),
			"proxy":    positive(proxy),
			"unused":   positive(unused),
			"expand":   positive(expand),
			"replace":  positive(replace),
			"loglines": positive(loglines),
			"commit":   positive(commit),
			"reset":    positive(reset),
			"branch":   positive(branch),
			"tag":      positive(tag),
			"git":      positive(git),
			"charts":   positive(charts),
			"kube":     positive(kube),
			"json":     jsonField,
			"capture":  positive(capture),
			"sameplan": positive(sameplan),
			"digest":   positive(digest),
			"normal":   positive(normal),
			"canary":   positive(canary),
		},
		Setup:              setup,
		RequireUniqueNames: true,
		UpdateScripts:      *update,
	})
}

// positive is a command that cannot be negated.
func positive(command func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command has no negation")
		}
		command(ts, args)
	}
}

// setup gives each script its world.
func setup(env *testscript.Env) error {
	name := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
	bin, err := shared.binDir()
	if err != nil {
		return err
	}
	env.Setenv("NS", name)
	// Whatever program it would start is not there.
	env.Setenv("PATH", bin)
	w := &world{name: name, dir: env.WorkDir, tmp: env.Getenv("TMPDIR")}
	env.Values[worldKey{}] = w
	env.Defer(w.leave)
	return nil
}
