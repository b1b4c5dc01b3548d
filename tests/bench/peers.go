package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tidemark.dev/tidemark/tests/bench/workload"
)

// peers are other tools for the same work, with the options that make them do it without asking, and otherwise as they
// come. Those that are not there are left out.
func (b *bench) peers() []contestant {
	all := []struct {
		program string
		contestant
	}{
		{"kubectl", b.peer("kubectl apply --server-side", map[string]string{removed: noPrune}, func(_ *place, m workload.Mix) command {
			return command{argv: []string{b.programs["kubectl"], "apply", "--server-side", "--force-conflicts", "--recursive", "--filename", m.Dir}}
		})},
		{"kubectl", b.applySet()},
		{"kapp", b.peer("kapp deploy", nil, func(p *place, m workload.Mix) command {
			return command{argv: []string{b.programs["kapp"], "deploy", "--yes", "--wait=false", "--app=bench", "--namespace=default", "--file", m.Dir, "--kubeconfig", p.kubeconfig}}
		})},
		{"helm", b.chart()},
	}
	var there []contestant
	for _, c := range all {
		if b.programs[c.program] == "" {
			continue
		}
		there = append(there, c.contestant)
	}
	// Controllers would have to be installed and driven, not run: those are only told.
	for _, program := range []string{"flux", "kustomize-controller", "source-controller", "argocd", "argocd-application-controller"} {
		b.absent[program] = "not on PATH"
		if path, err := exec.LookPath(program); err == nil {
			b.absent[program] = "found at " + path + ", not measured"
		}
	}
	return there
}

func (b *bench) peer(name string, skips map[string]string, run func(*place, workload.Mix) command) contestant {
	return contestant{name: name, peer: true, skips: skips, enter: func(_ context.Context, p *place, m workload.Mix) (entered, error) {
		c := run(p, m)
		c.env = append(c.env, "KUBECONFIG="+p.kubeconfig)
		return entered{run: c}, nil
	}}
}

// parentDefinition and parent are what kubectl wants of a set whose objects lie in several namespaces: an object of a kind
// that is marked to be such a parent. kubectl makes neither.
const (
	parentDefinition = `{"metadata":{"name":"sets.bench.example.test","labels":{"applyset.kubernetes.io/is-parent-type":"true"}},
"spec":{"group":"bench.example.test","scope":"Cluster","names":{"plural":"sets","singular":"set","kind":"Set"},
"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}`
	parent = `{"apiVersion":"bench.example.test/v1","kind":"Set","metadata":{"name":"bench",
"annotations":{"applyset.kubernetes.io/tooling":"kubectl/v1.37","applyset.kubernetes.io/contains-group-kinds":""},"labels":{"applyset.kubernetes.io/id":"applyset-aDwN30Iv2vgMjY10GX4Eh_UW-pL-3rxB4GwIX_KA9GI-v1"}}}`
)

// applySet is kubectl with an ApplySet over all namespaces. It applies on the server: the other way it takes 108 s of
// processor time to find a thousand objects unchanged.
func (b *bench) applySet() contestant {
	return contestant{name: "kubectl apply --prune --applyset", peer: true, slow: true, enter: func(ctx context.Context, p *place, m workload.Mix) (entered, error) {
		if _, err := p.cluster.Create(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", []byte(parentDefinition)); err != nil {
			return entered{}, err
		}
		// The kind is served a moment later.
		for {
			_, err := p.cluster.Create(ctx, "/apis/bench.example.test/v1/sets", []byte(parent))
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return entered{}, err
			case <-time.After(100 * time.Millisecond):
			}
		}
		return entered{run: command{
			argv: []string{b.programs["kubectl"], "apply", "--server-side", "--force-conflicts", "--prune", "--applyset=sets.bench.example.test/bench", "--recursive", "--filename", m.Dir},
			env:  []string{"KUBECTL_APPLYSET=true", "KUBECONFIG=" + p.kubeconfig},
		}}, nil
	}}
}

// chart is helm with the mix as one chart.
func (b *bench) chart() contestant {
	return contestant{name: "helm upgrade --install", peer: true, slow: true, enter: func(_ context.Context, p *place, m workload.Mix) (entered, error) {
		dir := filepath.Join(p.dir, "chart")
		return entered{
			ready: func(context.Context) error {
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
				if err := copyTree(m.Dir, filepath.Join(dir, "templates")); err != nil {
					return fmt.Errorf("make a chart: %w", err)
				}
				return os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte("apiVersion: v2\nname: bench\nversion: 1.0.0\n"), 0o600)
			},
			run: command{
				argv: []string{b.programs["helm"], "upgrade", "--install", "bench", dir, "--namespace=default", "--server-side=true", "--force-conflicts"},
				env:  []string{"KUBECONFIG=" + p.kubeconfig},
			},
		}, nil
	}}
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
}
