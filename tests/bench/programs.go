package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tidemark.dev/tidemark/tests/progress"
	"tidemark.dev/tidemark/tests/servers/assets"
)

// tool is somebody else's program, built once at an exact version and kept beside the servers:
//
//	$TIDEMARK_CACHE, else the user's cache folder + /tidemark
//	└── bench/
//	    ├── helm-v4.3.1/
//	    └── kapp-v0.64.2/
type tool struct {
	name, version, pkg string
	// module is the folder of a module that pins the program with all that it needs, where go install cannot. It holds no
	// package, so that it lies where linters do not look.
	module string
}

func tools() []tool {
	return []tool{
		{name: "helm", version: "v4.3.1", pkg: "helm.sh/helm/v4/cmd/helm"},
		{name: "kapp", version: "v0.64.2", pkg: "carvel.dev/kapp/cmd/kapp", module: filepath.Join("testdata", "kapp")},
	}
}

// install answers with the program's path, and builds it first when it is not there.
func (t tool) install() (string, error) {
	root, err := assets.Cache()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bench", t.name+"-"+t.version)
	program := filepath.Join(dir, t.name)
	if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
		return program, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	show := progress.Start(t.name + " " + t.version)
	defer show.Stop()
	cmd := exec.Command("go", "install", "-v", "-trimpath", "-ldflags=-s -w", t.pkg+"@"+t.version)
	cmd.Dir = dir
	if t.module != "" {
		cmd.Args = []string{"go", "install", "-v", "-trimpath", "-ldflags=-s -w", t.pkg}
		cmd.Dir = t.module
	}
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	return program, show.Run(cmd)
}

// evict takes the programs out of the page cache and lets the kernel read them again. How much of a program's file counts
// as its memory depends on how its pages came into the cache: of one that was just linked it is a fifth more.
func (b *bench) evict(ctx context.Context) error {
	for _, name := range sortedKeys(b.programs) {
		file, err := os.OpenFile(b.programs[name], os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		err = file.Sync()
		if err == nil {
			err = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("take %s out of the page cache: %w", name, err)
		}
		// Whatever it says: it was read.
		_ = exec.CommandContext(ctx, b.programs[name], "version").Run()
	}
	return nil
}

// find gathers the programs. Only a peer may be missing.
func (b *bench) find(ctx context.Context, out, tidemark string) error {
	b.programs = map[string]string{"tidemark": tidemark}
	if _, err := os.Stat(tidemark); err != nil {
		return fmt.Errorf("find tidemark (make build): %w", err)
	}
	bundle, err := assets.ControlPlane()
	if err != nil {
		return err
	}
	if b.programs["kubectl"], err = bundle.Path("kubectl"); err != nil {
		return err
	}
	for _, own := range []string{"floor", "meter"} {
		b.programs[own] = filepath.Join(out, own)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.programs[own], "./"+own)
		if said, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", own, err, said)
		}
	}
	for _, t := range tools() {
		program, err := t.install()
		if err != nil {
			b.say("%s %s could not be built: %v", t.name, t.version, err)
			if program, err = exec.LookPath(t.name); err != nil {
				b.absent[t.name] = "could not be built, and is not on PATH"
				continue
			}
		}
		b.programs[t.name] = program
	}
	return b.evict(ctx)
}
