// Command suite runs every test of every module below the working folder, as go test does, names what was skipped and
// why, shows what tests counted (t.Log("counts: …")), and closes with their number:
//
//	go run ./tests/suite [-summary FILE] [-- go test's flags]
//
// A test that only holds subtests is not counted beside them, unless it failed on its own.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	summary := flag.String("summary", "", "also write the closing line to this `file`")
	flag.Parse()
	err := run(*summary, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(summary string, flags []string) error {
	started := time.Now()
	modules, err := testedModules(".")
	if err != nil {
		return err
	}
	t := newTally(os.Stdout)
	var errs []error
	for _, dir := range modules {
		if err := test(dir, flags, t); err != nil {
			errs = append(errs, fmt.Errorf("test module %s: %w", dir, err))
		}
	}
	t.close()
	fmt.Printf("\n%d modules, %s\n%s\n", len(modules), time.Since(started).Round(time.Second), t.summary())
	if summary != "" {
		errs = append(errs, os.WriteFile(summary, []byte(t.summary()+"\n"), 0o644))
	}
	if t.failed > 0 && errors.Join(errs...) == nil {
		errs = append(errs, errors.New("tests failed"))
	}
	return errors.Join(errs...)
}

// testedModules are the folders of the modules that have tests, the root's first.
func testedModules(root string) ([]string, error) {
	var modules []string
	tested := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		switch {
		case entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata"):
			return fs.SkipDir
		case name == "go.mod":
			modules = append(modules, filepath.Dir(path))
		case strings.HasSuffix(name, "_test.go"):
			tested[filepath.Dir(path)] = true
		}
		return nil
	})
	slices.Sort(modules)
	return slices.DeleteFunc(modules, func(module string) bool {
		for dir := range tested {
			if moduleOf(dir, modules) == module {
				return false
			}
		}
		return true
	}), err
}

// moduleOf is the innermost of the modules that hold the folder.
func moduleOf(dir string, modules []string) string {
	for ; !slices.Contains(modules, dir); dir = filepath.Dir(dir) {
		if dir == "." {
			return ""
		}
	}
	return dir
}

// test runs the module's tests into the tally. The error is for what the tally does not show.
func test(dir string, flags []string, t *tally) error {
	cmd := exec.Command("go", append(append([]string{"test", "-json"}, flags...), "./...")...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	before := t.failed
	reading := t.read(events)
	err = cmd.Wait()
	if reading != nil {
		return errors.Join(reading, err)
	}
	if err != nil && t.failed == before {
		// go test could not even begin.
		t.failed++
		return fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	return nil
}
