package faults_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/tidemark/tests/servers"
)

// trouble is one way in which a network, or the server behind it, is bad: on the wire, or in what is answered.
type trouble struct {
	name string
	// toxic is the type and the attributes of a toxic of the wire.
	toxic string
	// fault breaks requests. It is called for each.
	fault func() servers.Fault
	// harmless: it takes longer, and everything comes.
	harmless bool
	// asks is what the server asks to wait by Retry-After.
	asks time.Duration
}

func troubles() []trouble {
	status := func(code int, retryAfter string) func() servers.Fault {
		header := http.Header{"Content-Type": {"text/plain"}}
		if retryAfter != "" {
			header.Set("Retry-After", retryAfter)
		}
		return func() servers.Fault { return servers.Fault{Status: code, Header: header, Body: "not now"} }
	}
	return []trouble{
		{name: "latency", toxic: `latency {"latency":60,"jitter":40}`, harmless: true},
		{name: "little bandwidth", toxic: `bandwidth {"rate":100}`, harmless: true},
		{name: "answers in slices", toxic: `slicer {"average_size":300,"size_variation":100,"delay":20}`, harmless: true},
		{name: "slow close", toxic: `slow_close {"delay":1500}`, harmless: true},
		{name: "reset", toxic: `reset_peer {"timeout":0}`},
		{name: "reset a moment later", toxic: `reset_peer {"timeout":300}`},
		{name: "closed in the middle of answers", toxic: `limit_data {"bytes":200}`},
		{name: "half open", toxic: `timeout {"timeout":0}`},
		{name: "503", fault: status(http.StatusServiceUnavailable, "")},
		{name: "503 with Retry-After", fault: status(http.StatusServiceUnavailable, "2"), asks: 2 * time.Second},
		{name: "429 with Retry-After", fault: status(http.StatusTooManyRequests, "2"), asks: 2 * time.Second},
		{name: "429 with a long Retry-After", fault: status(http.StatusTooManyRequests, "3600")},
		{name: "500", fault: status(http.StatusInternalServerError, "")},
		{name: "502", fault: status(http.StatusBadGateway, "")},
		{name: "reset in the middle of an answer", fault: func() servers.Fault { return servers.Fault{CutAnswer: 10} }},
		{name: "done, and the answer lost", fault: func() servers.Fault { return servers.Fault{LoseAnswer: true} }},
		{name: "late answers", fault: holding(150 * time.Millisecond), harmless: true},
		{name: "answers later than anybody waits", fault: holding(12 * time.Second)},
	}
}

// holding keeps answers for a while.
func holding(d time.Duration) func() servers.Fault {
	return func() servers.Fault {
		late := make(chan struct{})
		time.AfterFunc(d, func() { close(late) })
		return servers.Fault{HoldAnswer: late}
	}
}

// spell is when there is trouble.
type spell string

const (
	throughout spell = "throughout"
	// briefly: from the first write to the server on (its first request, where nothing is written), for two requests or
	// a second.
	briefly spell = "briefly"
	// onwards: from the first write to the server on, until the run is over.
	onwards spell = "from the first write on"
	// each: the first time that something is asked, whatever it is.
	each spell = "at the first of each request"
)

var spells = []spell{throughout, briefly, onwards, each}

// weather is one case: which trouble, with which server, when, and what the run is about to do.
type weather struct {
	trouble
	server string // cluster, store or git
	store  string
	spell  spell
	doing  *scenario
}

func (c weather) String() string {
	server := c.server
	if server == "store" {
		server = c.store
	}
	return fmt.Sprintf("%s, %s, %s, %s", c.trouble.name, server, c.spell, c.doing.name)
}

// cases are all weathers.
func cases() []weather {
	var all []weather
	doings := slices.DeleteFunc(scenarios(), func(s *scenario) bool {
		return s.name != "first install" && s.name != "nothing changed" && s.name != "add and remove"
	})
	for _, trouble := range troubles() {
		for _, behind := range []weather{{server: "store", store: "s3"}, {server: "store", store: "gcs"}, {server: "cluster", store: "s3"}, {server: "git", store: "s3"}} {
			for _, spell := range spells {
				for _, doing := range doings {
					// Where nothing is written, there is no first write; harmless trouble may last.
					if spell == onwards && (behind.server == "git" || doing.name == "nothing changed") || trouble.harmless && spell != throughout || trouble.toxic != "" && spell == each {
						continue
					}
					all = append(all, weather{trouble, behind.server, behind.store, spell, doing})
				}
			}
		}
	}
	return all
}

const (
	// inTime is the --timeout of runs in bad weather.
	inTime = 20 * time.Second
	// bound is how long such a run may take all in all on a busy machine.
	bound = inTime + grace
	// forecast is how many cases a sample has.
	forecast = 24
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	shared.ready(t)
	all := cases()
	chosen := all
	if !soak {
		chosen = nil
		for i := range forecast {
			chosen = append(chosen, all[(2*i+1)*len(all)/(2*forecast)])
		}
	}
	var violations, waits atomic.Int64
	var mu sync.Mutex
	ends := map[spell]map[int]int{throughout: {}, briefly: {}, onwards: {}, each: {}}
	t.Run("weather", func(t *testing.T) {
		for _, c := range chosen {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				doing := *c.doing
				doing.wired = true
				err := shared.within(t.Context(), &doing, c.store, func(ctx context.Context, w *world) error {
					o, err := w.weather(ctx, c, &waits)
					mu.Lock()
					defer mu.Unlock()
					ends[c.spell][o.exit]++
					return err
				})
				if err != nil {
					violations.Add(1)
					t.Error(err)
				}
			})
		}
	})
	for _, spell := range spells {
		var codes []string
		for _, code := range slices.Sorted(maps.Keys(ends[spell])) {
			codes = append(codes, fmt.Sprintf("%d × exit %d", ends[spell][code], code))
		}
		t.Logf("trouble %s: %s", spell, strings.Join(codes, ", "))
	}
	t.Logf("counts: network: %d of %d cases (trouble × server × time × work), %d waits that Retry-After asked for, %d violations",
		len(chosen), len(all), waits.Load(), violations.Load())
}

// weather does a run in bad weather, and clean ones when it is over.
func (w *world) weather(ctx context.Context, c weather, waits *atomic.Int64) (outcome, error) {
	run, err := w.through(c)
	if err != nil {
		return outcome{}, err
	}
	o, err := run.outcome()
	if err != nil {
		return o, err
	}
	complaint := func(format string, args ...any) error {
		return fmt.Errorf("%s\n%s\n%s", fmt.Sprintf(format, args...), o.said, w.journal.text(run.number))
	}
	if run.took > bound {
		return o, complaint("the run took %s, with a timeout of %s", run.took, inTime)
	}
	if allowed := c.allowed(); !slices.Contains(allowed, o.exit) {
		return o, complaint("exit code %d, not one of %v", o.exit, allowed)
	}
	if c.server == "cluster" && c.asks > 0 {
		n, err := w.waited(run.number, c.asks)
		waits.Add(int64(n))
		if err != nil {
			return o, complaint("%v", err)
		}
	}
	if err := run.keep(); err != nil {
		return o, err
	}
	if err := w.invariants(ctx); err != nil {
		return o, complaint("after the trouble: %v", err)
	}
	if err := w.recovers(ctx, nil); err != nil {
		return o, complaint("%v", err)
	}
	return o, nil
}

// through does a run in bad weather, to its end.
func (w *world) through(c weather) (*process, error) {
	bad := w.wires[c.server]
	over := func() { w.breaks(nil); bad.heal() }
	defer over()
	if c.toxic != "" && c.spell == throughout {
		if err := bad.poison(c.toxic); err != nil {
			return nil, err
		}
	}
	w.breaks(c.breaking(bad))
	run, err := w.start(user, "sync", "--config", w.config(user), "--lease-ttl", c.lease(), "--timeout", inTime.String(), "--output", "json")
	if err != nil {
		return nil, err
	}
	select {
	case <-run.ended:
		over() // so that what it had sent comes through, and can be read
	case <-time.After(patience):
	}
	return run, run.wait()
}

// breaking gives what happens to each request.
func (c weather) breaking(bad *wire) func(*passage) servers.Fault {
	var begun atomic.Bool
	var broken atomic.Int64
	return func(p *passage) servers.Fault {
		if p.Server != c.server || !c.begins(p, &begun) {
			return servers.Fault{}
		}
		n := broken.Add(1)
		switch {
		case c.toxic == "" && c.spell == briefly && n > 2, c.spell == each && p.K > 1:
			return servers.Fault{}
		case c.toxic == "":
			return c.fault()
		case n == 1 && c.spell != throughout:
			_ = bad.poison(c.toxic) // the wire says no only to what it does not know, which the sample would show
			if c.spell == briefly {
				time.AfterFunc(time.Second, bad.heal)
			}
		}
		return servers.Fault{}
	}
}

// begins says whether there is trouble with this request.
func (c weather) begins(p *passage, begun *atomic.Bool) bool {
	if c.spell == throughout || c.spell == each {
		return true
	}
	writes := p.Effect && !p.Lease && !strings.HasPrefix(p.Path, "probe/")
	if writes || p.Server == "git" || c.doing.name == "nothing changed" {
		begun.Store(true)
	}
	return begun.Load()
}

// lease is that of the run, short, since whoever comes after one that lost touch must wait for its end.
func (c weather) lease() string {
	if c.store == "gcs" {
		return "10s"
	}
	return "6s"
}

// allowed gives the exit codes that may come of it: that something does not answer, or not in time; or that something was
// not done.
func (c weather) allowed() []int {
	switch {
	case c.harmless:
		return []int{0}
	case c.spell == throughout:
		return []int{15, 16}
	}
	return []int{0, 11, leaseLost, 15, 16}
}

// waited checks that no request was repeated earlier than the server had asked for.
func (w *world) waited(process int, asked time.Duration) (waits int, err error) {
	last := map[string]*passage{}
	for _, p := range w.journal.of(process) {
		if p.Server != "cluster" {
			continue
		}
		before := last[p.Name]
		if before != nil && before.Status == 0 {
			waits++
			if gap := p.At.Sub(before.At); gap < asked {
				err = errors.Join(err, fmt.Errorf("%s came again after %s, not the %s that the server asked for", p, gap, asked))
			}
		}
		last[p.Name] = p
	}
	return waits, err
}
