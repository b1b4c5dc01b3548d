package servers

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// listener is an HTTP server of this process, on a free port of 127.0.0.1.
type listener struct {
	url    string
	server *http.Server
	done   sync.WaitGroup
	err    error
	open   atomic.Int64 // connections of clients
}

// listen serves the handler, over TLS when config is given.
func listen(handler http.Handler, config *tls.Config) (*listener, error) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &listener{
		url: "http://" + socket.Addr().String(),
		server: &http.Server{
			Handler: handler, TLSConfig: config, ReadHeaderTimeout: time.Minute,
			ErrorLog: log.New(io.Discard, "", 0), // handlers that cut connections on purpose would fill it
		},
	}
	l.server.ConnState = func(_ net.Conn, now http.ConnState) {
		switch now {
		case http.StateNew:
			l.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			l.open.Add(-1)
		case http.StateActive, http.StateIdle:
		}
	}
	serve := func() error { return l.server.Serve(socket) }
	if config != nil {
		l.url = "https://" + socket.Addr().String()
		serve = func() error { return l.server.ServeTLS(socket, "", "") }
	}
	l.done.Go(func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			l.err = err
		}
	})
	return l, nil
}

// Stop cuts all connections and frees the port.
func (l *listener) Stop() error {
	err := l.server.Close()
	l.done.Wait()
	return errors.Join(err, l.err)
}
