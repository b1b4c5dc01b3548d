package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"tidemark.dev/tidemark/tests/progress"
	"tidemark.dev/tidemark/tests/servers/assets"
)

// ensure leaves the bundle's programs in its folder. A program appears there whole or not at all, and one process builds
// while the others wait for it.
func ensure(b assets.Bundle) error {
	if err := b.Check(); err == nil || b.Given {
		return err
	}
	building := b.Dir + ".building"
	if err := os.MkdirAll(b.Dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(b)
	if err != nil {
		return err
	}
	defer unlock()
	// The lock is ours, so what lies there was left by a build that died.
	if err := os.RemoveAll(building); err != nil {
		return err
	}
	lost := b.Lost()
	if len(lost) == 0 {
		return nil
	}
	if err := os.Mkdir(building, 0o755); err != nil {
		return err
	}
	if err := build(b, lost, building); err != nil {
		return errors.Join(err, os.RemoveAll(building))
	}
	for _, program := range lost {
		if err := os.Rename(filepath.Join(building, program), filepath.Join(b.Dir, program)); err != nil {
			return err
		}
	}
	return os.RemoveAll(building)
}

func lock(b assets.Bundle) (unlock func(), err error) {
	file, err := os.OpenFile(b.Dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	fd := int(file.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		fmt.Fprintf(os.Stderr, "%s %s: waiting for another process that builds it\n", b.Name, b.Version)
		if err := syscall.Flock(fd, syscall.LOCK_EX); err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
		}
	}
	return func() { _ = file.Close() }, nil
}

func build(b assets.Bundle, programs []string, into string) error {
	show := progress.Start(b.Name + " " + b.Version)
	defer show.Stop()
	if b.Package != "" {
		cmd := goCommand("install", "-v", "-trimpath", "-ldflags=-s -w", b.Package+"@"+b.Version)
		// Outside any module, where go install takes an exact version and heeds nobody's replacements.
		cmd.Dir = into
		cmd.Env = append(cmd.Env, "GOBIN="+into)
		return show.Run(cmd)
	}

	mains := make([]string, len(programs))
	for i, p := range programs {
		mains[i] = "./cmd/" + p
	}
	list := goCommand("list", append([]string{"-deps"}, mains...)...)
	list.Dir = b.Source
	packages, err := show.Output(list)
	if err != nil {
		return err
	}
	show.Expect(strings.Count(packages, "\n"))
	flags := []string{"-v", "-trimpath", "-ldflags=" + versionFlags(b.Version), "-o", into + string(filepath.Separator)}
	cmd := goCommand("build", append(flags, mains...)...)
	cmd.Dir = b.Source
	return show.Run(cmd)
}

// versionFlags makes the programs report the version that they are; clients choose their behaviour by it.
func versionFlags(version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	const pkg = "k8s.io/component-base/version"
	return fmt.Sprintf("-s -w -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", pkg, version, major, minor)
}

func goCommand(verb string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", append([]string{verb}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	return cmd
}
