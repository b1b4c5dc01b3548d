package faults_test

import (
	"context"
	"fmt"
	"strings"
	"sync"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wire is what lies between Tidemark and one proxy of a world: TCP, and what can be wrong with it.
type wire struct {
	proxy *toxiproxy.Proxy
	mu    sync.Mutex // toxics come and go one at a time
}

// newWire lays a wire to an address.
func newWire(address string) (*wire, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{proxy: toxiproxy.NewProxy(server, "wire", "127.0.0.1:0", address)}
	return w, w.proxy.Start()
}

// stop cuts the wire.
func (w *wire) stop() { w.proxy.Stop() }

// poison makes the wire bad, for connections that there are and that come. A toxic is its type and its attributes in JSON.
func (w *wire) poison(toxic string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	kind, attributes, _ := strings.Cut(toxic, " ")
	json := fmt.Sprintf(`{"name":"toxic","type":%q,"stream":"downstream","attributes":%s}`, kind, attributes)
	if w.proxy.Toxics.GetToxic("toxic") != nil {
		return nil
	}
	_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(json))
	return err
}

// heal makes the wire good again.
func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy.Toxics.ResetToxics(context.Background())
}
