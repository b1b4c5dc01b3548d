package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// trip is one request to the store, as it was seen on its way.
type trip struct {
	method    string
	condition string // the header that makes a PUT conditional
	sent, got int64
}

// watched stands before the store and notes what passes. Whoever speaks with the store does so through it, the bench
// too, so that its own time is in all that is compared.
type watched struct {
	url    string
	server *http.Server
	served chan error

	mu    sync.Mutex
	trips []trip
}

func watch(ctx context.Context, store string) (*watched, error) {
	target, err := url.Parse(store)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		r.Out.Host = r.In.Host // It is signed.
	}}
	w := &watched{url: "http://" + listener.Addr().String(), served: make(chan error, 1)}
	w.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		t := trip{method: r.Method, sent: r.ContentLength}
		for _, name := range []string{"If-Match", "If-None-Match"} {
			if r.Header.Get(name) != "" {
				t.condition = name
			}
		}
		counted := &counter{ResponseWriter: to}
		proxy.ServeHTTP(counted, r)
		t.got = counted.n
		w.mu.Lock()
		defer w.mu.Unlock()
		w.trips = append(w.trips, t)
	})}
	go func() { w.served <- w.server.Serve(listener) }()
	return w, nil
}

func (w *watched) Stop() error {
	err := w.server.Close()
	<-w.served
	return err
}

// since gives what passed since it was asked last.
func (w *watched) since() []trip {
	w.mu.Lock()
	defer w.mu.Unlock()
	trips := w.trips
	w.trips = nil
	return trips
}

type counter struct {
	http.ResponseWriter
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n += int64(n)
	return n, err
}
