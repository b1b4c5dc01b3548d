package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// tags are those that the Makefile builds with.
const tags = "grpcnotrace,disable_grpc_modules"

// compile builds the static program. Nothing of the machine goes into it: neither paths nor the state of the checkout.
func (r release) compile(ctx context.Context, program, arch string) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	//nolint:gosec // Who calls this says what to build.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", tags,
		"-ldflags", "-s -w -buildid= -X main.version="+r.version, "-o", program, "./cmd/tidemark")
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0") //nolint:forbidigo // go needs its own.
	if said, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("compile: %w", err), errors.New(string(said)))
	}
	return nil
}
