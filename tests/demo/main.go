// Command demo tells Tidemark's story with the real program on a real, short-lived cluster:
//
//	make run
//
// It shows each command as a user would type it, runs it, and holds its exit code and its record against what the story
// says; when they differ, it fails. It touches no cluster but its own and leaves nothing running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	tidemark := flag.String("tidemark", "bin/tidemark", "the `program` to show")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := demo(ctx, *tidemark)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "\nmake run: interrupted; everything is stopped and removed")
		os.Exit(130)
	case err != nil:
		fmt.Fprintf(os.Stderr, "\nmake run: %v\n", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, tidemark string) (err error) {
	tidemark, err = filepath.Abs(tidemark)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tidemark-demo-")
	if err != nil {
		return err
	}
	s := &story{page: newPage(os.Stdout), tidemark: tidemark, dir: dir}
	started := time.Now()
	err = s.tell(ctx)
	err = errors.Join(err, s.stop())
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w\nThe files are left for a look: %s", err, dir)
	}
	err = errors.Join(err, os.RemoveAll(dir))
	if err == nil {
		s.end(time.Since(started))
	}
	return err
}
