package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"tidemark.dev/tidemark/tests/progress"
	"tidemark.dev/tidemark/tests/servers/assets"
)

// tool is a program that is built from a Go package at an exact version.
type tool struct{ name, pkg, version string }

// installAll builds every tool that a linter uses.
func installAll() error {
	for _, l := range linters {
		if l.tool.name != "" {
			if _, err := l.tool.install(); err != nil {
				return err
			}
		}
	}
	return nil
}

// install answers with the program's path, and builds it first when it is not there.
func (t tool) install() (string, error) {
	dir, err := t.dir()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, t.name)
	if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
		return program, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	show := progress.Start(t.name + " " + t.version)
	defer show.Stop()
	cmd := exec.Command("go", "install", "-v", "-ldflags=-s -w", t.pkg+"@"+t.version)
	// Outside any module, where go install takes an exact version and heeds nobody's replacements.
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOWORK=off")
	return program, show.Run(cmd)
}

func (t tool) dir() (string, error) {
	root, err := assets.Cache()
	return filepath.Join(root, "tools", t.name+"-"+t.version), err
}
