package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"tidemark.dev/tidemark/tests/bench/workload"
	"tidemark.dev/tidemark/tests/servers"
)

// The scenarios, in the order in which one contestant goes through them at one place.
const (
	first     = "first apply"
	unchanged = "unchanged"
	changed   = "one changed"
	drifted   = "one drifted"
	removed   = "a tenth removed"
)

// contestant is a way to bring the mix to a cluster.
type contestant struct {
	name string
	// peer: it is somebody else's tool.
	peer bool
	// slow: with a thousand objects it takes ten seconds and more; again: it does all the work each time.
	slow, again bool
	// parts: what an unchanged run consists of is measured beside it.
	parts bool
	// skips are the scenarios that mean nothing to it, each with the reason.
	skips map[string]string
	// enter makes it ready at a place; ready is called then, and again whenever the files have changed.
	enter func(ctx context.Context, p *place, m workload.Mix) (entered, error)
}

// entered is a contestant at a place.
type entered struct {
	ready func(ctx context.Context) error
	run   command
	// read takes from what the program printed what it says of itself.
	read func(out []byte, s *Sample) error
}

const noPrune = "it does not prune"

// tidemark is the product; validate is "server" or "none".
func (b *bench) tidemark(name, validate string, skips map[string]string) contestant {
	return contestant{name: name, parts: validate == "server", skips: skips, enter: func(ctx context.Context, p *place, m workload.Mix) (entered, error) {
		repo, err := servers.NewRepo(ctx, m.Dir)
		if err != nil {
			return entered{}, err
		}
		var apps strings.Builder
		for _, namespace := range m.Namespaces {
			fmt.Fprintf(&apps, "- {name: %[1]s, source: {path: %[1]s}, namespace: %[1]s}\n", namespace)
		}
		config := filepath.Join(p.dir, "tidemark.yaml")
		if err := p.configure(config, "validate: "+validate, apps.String()); err != nil {
			return entered{}, err
		}
		return entered{
			ready: func(ctx context.Context) error {
				return p.publish(ctx, repo, servers.Serving{AnySHA1: true, Filter: true})
			},
			run:  b.sync(p, config),
			read: readRecord,
		}, nil
	}}
}

// configure writes a configuration for the place.
func (p *place) configure(file, defaults, apps string) error {
	query := url.Values{"endpoint": {p.store.URL}, "region": {p.store.Region}, "path-style": {"true"}}
	return os.WriteFile(file, fmt.Appendf(nil, `apiVersion: tidemark.dev/v1alpha1
state: %q
cluster: {kubeconfig: %q}
repositories:
- {name: own, url: %q, ref: {branch: main}}
defaults: {%s}
apps:
%s`, "s3://"+p.store.Bucket+"/ledger?"+query.Encode(), p.kubeconfig, p.git.URL+"/own.git", defaults, apps), 0o600)
}

// publish commits what lies in the repository's folder and lets the git server serve it.
func (p *place) publish(ctx context.Context, repo *servers.Repo, serving servers.Serving) error {
	if _, err := repo.Commit(ctx, nil, "the bench's edit"); err != nil {
		return err
	}
	return repo.Publish(ctx, filepath.Join(p.git.Root, "own.git"), serving)
}

// sync is tidemark sync with the configuration.
func (b *bench) sync(p *place, config string) command {
	return command{
		argv: []string{b.programs["tidemark"], "sync", "--config", config, "-o", "json"},
		env:  []string{"AWS_ACCESS_KEY_ID=" + p.store.AccessKey, "AWS_SECRET_ACCESS_KEY=" + p.store.SecretKey},
	}
}

func readRecord(out []byte, s *Sample) error {
	var record struct {
		Exit int
		Cost json.RawMessage
	}
	if err := json.Unmarshal(out, &record); err != nil {
		return fmt.Errorf("decode the record: %w", err)
	}
	if record.Exit != 0 {
		return fmt.Errorf("the record says exit %d", record.Exit)
	}
	s.Record = record.Cost
	return nil
}

// floor is the raw apply loop.
func (b *bench) floor(width string) contestant {
	return contestant{
		name: "floor, " + width + " wide", again: true, skips: map[string]string{removed: noPrune},
		enter: func(_ context.Context, p *place, m workload.Mix) (entered, error) {
			return entered{
				run: command{argv: []string{b.programs["floor"], "apply", m.Dir, width}, env: []string{"KUBECONFIG=" + p.kubeconfig}},
				read: func(out []byte, s *Sample) error {
					var answer struct{ Seconds float64 }
					err := json.Unmarshal(out, &answer)
					s.Inner = answer.Seconds
					return err
				},
			}, nil
		},
	}
}
