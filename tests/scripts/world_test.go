package scripts_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

type worldKey struct{}

// world is what one script has to itself.
type world struct {
	name, dir, tmp string
	// cluster and client are those that the script points at.
	cluster *servers.ControlPlane
	mark    int64
	repos   map[string]*servers.Repo
	stops   []servers.Stopper
	// said is everything that Tidemark wrote to stdout and stderr.
	said strings.Builder
	// stored gives what is in the state.
	stored     func(context.Context) (map[string][]byte, error)
	background map[string]*exec.Cmd
	held       atomic.Int64
	// lure is the host that a git server redirects to.
	lure *servers.GitHTTP
}

func of(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func (w *world) leave() {
	for _, s := range w.stops {
		if err := s.Stop(); err != nil {
			panic(err)
		}
	}
}

// within is the time that anything but Tidemark itself may take.
func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

// poll waits until something holds.
func poll(ts *testscript.TestScript, what string, holds func() bool) {
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			ts.Fatalf("still not so: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func want(ts *testscript.TestScript, args []string, least, most int, usage string) {
	if len(args) < least || most >= 0 && len(args) > most {
		ts.Fatalf("usage: %s", usage)
	}
}

// tidemark: ARGS...
func tidemark(ts *testscript.TestScript, args []string) { expect(ts, 0, args) }

// exit: CODE tidemark ARGS...
func exit(ts *testscript.TestScript, args []string) {
	code := 0
	if len(args) < 2 || args[1] != "tidemark" {
		ts.Fatalf("usage: exit CODE tidemark ARGS...")
	}
	if _, err := fmt.Sscan(args[0], &code); err != nil {
		ts.Fatalf("exit: %v", err)
	}
	expect(ts, code, args[2:])
}

func expect(ts *testscript.TestScript, code int, args []string) {
	path, err := binary.Path()
	ts.Check(err)
	err = ts.Exec(path, args...)
	got := 0
	var exited *exec.ExitError
	switch {
	case errors.As(err, &exited):
		got = exited.ExitCode()
	case err != nil:
		ts.Fatalf("run tidemark: %v", err)
	}
	hear(ts)
	if got != code {
		ts.Fatalf("tidemark exited with %d, not %d", got, code)
	}
}

// hear notes what Tidemark said last.
func hear(ts *testscript.TestScript) {
	said := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	of(ts).said.WriteString(said)
	if strings.Contains(said, "goroutine ") || strings.Contains(said, "panic:") {
		ts.Fatalf("tidemark panicked")
	}
}

// signal: NAME SIGNAL
func signal(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "signal NAME TERM|INT|KILL")
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}
	number, known := signals[args[1]]
	if !known {
		ts.Fatalf("signal: %s is none", args[1])
	}
	w := of(ts)
	running := ts.BackgroundCmds()
	if len(running) != 1 {
		ts.Fatalf("signal: %d programs run in the background, not one", len(running))
	}
	if w.background == nil {
		w.background = map[string]*exec.Cmd{}
	}
	w.background[args[0]] = running[0]
	ts.Check(running[0].Process.Signal(number))
}

// exited: NAME CODE
func exited(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "exited NAME CODE")
	cmd := of(ts).background[args[0]]
	if cmd == nil || cmd.ProcessState == nil {
		ts.Fatalf("exited: %s was not signalled and waited for", args[0])
	}
	hear(ts)
	if got := fmt.Sprint(cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("%s exited with %s, not %s", args[0], got, args[1])
	}
}

// cluster: [another] [NAMESPACE...]
func cluster(ts *testscript.TestScript, args []string) {
	w, start, user := of(ts), shared.cluster, of(ts).name
	if len(args) > 0 && args[0] == "another" {
		start, user, args = shared.another, servers.Admin, args[1:]
	}
	cp, err := start()
	ts.Check(err)
	w.cluster = cp
	file := filepath.Join(w.dir, ".kubeconfig-"+user)
	ts.Check(cp.Kubeconfig(file, user))
	ts.Setenv("TIDEMARK_KUBECONFIG", file)
	ca := filepath.Join(w.dir, ".cluster-ca.pem")
	ts.Check(os.WriteFile(ca, cp.CACert, 0o600))
	ts.Setenv("SERVER", cp.URL)
	ts.Setenv("SERVER_CA", ca)
	for _, namespace := range args {
		ts.Check(makeNamespace(cp.Client, namespace))
	}
}

func makeNamespace(c *servers.Client, name string) error {
	ctx, cancel := within()
	defer cancel()
	_, err := c.Create(ctx, "/api/v1/namespaces", fmt.Appendf(nil, `{"metadata":{"name":%q}}`, name))
	return err
}

// proxy: METHOD PATH | held
func proxy(ts *testscript.TestScript, args []string) {
	w := of(ts)
	if len(args) == 1 && args[0] == "held" {
		poll(ts, "the proxy holds a request", func() bool { return w.held.Load() > 0 })
		return
	}
	want(ts, args, 2, 2, "proxy METHOD PATH | held")
	method, path := regexp.MustCompile("^("+args[0]+")$"), regexp.MustCompile(args[1])
	w.held.Store(0)
	ctx, cancel := within()
	defer cancel()
	p, err := servers.StartProxy(ctx, "", servers.ProxyOptions{
		Target: w.cluster.URL, TargetCA: w.cluster.CACert,
		Fault: func(r *http.Request) servers.Fault {
			if !method.MatchString(r.Method) || !path.MatchString(r.URL.RequestURI()) || r.URL.Query().Get("dryRun") != "" {
				return servers.Fault{}
			}
			w.held.Add(1)
			return servers.Fault{Hold: make(chan struct{})}
		},
	})
	ts.Check(err)
	w.stops = append(w.stops, p)
	file := filepath.Join(w.dir, ".kubeconfig-proxy")
	ts.Check(w.cluster.KubeconfigVia(p, file, w.name))
	ts.Setenv("TIDEMARK_KUBECONFIG", file)
}

// unused: VARIABLE
func unused(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 1, "unused VARIABLE")
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	host, port, _ := strings.Cut(listener.Addr().String(), ":")
	ts.Setenv(args[0], host+":"+port)
	ts.Setenv(args[0]+"_HOST", "["+host+"]:"+port)
	ts.Check(listener.Close())
}

// state: file|s3|gcs [PREFIX]
func pointState(ts *testscript.TestScript, args []string) {
	want(ts, args, 1, 2, "state file|s3|gcs [PREFIX]")
	w := of(ts)
	prefix := "state"
	if len(args) == 2 {
		prefix = args[1]
	}
	switch args[0] {
	case "file":
		dir := filepath.Join(w.dir, prefix)
		ts.Setenv("TIDEMARK_STATE", "file://"+dir)
		w.stored = func(context.Context) (map[string][]byte, error) { return files(dir) }
	case "s3":
		s3, err := shared.s3()
		ts.Check(err)
		prefix = w.name + "/" + prefix
		query := url.Values{"endpoint": {s3.URL}, "region": {s3.Region}, "path-style": {"true"}}
		ts.Setenv("S3_STATE", "s3://"+s3.Bucket+"/"+prefix)
		ts.Setenv("S3_ENDPOINT", s3.URL)
		ts.Setenv("TIDEMARK_STATE", "s3://"+s3.Bucket+"/"+prefix+"?"+query.Encode())
		ts.Setenv("AWS_ACCESS_KEY_ID", s3.AccessKey)
		ts.Setenv("AWS_SECRET_ACCESS_KEY", s3.SecretKey)
		dir := filepath.Join(s3.Dir, prefix)
		w.stored = func(context.Context) (map[string][]byte, error) { return files(dir) }
	case "gcs":
		gcs, err := shared.gcs()
		ts.Check(err)
		prefix = w.name + "/" + prefix
		ts.Setenv("TIDEMARK_STATE", "gs://"+gcs.Bucket+"/"+prefix+"?"+url.Values{"endpoint": {gcs.URL}}.Encode())
		w.stored = func(ctx context.Context) (map[string][]byte, error) { return objects(ctx, gcs, prefix) }
	default:
		ts.Fatalf("state: %s is none", args[0])
	}
}

// files reads a folder whole; one that is not there is empty.
func files(dir string) (map[string][]byte, error) {
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		switch {
		case errors.Is(err, os.ErrNotExist) && path == dir:
			return filepath.SkipAll
		case err != nil:
			return err
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if name, within := strings.CutPrefix(path, dir+"/"); within {
			all[name] = data
		}
		return err
	})
	return all, err
}

// expand: FILE...
func expand(ts *testscript.TestScript, args []string) {
	for _, name := range args {
		file := ts.MkAbs(name)
		data, err := os.ReadFile(file)
		ts.Check(err)
		ts.Check(os.WriteFile(file, []byte(os.Expand(string(data), ts.Getenv)), 0o600))
	}
}

// replace: FILE OLD NEW
func replace(ts *testscript.TestScript, args []string) {
	want(ts, args, 3, 3, "replace FILE OLD NEW")
	before := ts.ReadFile(args[0])
	after := strings.ReplaceAll(before, args[1], args[2])
	if after == before {
		ts.Fatalf("%s does not hold %s", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(after), 0o600))
}
