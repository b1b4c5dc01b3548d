package servers

import (
	"net/http"
	"sync"
)

// Request is one request that a server of this package was sent.
type Request struct {
	Method string
	Host   string
	Path   string
	Query  string
	Header http.Header
	// Status is what was answered; 0 when the connection was cut instead, or the answer is still under way.
	Status int
	// Bytes is how long the answer's body is so far.
	Bytes int64
}

// Requests is a log of requests, in the order they came. It is safe for concurrent use.
type Requests struct {
	mu  sync.Mutex
	all []*Request
}

// All is a copy of the log.
func (l *Requests) All() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Request, len(l.all))
	for i, r := range l.all {
		all[i] = *r
		all[i].Header = r.Header.Clone()
	}
	return all
}

// Count is how many requests had the method and exactly the path; an empty string stands for any.
func (l *Requests) Count(method, path string) int {
	n := 0
	for _, r := range l.All() {
		if (method == "" || r.Method == method) && (path == "" || r.Path == path) {
			n++
		}
	}
	return n
}

// Reset empties the log.
func (l *Requests) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = nil
}

// record logs the request and answers with a writer that notes the status.
func (l *Requests) record(w http.ResponseWriter, r *http.Request) *recorder {
	entry := &Request{Method: r.Method, Host: r.Host, Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header.Clone()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, entry)
	return &recorder{ResponseWriter: w, log: l, entry: entry}
}

// recorder is a ResponseWriter that notes status and size in the log.
type recorder struct {
	http.ResponseWriter
	log   *Requests
	entry *Request
}

func (w *recorder) WriteHeader(status int) {
	w.note(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	w.note(http.StatusOK)
	n, err := w.ResponseWriter.Write(b)
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.entry.Bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach what lies below.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// note keeps the first final status.
func (w *recorder) note(status int) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	if w.entry.Status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.entry.Status = status
	}
}
