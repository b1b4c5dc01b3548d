package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/tidemark/tests/servers"
)

// user is whom every contestant acts as: it may do everything, and nobody else is in the audit log.
const user = "bench"

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Metadata, users: [bench]}
- {level: None}
`

// place is what one contestant has to itself for one sequence of scenarios: a cluster that nobody has used, a bucket and
// a git server.
type place struct {
	dir        string
	cluster    *servers.ControlPlane
	store      *servers.S3 // its URL leads through watched
	watched    *watched
	git        *servers.GitHTTP
	kubeconfig string
	mark       int64
	replays    int
}

func (b *bench) newPlace(ctx context.Context, dir string) (_ *place, err error) {
	p := &place{dir: dir, kubeconfig: filepath.Join(dir, "kubeconfig")}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.leave())
		}
	}()
	for _, sub := range []string{"cluster", "store", "git", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	p.cluster, err = servers.StartControlPlane(ctx, filepath.Join(dir, "cluster"), servers.ControlPlaneOptions{
		Audit: true, Users: []servers.User{{Name: user, Groups: []string{"system:masters"}}},
		APIServerFlags: []string{"--audit-policy-file=" + policy},
	})
	if err != nil {
		return nil, err
	}
	if err := p.cluster.Kubeconfig(p.kubeconfig, user); err != nil {
		return nil, err
	}
	if p.store, err = servers.StartS3(ctx, filepath.Join(dir, "store"), servers.S3Options{}); err != nil {
		return nil, err
	}
	if p.watched, err = watch(ctx, p.store.URL); err != nil {
		return nil, err
	}
	p.store.URL = p.watched.url
	if p.git, err = servers.StartGitHTTP(ctx, filepath.Join(dir, "git"), servers.GitHTTPOptions{}); err != nil {
		return nil, err
	}
	if b.hasty {
		return p, nil
	}
	return p, p.calm(ctx)
}

func (p *place) leave() error {
	var errs []error
	if p.git != nil {
		errs = append(errs, p.git.Stop())
	}
	if p.watched != nil {
		errs = append(errs, p.watched.Stop())
	}
	if p.store != nil {
		errs = append(errs, p.store.Stop())
	}
	if p.cluster != nil {
		errs = append(errs, p.cluster.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}

// calm waits until the API server has nothing more to do: it begins to work long before it has finished starting.
func (p *place) calm(ctx context.Context) error {
	before, err := p.serverCPU()
	if err != nil {
		return err
	}
	for range 40 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(250 * time.Millisecond):
		}
		now, err := p.serverCPU()
		if err != nil {
			return err
		}
		if now-before <= 0.02 {
			return nil
		}
		before = now
	}
	return nil // A busy machine; the medians tell.
}

// serverCPU is the processor time that the API server took since it started, in seconds.
func (p *place) serverCPU() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cluster.APIServerPID()))
	if err != nil {
		return 0, fmt.Errorf("read the API server's time: %w", err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const user, system, ticksPerSecond = 11, 12, 100 // proc(5): fields 14 and 15, counted from 1 with the name.
	var ticks float64
	for _, i := range []int{user, system} {
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return ticks / ticksPerSecond, nil
}

// requests counts by verb what the contestants sent to the cluster since they were counted last; dry runs are counted
// by themselves.
func (p *place) requests() (map[string]int, error) {
	events, next, err := p.cluster.Audit(p.mark)
	if err != nil {
		return nil, err
	}
	p.mark = next
	counts := map[string]int{}
	for _, e := range events {
		verb := e.Verb
		at, err := url.Parse(e.RequestURI)
		if err != nil {
			return nil, err
		}
		switch {
		case at.Query().Get("dryRun") != "":
			verb = "dry run"
		case e.ObjectRef.Resource == "" && verb == "get":
			verb = "discovery"
		}
		counts[verb]++
	}
	return counts, nil
}

// gitBytes is what the git server has answered since it was asked last.
func (p *place) gitBytes() int64 {
	var n int64
	for _, r := range p.git.Requests.All() {
		n += r.Bytes
	}
	p.git.Requests.Reset()
	return n
}

// namespaces makes the namespaces; that is no contestant's work.
func (p *place) namespaces(ctx context.Context, names []string) error {
	for _, name := range names {
		body, err := json.Marshal(map[string]any{"metadata": map[string]any{"name": name}})
		if err != nil {
			return err
		}
		if _, err := p.cluster.Create(ctx, "/api/v1/namespaces", body); err != nil {
			return err
		}
	}
	return nil
}

// drift edits the object as a person with kubectl would.
func (p *place) drift(ctx context.Context, path string) error {
	_, err := p.cluster.Patch(ctx, path+"?fieldManager=kubectl-edit", []byte(`{"data":{"level":"by-hand"}}`))
	return err
}

// drifted says whether the edit is still there.
func (p *place) drifted(ctx context.Context, path string) (bool, error) {
	answer, err := p.cluster.Get(ctx, path)
	if err != nil {
		return false, err
	}
	var object struct{ Data map[string]string }
	err = json.Unmarshal(answer, &object)
	return object.Data["level"] == "by-hand", err
}
