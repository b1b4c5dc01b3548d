// Command lint runs every linter over every module of the repository, all of them even when one finds something, and
// closes with a table:
//
//	go run ./tests/lint [-install] [name]...
//
// Names select some of them. The tools are pinned by version and built once, outside the repository:
//
//	$TIDEMARK_CACHE, else the user's cache folder + /tidemark
//	└── tools/
//	    └── golangci-lint-v2.13.2/
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	install := flag.Bool("install", false, "only build the tools")
	flag.Parse()
	if *install {
		exitOn(installAll())
		return
	}
	green, err := lint(flag.Args())
	exitOn(err)
	if !green {
		os.Exit(1)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(1)
	}
}

// verdict is how a linter ended.
type verdict string

const (
	ok       verdict = "ok"
	findings verdict = "FAIL"
	unknown  verdict = "not green"
)

func lint(names []string) (green bool, err error) {
	for _, name := range names {
		if !slices.ContainsFunc(linters, func(l linter) bool { return l.name == name }) {
			return false, fmt.Errorf("no linter %q", name)
		}
	}
	modules, err := modules()
	if err != nil {
		return false, err
	}
	green = true
	var table strings.Builder
	for _, l := range linters {
		if len(names) > 0 && !slices.Contains(names, l.name) {
			continue
		}
		started := time.Now()
		v, said, err := l.run(modules)
		if err != nil {
			return false, fmt.Errorf("%s: %w", l.name, err)
		}
		if v != ok {
			fmt.Printf("── %s\n%s\n", l.name, strings.TrimRight(said, "\n"))
		}
		green = green && v != findings
		fmt.Fprintf(&table, "%-10s %-14s %5.1fs\n", v, l.name, time.Since(started).Seconds())
	}
	fmt.Printf("\n%s", table.String())
	return green, nil
}

// modules are the folders of the repository's modules, from its index, so that what lies about is not looked at.
func modules() ([]string, error) {
	out, err := exec.Command("git", "ls-files", "go.mod", "*/go.mod").Output()
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	var dirs []string
	for file := range strings.FieldsSeq(string(out)) {
		if !strings.Contains(file, "testdata/") {
			dirs = append(dirs, filepath.Dir(file))
		}
	}
	return dirs, nil
}

// run runs the linter in each of its modules.
func (l linter) run(modules []string) (verdict, string, error) {
	var command []string
	if l.tool.name == "" {
		command = append(command, l.args...)
	} else {
		path, err := l.tool.install()
		if err != nil {
			return "", "", err
		}
		command = append([]string{path}, l.args...)
	}
	root, err := os.Getwd()
	if err != nil {
		return "", "", err
	}
	var said strings.Builder
	total := ok
	for _, module := range modules {
		if (l.rootOnly && module != ".") || slices.Contains(l.except, module) {
			continue
		}
		cmd := exec.Command(command[0], slices.Clone(command[1:])...)
		for i, arg := range cmd.Args {
			cmd.Args[i] = strings.ReplaceAll(arg, "ROOT", root)
		}
		cmd.Dir = module
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		failure := cmd.Run()
		v := ok
		if failure != nil || (l.silent && out.Len() > 0) {
			v = findings
		}
		if v != ok && l.excuse != nil {
			if excuse := l.excuse(out.String()); excuse != "" {
				v = unknown
				out.Reset()
				out.WriteString(excuse + "\n")
			}
		}
		if v == ok {
			continue
		}
		if module != "." {
			fmt.Fprintf(&said, "in %s:\n", module)
		}
		said.Write(out.Bytes())
		if out.Len() == 0 {
			fmt.Fprintln(&said, failure)
		}
		if total != findings {
			total = v
		}
	}
	return total, said.String(), nil
}
