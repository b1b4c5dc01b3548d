package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"tidemark.dev/tidemark/tests/servers"
)

// world is one ledger, with everything around it that no other test touches: namespaces W-a, W-b and W-c, a repository,
// and a proxy before each server. W, its name, stands in all names that no namespace keeps apart.
type world struct {
	name     string
	dir      string
	scenario *scenario
	store    *store
	journal  *journal
	history  *history
	cluster  *servers.ControlPlane
	proxies  map[string]*servers.Proxy
	canaries map[string][]byte // what must stay as it is, by path
	deletes  int               // the mark in the log of deletes at which it began

	// wires lead to the proxies, in scenarios that are wired.
	wires map[string]*wire
	// running counts the processes, belated the requests of dead ones that are still on their way.
	running, belated atomic.Int64
	// fault is what happens to the next requests; nil: nothing.
	fault atomic.Pointer[func(*passage) servers.Fault]
}

// enter makes a world for a scenario, as soon as there is room for one more. The repository stands at the first commit,
// and nothing was brought anywhere yet. The caller must leave it.
func (c *cast) enter(ctx context.Context, s *scenario, storeName string) (*world, error) {
	c.slots <- struct{}{}
	w, err := c.found(ctx, s, storeName)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a world: %w", err), w.leave())
	}
	return w, nil
}

func (c *cast) found(ctx context.Context, s *scenario, storeName string) (*world, error) {
	w := &world{name: fmt.Sprintf("w%03d", c.worlds.Add(1)), scenario: s, proxies: map[string]*servers.Proxy{}, wires: map[string]*wire{}, canaries: map[string][]byte{}}
	w.dir = filepath.Join(c.dir, w.name)
	err := os.Mkdir(w.dir, 0o700)
	if err != nil {
		return w, err
	}
	if w.store, err = c.store(storeName); err != nil {
		return w, err
	}
	w.journal = &journal{world: w.name, store: w.store, tokens: map[string]string{}, as: map[string]int{}}
	if w.cluster, err = c.cluster(); err != nil {
		return w, err
	}
	git, err := c.git()
	if err != nil {
		return w, err
	}
	trees := make([]tree, len(s.trees))
	for i, files := range s.trees {
		trees[i] = tree{}
		for path, text := range files {
			trees[i][path] = w.text(text)
		}
	}
	if w.history, err = newHistory(ctx, filepath.Join(git.Root, w.name+".git"), trees); err != nil {
		return w, err
	}
	targets := map[string]servers.ProxyOptions{
		"cluster": {Target: w.cluster.URL, TargetCA: w.cluster.CACert, Plain: true},
		"store":   w.store.target,
		"git":     {Target: git.URL},
	}
	for server, options := range targets {
		if options.Target == "" {
			continue
		}
		options.Fault = func(r *http.Request) servers.Fault { return w.pass(server, r) }
		if w.proxies[server], err = servers.StartProxy(ctx, "", options); err != nil {
			return w, err
		}
		if !s.wired {
			continue
		}
		if w.wires[server], err = newWire(strings.TrimPrefix(w.proxies[server].URL, "http://")); err != nil {
			return w, err
		}
	}
	if w.deletes, err = c.deletes.mark(); err != nil {
		return w, err
	}
	return w, errors.Join(w.configure(user), w.configure(rival), w.populate(ctx))
}

// leave stops the proxies and forgets ledger, files and objects, so that the servers do not grow slower from world to world.
// The namespaces stay: what would end them does not run.
func (w *world) leave() error {
	defer func() { <-shared.slots }()
	var errs []error
	if w.store != nil {
		errs = append(errs, w.store.clear(context.Background(), w.name))
	}
	if w.cluster != nil {
		errs = append(errs, w.depopulate(context.Background()))
	}
	if w.history != nil {
		errs = append(errs, os.RemoveAll(w.history.dir))
	}
	for _, wire := range w.wires {
		wire.stop()
	}
	for _, p := range w.proxies {
		errs = append(errs, p.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// text puts the world's name into a text.
func (w *world) text(text string) string { return strings.ReplaceAll(text, "$W", w.name) }

// address gives where Tidemark finds a server of the world; "" where no proxy leads.
func (w *world) address(server string) string {
	if wire := w.wires[server]; wire != nil {
		return "http://" + wire.proxy.Listen
	}
	if p := w.proxies[server]; p != nil {
		return p.URL
	}
	return ""
}

// configure writes the configuration of a user.
func (w *world) configure(as string) error {
	token, file := w.cluster.User(as).Token, filepath.Join(w.dir, "token-"+as)
	w.journal.tokens["Bearer "+token] = as
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return err
	}
	return os.WriteFile(w.config(as), []byte(w.text(fmt.Sprintf(`apiVersion: tidemark.dev/v1alpha1
state: %q
cluster: {server: %q, tokenFile: %q}
repositories:
- name: own
  url: %s/$W.git
  auth: {username: {value: %s}, password: {env: GIT_PASSWORD}}
%s`, w.store.url(w.address("store"), w.name), w.address("cluster"), file, w.address("git"), gitUser, w.scenario.apps))), 0o600)
}

// config is the configuration with which Tidemark goes to the cluster as the user.
func (w *world) config(as string) string { return filepath.Join(w.dir, "tidemark-"+as+".yaml") }

// pass notes a request and says what happens to it.
func (w *world) pass(server string, r *http.Request) servers.Fault {
	if r.URL.Path == sentinel {
		return servers.Fault{Status: http.StatusNoContent}
	}
	p := w.journal.arrive(server, r)
	var fault servers.Fault
	if plan := w.fault.Load(); plan != nil {
		fault = (*plan)(p)
	}
	if p.Effect {
		fault.Sent = &p.Sent
	}
	// What was sent to a store is known to be done or not, so that the history of the head has no gap.
	fault.Finish = fault.Finish || p.Effect && server == "store"
	tell := fault.Answered
	fault.Answered = func(status int) {
		w.journal.answer(p, status)
		if tell != nil {
			tell(status)
		}
	}
	return fault
}

// drain waits until the proxies have read all that dead processes had sent, so that it is not taken for somebody else's.
func (w *world) drain() error {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		open := 0
		for server, p := range w.proxies {
			// Connections are accepted in their order: once this one is, the others are counted.
			socket, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
			if err != nil {
				return err
			}
			fmt.Fprint(socket, "GET "+sentinel+" HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
			_, err = io.Copy(io.Discard, socket)
			if err := errors.Join(err, socket.Close()); err != nil {
				return fmt.Errorf("drain the proxy before the %s: %w", server, err)
			}
			open += p.Connections()
		}
		switch {
		case int64(open) <= w.belated.Load():
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d connections are left of processes that ended", open)
		}
	}
}

// sentinel is the path of a request of the tests' own.
const sentinel = "/sentinel"

// breaks sets what happens to the requests that come; nil: nothing.
func (w *world) breaks(fault func(*passage) servers.Fault) {
	if fault == nil {
		w.fault.Store(nil)
		return
	}
	w.fault.Store(&fault)
}

// populate makes the namespaces, and in them what is none of Tidemark's business.
func (w *world) populate(ctx context.Context) error {
	for _, suffix := range []string{"a", "b", "c"} {
		if _, err := w.cluster.Create(ctx, "/api/v1/namespaces", fmt.Appendf(nil, `{"metadata":{"name":"%s-%s"}}`, w.name, suffix)); err != nil {
			return err
		}
	}
	for _, canary := range []struct{ namespace, collection, object string }{
		{"a", "configmaps", `{"metadata":{"name":"bystander"},"data":{"is":"not yours"}}`},
		{"a", "secrets", `{"metadata":{"name":"bystander"},"stringData":{"is":"not yours"}}`},
		{"b", "configmaps", `{"metadata":{"name":"bystander"},"data":{"is":"not yours"}}`},
		// The names are those of an app's objects, the namespace is not.
		{"c", "configmaps", `{"metadata":{"name":"alpha"},"data":{"is":"not yours"}}`},
		{"c", "secrets", `{"metadata":{"name":"token"},"stringData":{"is":"not yours"}}`},
	} {
		if err := w.addCanary(ctx, canary.namespace, canary.collection, canary.object); err != nil {
			return err
		}
	}
	for _, name := range w.scenario.exist {
		object := fmt.Appendf(nil, `{"metadata":{"name":%q},"data":{"says":"nobody's"}}`, name)
		if _, err := w.cluster.Create(ctx, "/api/v1/namespaces/"+w.name+"-a/configmaps", object); err != nil {
			return err
		}
	}
	return nil
}

// depopulate deletes whatever lies in the world's namespaces, and the kinds that it defined.
func (w *world) depopulate(ctx context.Context) error {
	var errs []error
	for _, r := range resources {
		for _, path := range r.mine(w.name) {
			status, body, err := w.cluster.Do(ctx, http.MethodDelete, path, "", nil)
			if err == nil && status != http.StatusOK && status != http.StatusNotFound {
				err = &servers.StatusError{Request: "DELETE " + path, Status: status, Body: body}
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// addCopy makes an object that has the marks of one of ours, as controllers copy them, and is none of ours: its
// annotation names another.
func (w *world) addCopy(ctx context.Context) error {
	original, err := w.cluster.Get(ctx, "/api/v1/namespaces/"+w.name+"-a/configmaps/alpha")
	if err != nil {
		return err
	}
	var m meta
	if err := json.Unmarshal(original, &m); err != nil {
		return err
	}
	copied, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"name": "copy", "labels": m.Metadata.Labels, "annotations": m.Metadata.Annotations,
	}})
	if err != nil {
		return err
	}
	return w.addCanary(ctx, "a", "configmaps", string(copied))
}

// addCanary makes an object that must stay as it is.
func (w *world) addCanary(ctx context.Context, namespace, collection, object string) error {
	path := "/api/v1/namespaces/" + w.name + "-" + namespace + "/" + collection
	made, err := w.cluster.Create(ctx, path, []byte(object))
	if err != nil {
		return err
	}
	id, err := identify(made)
	if err != nil {
		return err
	}
	path += "/" + id.Name
	// Read, for an answer to a write is written otherwise.
	w.canaries[path], err = w.cluster.Get(ctx, path)
	return err
}
