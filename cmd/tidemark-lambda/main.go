// Tidemark-lambda does the run of tidemark sync in an AWS Lambda function, on a
// runtime of the operating system only (provided.al2023). It is told by variables
// what the command is told by flags: TIDEMARK_STATE, TIDEMARK_CONFIG and so on; a
// tidemark.yaml beside it counts too.
//
// It has three ideas: a runtime, which speaks with Lambda; an event, which says
// what is ordered; and the run, which is the command's own.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"tidemark.dev/tidemark/cmd/internal/app"
)

// version is set by the linker: -X main.version=v1.2.3.
var version = "dev" //nolint:gochecknoglobals // The linker's.

func main() {
	// Helm's packages log values of charts.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, app.OS(version))
	stop()
	if err != nil {
		_, _ = io.WriteString(os.Stderr, "tidemark-lambda: "+err.Error()+"\n")
		os.Exit(1)
	}
}
