package simulation

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"tidemark.dev/tidemark/render/object"
)

// network carries every effect that processes have on the world. Nothing takes
// effect but what the scheduler delivers; it alone touches what is behind the
// network, so that nothing there needs a lock.
type network struct {
	begun  time.Time
	choose policy
	// watch is told of messages when they are sent and when they have taken effect.
	watch watcher
	trace []line
	// delivering is the message that takes effect right now.
	delivering *message
	struck     int // faults so far

	mu      sync.Mutex // guards what follows, and the fields of processes and messages
	pending []*message
	open    int           // processes that have not ended
	wake    chan struct{} // something was sent, or a process ended
}

// policy picks what happens next.
type policy interface {
	// next picks among the messages that can be delivered, which are sorted; nil
	// lets time pass until there is another choice.
	next(ready []*message) *message
	// strike says what goes wrong with a message that was picked.
	strike(m *message) fault
}

type watcher interface {
	sent(m *message)
	done(m *message, err error)
}

// message is one effect on its way.
type message struct {
	from *process
	effect
	// act takes effect, and keeps the answer for the caller.
	act func() error
	// answered gives the caller the word.
	answered chan error

	sent  time.Time
	epoch uint64    // of the run, as far as it knew then
	seen  bool      // the scheduler has met it
	spent bool      // what goes wrong with it was decided
	gone  bool      // the caller does not wait any more
	due   time.Time // it is not delivered before
}

// effect says what a message is about.
type effect struct {
	// name tells effects of one process apart: "swap head.json".
	name string
	// data tells effects of one name apart, as racing writers have them.
	data []byte
	// writes: it changes something.
	writes bool
	// object is what a write to the cluster is about, else nil.
	object *request
	// unreachable is the error of a request that had no effect, unanswered that of
	// one whose answer is lost. cut gives the error when the caller's context ends.
	unreachable, unanswered error
	cut                     func(context.Context) error
}

func (m *message) String() string { return m.from.name + " " + m.name }

// fault is what goes wrong with one message.
type fault int

const (
	none        fault = iota
	killBefore        // the process dies, and what it had on its way is lost
	killAfter         // it takes effect, and then the process dies
	killLate          // the process dies, and what it had on its way arrives later
	errorBefore       // no connection: no effect
	answerLost        // it takes effect, and no answer comes
	delay             // it is late
	pauseMono         // the process stands still, and its clocks go on
	pauseStill        // the process stands still, and so does its monotonic clock
	pauseAfter        // it takes effect, and the answer finds the process standing still
	interrupt         // the process is told to end
	faults
)

func (f fault) String() string {
	return [...]string{"none", "kill-before", "kill-after", "kill-late", "error-before", "answer-lost", "delay", "pause", "pause-still", "pause-after", "signal"}[f]
}

// late is how much too late a delayed message is, and how long a pause lasts: the
// lease is over by then, and has been taken over.
const late = 3 * ttl

var errDead = errors.New("the process is dead")

// soon lets somebody who is no run do something to an object, after a while.
func (w *world) soon(wait time.Duration, name string, id object.ID, act func()) {
	w.mu.Lock()
	w.open++
	w.mu.Unlock()
	e := effect{name: name, writes: true, object: &request{id: id}}
	time.AfterFunc(wait, func() {
		w.post(&message{from: w.somebody, effect: e, spent: true, answered: make(chan error, 1), act: func() error {
			act()
			w.mu.Lock()
			defer w.mu.Unlock()
			w.open--
			return nil
		}})
	})
}

// send has an effect through the network. It gives the answer, or why there is
// none.
func send[T any](ctx context.Context, p *process, e effect, act func() (T, error)) (T, error) {
	var answer, nothing T
	if ctx.Err() != nil {
		return nothing, context.Cause(ctx)
	}
	m := &message{from: p, effect: e, answered: make(chan error, 1)}
	m.act = func() (err error) {
		answer, err = act()
		return err
	}
	if p.network.choose == nil { // nobody schedules: it happens at once
		if err := m.act(); err != nil {
			return nothing, err
		}
		return answer, nil
	}
	if !p.network.post(m) {
		return nothing, errDead
	}
	select {
	case err := <-m.answered:
		if err != nil {
			return nothing, err
		}
		return answer, nil
	case <-p.died:
		return nothing, errDead
	case <-ctx.Done():
		p.network.mu.Lock()
		m.gone = true
		p.network.mu.Unlock()
		return nothing, e.cut(ctx)
	}
}

// post takes a message, unless its process is dead.
func (n *network) post(m *message) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if m.from.dead {
		return false
	}
	m.sent = time.Now()
	n.pending = append(n.pending, m)
	n.poke()
	return true
}

// poke wakes the scheduler.
func (n *network) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// run delivers messages until all processes have ended and nothing is on its way.
func (n *network) run() {
	for {
		synctest.Wait()
		ready := n.ready()
		if len(ready) == 0 && n.idle() {
			return
		}
		n.step(ready)
	}
}

// step does what the policy picks: one message, or, where the order of reads does
// not matter, all reads up to the first that goes wrong.
func (n *network) step(ready []*message) {
	m := n.choose.next(ready)
	if m == nil {
		<-n.wake
		return
	}
	if m.alone() {
		n.deliver(m)
		return
	}
	for _, m := range ready {
		if !m.alone() && n.deliver(m) {
			return
		}
	}
}

// alone says whether the order of a message among others matters: a head tells a
// run that its lease is lost, which ends whatever else it is at.
func (m *message) alone() bool { return m.writes || m.name == "get "+headName }

// ready gives the messages that can be delivered, sorted by name: goroutines do
// not run in the same order each time.
func (n *network) ready() []*message {
	n.mu.Lock()
	now := time.Now()
	slices.SortStableFunc(n.pending, func(a, b *message) int {
		return cmp.Or(cmp.Compare(a.from.name, b.from.name), cmp.Compare(a.name, b.name), a.sent.Compare(b.sent), bytes.Compare(a.data, b.data))
	})
	var met, ready []*message
	for _, m := range n.pending {
		if !m.seen {
			m.seen = true
			met = append(met, m)
		}
		if !m.due.After(now) && !m.from.standing {
			ready = append(ready, m)
		}
	}
	n.mu.Unlock()
	for _, m := range met {
		n.watch.sent(m)
	}
	return ready
}

func (n *network) idle() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open == 0 && len(n.pending) == 0
}

// drop takes a message off the network.
func (n *network) drop(m *message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pending = slices.DeleteFunc(n.pending, func(other *message) bool { return other == m })
}

// deliver lets a message take effect, or go wrong, and says whether it went
// wrong.
func (n *network) deliver(m *message) (wrong bool) {
	what := none
	if !m.spent && !m.gone {
		m.spent = true
		what = n.choose.strike(m)
	}
	if what != none {
		n.note(line{m: m, text: what.String()})
		n.struck++
	}
	switch what {
	case none:
		m.answered <- n.take(m)
	case killAfter:
		n.take(m)
		m.from.kill(0)
	case answerLost:
		n.take(m)
		m.answered <- m.unanswered
	case pauseAfter:
		err := n.take(m)
		m.from.pause(late, false)
		// It is there before any timer of the process has run out.
		m.from.later(late-time.Millisecond, func() { m.answered <- err })
	case errorBefore:
		n.drop(m)
		m.answered <- m.unreachable
	case killBefore:
		m.from.kill(0)
	case killLate:
		m.from.kill(late)
	case delay:
		m.due = time.Now().Add(late)
		m.from.later(late, func() {})
	case pauseMono, pauseStill:
		m.from.pause(late, what == pauseStill)
	case interrupt:
		m.from.interrupt()
	case faults:
	}
	return what != none
}

// take lets a message take effect, and gives the answer.
func (n *network) take(m *message) error {
	n.drop(m)
	n.delivering = m
	err := m.act()
	n.note(line{m: m, err: err})
	n.watch.done(m, err)
	return err
}

// line is one line of the trace. It is written out only when somebody reads it.
type line struct {
	at   time.Duration
	text string
	m    *message
	err  error
}

func (l line) String() string {
	text := l.text
	if l.m != nil {
		text = l.m.String() + ": " + cmp.Or(text, said(l.err))
	}
	return fmt.Sprintf("%8.3f  %s", l.at.Seconds(), text)
}

// note adds a line to the trace.
func (n *network) note(l line) {
	l.at = time.Since(n.begun)
	n.trace = append(n.trace, l)
}

// told gives the trace.
func (n *network) told() string {
	var out strings.Builder
	for _, l := range n.trace {
		fmt.Fprintln(&out, l)
	}
	return out.String()
}

// said gives an answer for the trace.
func said(err error) string {
	if err == nil {
		return "ok"
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}
