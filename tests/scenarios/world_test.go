package scenarios_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tidemark.dev/tidemark/tests/servers"
)

type worldKey struct{}

// world is what one scenario has to itself.
type world struct {
	*stage
	name, dir string
	repo      *servers.Repo
	// began marks in the audit log where the last run began.
	began int64
	uids  map[string]string
	proxy *servers.Proxy
	// refused is what the proxy answers itself; waiting is done once, before a request passes.
	refused, waiting atomic.Pointer[match]
}

// match is requests, and what is to be done when one comes.
type match struct {
	method, suffix string
	do             func() error
	err            error
}

func (m *match) fits(r *http.Request) bool {
	method := r.Method
	if r.URL.Query().Get("watch") != "" {
		method = "WATCH"
	}
	return m != nil && method == m.method && strings.HasSuffix(r.URL.Path, m.suffix) && r.URL.Query().Get("dryRun") == ""
}

func of(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func (w *world) leave() {
	if w.proxy != nil {
		if err := w.proxy.Stop(); err != nil {
			panic(err)
		}
	}
}

// expand puts the values of variables into all files.
func (w *world) expand(values *strings.Replacer) error {
	return filepath.WalkDir(w.dir, func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != w.dir && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case entry.IsDir():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(values.Replace(string(text))), 0o600)
	})
}

// interpose has the runs go to the cluster through a proxy.
func (w *world) interpose() error {
	if w.proxy != nil {
		return nil
	}
	var err error
	w.proxy, err = servers.StartProxy(context.Background(), "", servers.ProxyOptions{
		Target: w.cluster.URL, TargetCA: w.cluster.CACert,
		Fault: func(r *http.Request) servers.Fault {
			if w.refused.Load().fits(r) {
				return servers.Fault{Status: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}}, Body: forbidden}
			}
			if m := w.waiting.Load(); m.fits(r) && w.waiting.CompareAndSwap(m, nil) {
				m.err = m.do()
			}
			return servers.Fault{}
		},
	})
	if err != nil {
		return err
	}
	return w.cluster.KubeconfigVia(w.proxy, filepath.Join(w.dir, ".kubeconfig"), w.name)
}

const forbidden = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "not today"}`

// within is the time that anything but Tidemark itself may take.
func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

// poll waits until something holds; why says why it does not.
func poll(ts *testscript.TestScript, holds func() (ok bool, why string)) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ok, why := holds()
		switch {
		case ok:
			return
		case time.Now().After(deadline):
			ts.Fatalf("still so: %s", why)
		}
	}
}

func (w *world) makeNamespace(name string) error {
	ctx, cancel := within()
	defer cancel()
	_, err := w.cluster.Create(ctx, "/api/v1/namespaces", fmt.Appendf(nil, `{"metadata":{"name":%q}}`, name))
	return err
}

// path gives the REST path of KIND/NAME or KIND/NAMESPACE/NAME.
func (w *world) path(ref string) (string, error) {
	parts := strings.Split(ref, "/")
	if len(parts) == 2 {
		parts = []string{parts[0], w.name, parts[1]}
	}
	if len(parts) != 3 {
		return "", fmt.Errorf("%q is no object: write KIND/NAME or KIND/NAMESPACE/NAME", ref)
	}
	return servers.ObjectPath(parts[0], parts[1], parts[2])
}

// deed is something that a scenario does by another hand than Tidemark's.
func (w *world) deed(args []string) error {
	ctx, cancel := within()
	defer cancel()
	usage := fmt.Errorf("%s is nothing that can be done by hand", strings.Join(args, " "))
	if len(args) < 2 {
		return usage
	}
	switch name, args := args[0], args[1:]; {
	case name == "push" && len(args) == 1:
		if _, err := w.repo.CommitTree(ctx, filepath.Join(w.dir, "repo"), args[0]); err != nil {
			return err
		}
		return w.repo.Publish(ctx, filepath.Join(w.git.Root, w.name+".git"), servers.Serving{AnySHA1: true, Filter: true})
	case name == "namespace":
		for _, namespace := range args {
			if err := w.makeNamespace(namespace); err != nil {
				return err
			}
		}
		return nil
	case name == "apply" && len(args) == 2:
		return w.applyFile(ctx, args[0], args[1])
	case name == "patch" && len(args) == 2:
		path, err := w.path(args[0])
		if err != nil {
			return err
		}
		_, err = w.cluster.Patch(ctx, path, []byte(args[1]))
		return err
	case name == "delete" && len(args) == 1:
		path, err := w.path(args[0])
		if err != nil {
			return err
		}
		return w.cluster.Delete(ctx, path)
	}
	return usage
}

func (w *world) applyFile(ctx context.Context, manager, file string) error {
	text, err := os.ReadFile(filepath.Join(w.dir, file))
	if err != nil {
		return err
	}
	object, err := decode(text)
	if err != nil {
		return err
	}
	path, err := w.path(strings.ToLower(object.Kind) + "/" + object.Metadata.Name)
	if err != nil {
		return err
	}
	_, err = w.cluster.Apply(ctx, path, manager, text)
	return err
}
