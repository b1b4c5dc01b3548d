// Command gobuild is go build with a line that shows how far it is:
//
//	go run ./tests/gobuild -o bin/tidemark ./cmd/tidemark
//
// The last argument is the package.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"

	"tidemark.dev/tidemark/tests/progress"
)

func main() {
	if err := build(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: gobuild [go build's flags] PACKAGE")
	}
	pkg := args[len(args)-1]
	show := progress.Start(path.Base(pkg))
	defer show.Stop()
	packages, err := show.Output(exec.Command("go", "list", "-deps", pkg))
	if err != nil {
		return err
	}
	show.Expect(strings.Count(packages, "\n"))
	return show.Run(exec.Command("go", append([]string{"build", "-v"}, args...)...))
}
