package faults_test

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// passage is one request of Tidemark on its way to a server, and what came of it.
type passage struct {
	// Process counts the processes of the world, from 1; 0 is one of several that run at once. Server is cluster, store or git.
	Process int
	Server  string
	// Name says what is asked, in words that are the same in each world; K counts the requests of the process with that
	// server and name, from 1.
	Name string
	K    int
	// Effect: it may change what lies in the cluster or the store.
	Effect bool
	// Lease: it is about a Lease of the cluster, which is of no app.
	Lease  bool
	Method string
	Path   string
	Type   string
	// Sent is what the client sent, whole once there is a Status; kept of effects only.
	Sent bytes.Buffer
	// Status is the server's answer, 0 while there is none, or when the server never heard of it.
	Status int
	// Came and Answered are when, in the order of the world's events, from 1; 0: never.
	Came, Answered int
	At             time.Time // when it came, on the clock
	// Belated: it was kept until its process was dead.
	Belated bool
}

func (p *passage) String() string {
	return fmt.Sprintf("%s %s #%d → %d", p.Server, p.Name, p.K, p.Status)
}

// journal has every request of a world. It is safe for concurrent use.
type journal struct {
	world string // its name, which stands as W in the names of requests
	store *store
	// tokens tells by the Authorization header which user's process speaks with the cluster.
	tokens map[string]string

	mu      sync.Mutex
	events  int
	process int            // the newest
	as      map[string]int // the newest of each user
	all     []*passage
}

// Words in requests that are another in each run.
var (
	runID = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}`)
	hexes = regexp.MustCompile(`[0-9a-f]{8,}`)
)

// begin says that the next process speaks from now on for a user. When a second user speaks, only what is asked of the
// cluster can be told apart.
func (j *journal) begin(user string) (process int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.process++
	j.as[user] = j.process
	return j.process
}

// arrive notes a request.
func (j *journal) arrive(server string, r *http.Request) *passage {
	p := &passage{Server: server, Method: r.Method, Path: r.URL.Path, Type: r.Header.Get("Content-Type"), At: time.Now()}
	switch server {
	case "store":
		name, write := j.store.object(r)
		p.Path, p.Effect = strings.TrimPrefix(name, j.world+"/"), write || r.Method == http.MethodDelete
		p.Name = "get " + p.Path
		if write {
			p.Name = "put " + p.Path
		} else if r.Method == http.MethodDelete {
			p.Name = "delete " + p.Path
		}
	case "cluster":
		dry := r.URL.Query().Has("dryRun")
		p.Effect, p.Lease = r.Method != http.MethodGet && !dry, strings.Contains(p.Path, "/leases")
		p.Name = r.Method + " " + p.Path
		if dry {
			p.Name += " dry"
		}
	default:
		p.Name = r.Method + " " + p.Path
	}
	p.Name = strings.ReplaceAll(p.Name, j.world, "W")
	p.Name = hexes.ReplaceAllString(runID.ReplaceAllString(p.Name, "RUN"), "HEX")

	j.mu.Lock()
	defer j.mu.Unlock()
	j.events++
	p.Came, p.K = j.events, 1
	switch {
	case server == "cluster":
		p.Process = j.as[j.tokens[r.Header.Get("Authorization")]]
	case len(j.as) == 1:
		p.Process = j.process
	}
	for _, other := range j.all {
		if other.Process == p.Process && other.Server == p.Server && other.Name == p.Name {
			p.K++
		}
	}
	j.all = append(j.all, p)
	return p
}

// answer notes that the server answered.
func (j *journal) answer(p *passage, status int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events++
	p.Status, p.Answered = status, j.events
}

// of gives the requests of a process, in the order in which they came.
func (j *journal) of(process int) []*passage {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []*passage
	for _, p := range j.all {
		if p.Process == process {
			found = append(found, p)
		}
	}
	return found
}

// whole gives all requests.
func (j *journal) whole() []*passage {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.all)
}

// text gives the requests of a process for people.
func (j *journal) text(process int) string {
	var b strings.Builder
	for _, p := range j.of(process) {
		fmt.Fprintf(&b, "  %s\n", p)
	}
	return b.String()
}

// now gives how many events there were so far.
func (j *journal) now() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events
}

// pending says whether a request is with the server.
func (j *journal) pending(p *passage) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return p.Answered == 0
}
