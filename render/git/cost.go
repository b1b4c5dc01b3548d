package git

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// Cost is what a Remote took so far.
type Cost struct {
	// Requests counts the requests (https, http) and sessions (ssh) that were
	// sent, with those for submodules and tokens. A repository that is read in
	// place takes none.
	Requests int64
	// Bytes counts what came from servers, as it came: packs are compressed,
	// and the framing of the protocols below git's is counted too.
	Bytes int64
	// Fetches are the commits that were fetched, in order.
	Fetches []Fetch
}

// Fetch is what one commit took, without the look-up of the refs.
type Fetch struct {
	Commit string
	// Whole is why the commit came whole; empty when the commit and its
	// directories came first, and files as they were read.
	Whole string
	// Broad is why all directories came, of a commit that did not come whole;
	// empty when only those came that are read, and those above them.
	Broad string
	// Requests and Bytes are counted as in Cost.
	Requests, Bytes int64
}

// meter counts what a Remote and its submodules take. It is safe for concurrent
// use.
type meter struct {
	requests, bytes atomic.Int64

	mu      sync.Mutex
	fetches []*Fetch
}

func (m *meter) cost() Cost {
	m.mu.Lock()
	defer m.mu.Unlock()
	cost := Cost{Requests: m.requests.Load(), Bytes: m.bytes.Load()}
	for _, f := range m.fetches {
		cost.Fetches = append(cost.Fetches, *f)
	}
	return cost
}

// begin begins to measure; the function it gives adds what was taken since to a
// fetch.
func (m *meter) begin() func(*Fetch) {
	requests, bytes := m.requests.Load(), m.bytes.Load()
	return func(f *Fetch) {
		m.mu.Lock()
		defer m.mu.Unlock()
		f.Requests += m.requests.Load() - requests
		f.Bytes += m.bytes.Load() - bytes
		if !slices.Contains(m.fetches, f) {
			m.fetches = append(m.fetches, f)
		}
	}
}

// mark notes why a commit that came in part had to come whole after all.
func (m *meter) mark(f *Fetch, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f.Whole, f.Broad = why, ""
}

// count counts what is read from a connection.
func (m *meter) count(conn net.Conn) net.Conn { return counted{conn, m} }

type counted struct {
	net.Conn
	meter *meter
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.meter.bytes.Add(int64(n))
	return n, err
}
