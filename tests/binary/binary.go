// Package binary gives tests the built tidemark and runs it as a user would.
package binary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Env is the variable that names the binary to test. Without it, the binary is
// built from the checkout, once per test program.
const Env = "TIDEMARK_BIN"

// Tags are the build tags of the shipped binary.
const Tags = "grpcnotrace,disable_grpc_modules"

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(Env); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.MkdirTemp("", "tidemark-binary-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tidemark")
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "tidemark.dev/tidemark").Output()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	command := exec.Command("go", "build", "-trimpath", "-tags", Tags, "-ldflags", "-s -w", "-o", path, "./cmd/tidemark")
	command.Dir = strings.TrimSpace(string(root))
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build tidemark: %w\n%s", err, out)
	}
	return path, nil
})

// Path gives the binary's path.
func Path() (string, error) { return build() }

// Result is what one run of the binary left.
type Result struct {
	Exit   int
	Stdout string
	Stderr string
}

// Run runs the binary with nothing of this process's environment but what is
// given as KEY=VALUE. An error means that it could not be run; its exit code is
// in the Result.
func Run(ctx context.Context, env []string, args ...string) (Result, error) {
	path, err := Path()
	if err != nil {
		return Result{}, err
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, path, args...)
	command.Env = append([]string{"HOME=/nonexistent", "PATH=/nonexistent", "TMPDIR=" + os.TempDir()}, env...)
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, fmt.Errorf("run %s: %w", path, err)
	}
	return Result{Exit: command.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}, nil
}
