package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// mutant is one safeguard, and the edit that takes it away.
type mutant struct {
	safeguard string
	// file is where it stands, from the project's root.
	file string
	// old stands in it exactly once, and gives way to new.
	old, new string
	// tests are the packages of the fast tests that should notice, in the order in which they are asked.
	tests []string
}

// verdict says which test noticed, and what the tests said.
type verdict struct {
	test   string
	output []byte
}

// changed gives the file without its safeguard.
func (m mutant) changed() (string, error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("%s: the place of the safeguard is found %d times, not once:\n%s", m.file, n, m.old)
	}
	return strings.Replace(string(text), m.old, m.new, 1), nil
}

// test runs the tests without the safeguard until one fails.
func (m mutant) test() (verdict, error) {
	text, err := m.changed()
	if err != nil {
		return verdict{}, err
	}
	dir, err := os.MkdirTemp("", "tidemark-mutant-")
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := m.overlay(dir, text)
	if err != nil {
		return verdict{}, err
	}
	var all bytes.Buffer
	for _, pkg := range m.tests {
		cmd := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-failfast", "-vet=off", "-timeout=20m", pkg)
		output, err := cmd.CombinedOutput()
		all.Write(output)
		switch exit := (*exec.ExitError)(nil); {
		case err == nil:
			continue
		case !errors.As(err, &exit):
			return verdict{}, err
		case bytes.Contains(output, []byte("[build failed]")), bytes.Contains(output, []byte("[setup failed]")):
			return verdict{}, fmt.Errorf("it does not compile:\n%s", output)
		case bytes.Contains(output, []byte("panic: test timed out after")):
			return verdict{}, errors.New("the tests did not end in time, which shows nothing")
		}
		return verdict{test: failed(output), output: all.Bytes()}, nil
	}
	return verdict{output: all.Bytes()}, nil
}

// overlay writes what go test takes for the file, and gives the name of the list that says so.
func (m mutant) overlay(dir, text string) (string, error) {
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	replaced := filepath.Join(dir, filepath.Base(m.file))
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: replaced}})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, errors.Join(os.WriteFile(replaced, []byte(text), 0o600), os.WriteFile(name, list, 0o600))
}

var failure = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// failed gives the innermost test that failed first; a package that crashed has none.
func failed(output []byte) string {
	name := ""
	for _, found := range failure.FindAllSubmatch(output, -1) {
		if next := string(found[1]); name == "" || strings.HasPrefix(next, name+"/") {
			name = next
		}
	}
	if name == "" {
		name = "a panic"
	}
	return name
}
