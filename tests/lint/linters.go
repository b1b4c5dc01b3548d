package main

import "strings"

// linter is one command that is run in the folders of the modules.
type linter struct {
	name string
	// tool is run with the args; without one, the args are the whole command. ROOT in them is the repository's folder.
	tool tool
	args []string
	// rootOnly leaves the nested modules out; except leaves out these.
	rootOnly bool
	except   []string
	// silent says that output is a finding, whatever the exit code.
	silent bool
	// excuse tells from the output of a failure why nothing was checked; it is empty when there are findings.
	excuse func(output string) string
}

var (
	golangci    = tool{"golangci-lint", "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", "v2.13.2"}
	deadcode    = tool{"deadcode", "golang.org/x/tools/cmd/deadcode", "v0.48.0"}
	govulncheck = tool{"govulncheck", "golang.org/x/vuln/cmd/govulncheck", "v1.6.0"}
)

// kubernetes is Kubernetes' own programs behind mains of a few lines. To look at those as code, linters would compile
// all of Kubernetes.
var kubernetes = []string{"tests/controlplane", "tests/kubelet"}

var linters = []linter{
	// golangci-lint brings gofumpt; it formats files, whatever module they are in.
	{name: "gofumpt", tool: golangci, args: []string{"fmt", "--diff"}, rootOnly: true, silent: true},
	{name: "go mod tidy", args: []string{"go", "mod", "tidy", "-diff"}},
	{name: "go vet", args: []string{"go", "vet", "./..."}, except: kubernetes},
	{name: "go fix", args: []string{"go", "fix", "-diff", "./..."}, except: kubernetes, silent: true},
	{
		name: "golangci-lint", tool: golangci, except: kubernetes,
		args: []string{"run", "--config", "ROOT/.golangci.yml", "--allow-parallel-runners", "--timeout", "20m", "./..."},
	},
	// Tests are roots too, so that what only they use counts as used.
	{name: "deadcode", tool: deadcode, args: []string{"-test", "./..."}, rootOnly: true, silent: true},
	{name: "govulncheck", tool: govulncheck, args: []string{"./..."}, rootOnly: true, excuse: noDatabase},
}

func noDatabase(output string) string {
	if !strings.Contains(output, "fetching vulnerabilities") {
		return ""
	}
	return "govulncheck's database cannot be reached from here; nothing was checked, and this is not counted as green"
}
