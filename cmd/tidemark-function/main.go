// Tidemark-function does the run of tidemark sync behind HTTP: as a Cloud Run
// service, a function, or anywhere that webhooks reach. It is told by variables
// what the command is told by flags: TIDEMARK_STATE, TIDEMARK_CONFIG and so on.
//
// Its words: a proof is what a request shows to be let in, a webhook's signature or
// a token of Google's; a turn is the right to run, which one request has at a time.
//
// Laws: who has no proof learns nothing (401). What a webhook says is not
// believed: it only says that it is time to look.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

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
		_, _ = io.WriteString(os.Stderr, "tidemark-function: "+err.Error()+"\n")
		os.Exit(1)
	}
}

// lastWords is how long a run may take to leave its record once the process is
// told to end; Cloud Run gives ten seconds.
const lastWords = 9 * time.Second

// serve listens on PORT until ctx ends, and then for what is under way to end.
func serve(ctx context.Context, env app.Env) error {
	function, err := newFunction(ctx, env)
	if err != nil {
		return err
	}
	port := env.Get("PORT")
	if port == "" {
		port = "8080"
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(env.Get("TIDEMARK_HTTP_HOST"), port))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: function, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		defer cancel()
		_ = server.Shutdown(bounded)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	<-ended
	return nil
}
