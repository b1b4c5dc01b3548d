package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/tidemark/tests/servers"
)

// shop is the sample application.
//
//go:embed shop
var shop embed.FS

// story is one telling.
type story struct {
	*page
	tidemark string
	dir      string // everything is in here
	cluster  *servers.ControlPlane
	repo     *servers.Repo
	syncs    int // how many records there are
}

// tell goes through the steps in order, and no further than the first that does not come out as told.
func (s *story) tell(ctx context.Context) error {
	fmt.Fprintln(s.out, s.as(bold, "Tidemark, GitOps without a controller"))
	if os.Getenv("KUBECONFIG") != "" {
		s.say("KUBECONFIG is set; this story runs on a cluster of its own all the same.")
	}
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"A cluster, a repository, a place for the state", s.prepare},
		{"The first sync creates what the repository describes", s.first},
		{"A second one finds nothing to do", s.second},
		{"A commit changes one object and drops another", s.commit},
		{"Somebody changes the cluster by hand", s.drift},
		{"Every run left a record", s.audit},
	} {
		s.heading(step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("step %d, %q: %w", s.step, step.title, err)
		}
	}
	return nil
}

// variables are Tidemark's flags for the whole story.
func (s *story) variables() []string {
	return []string{
		"TIDEMARK_APP=shop",
		"TIDEMARK_REPO=" + filepath.Join(s.dir, "repo"),
		"TIDEMARK_PATH=shop",
		"TIDEMARK_STATE=file://" + filepath.Join(s.dir, "state"),
		"TIDEMARK_KUBECONFIG=" + filepath.Join(s.dir, "kubeconfig"),
	}
}

func (s *story) prepare(ctx context.Context) error {
	started := time.Now()
	data := filepath.Join(s.dir, "cluster")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	cluster, err := servers.StartControlPlane(ctx, data, servers.ControlPlaneOptions{})
	if err != nil {
		return err
	}
	s.cluster = cluster
	if err := cluster.Kubeconfig(filepath.Join(s.dir, "kubeconfig"), servers.Admin); err != nil {
		return err
	}
	s.say(fmt.Sprintf("A real kube-apiserver with its etcd is up after %.1f s. It has no nodes, so\nobjects are real and Pods do not run.", time.Since(started).Seconds()))

	if s.repo, err = servers.NewRepo(ctx, filepath.Join(s.dir, "repo")); err != nil {
		return err
	}
	files, err := sample()
	if err != nil {
		return err
	}
	if _, err := s.repo.Commit(ctx, files, "open the shop"); err != nil {
		return err
	}
	s.command("git -C repo show --stat --oneline")
	if err := s.git(ctx, "show", "--stat", "--oneline"); err != nil {
		return err
	}
	s.say("From here on these variables stand for the flags --app, --repo and so on:")
	for _, v := range s.variables() {
		s.command("export " + strings.Replace(v, s.dir, "$PWD", 1))
	}
	return nil
}

func (s *story) first(ctx context.Context) error {
	return s.sync(ctx, outcome{"changed", counts{Created: 5}})
}

func (s *story) second(ctx context.Context) error {
	if err := s.sync(ctx, outcome{"unchanged", counts{}}); err != nil {
		return err
	}
	r, err := s.record(ctx)
	if err != nil {
		return err
	}
	cost := r.Cost.KubernetesRequests
	for verb := range cost {
		if verb != "discover" && verb != "get" && verb != "list" {
			return fmt.Errorf("an unchanged run sent %q to the cluster: %v", verb, cost)
		}
	}
	s.say(fmt.Sprintf("No clone, no render, no write: %d LISTs, one per kind, and %d small reads.", cost["list"], cost["get"]+cost["discover"]))
	return nil
}

func (s *story) commit(ctx context.Context) error {
	files, err := sample()
	if err != nil {
		return err
	}
	if err := s.repo.Remove("shop/winter-sale.yaml"); err != nil {
		return err
	}
	_, err = s.repo.Commit(ctx, map[string]string{
		"shop/kustomization.yaml": strings.Replace(files["shop/kustomization.yaml"], "  - winter-sale.yaml\n", "", 1),
		"shop/storefront.yaml":    strings.Replace(files["shop/storefront.yaml"], "replicas: 2", "replicas: 3", 1),
	}, "a third replica, and the sale is over")
	if err != nil {
		return err
	}
	s.command("git -C repo show --stat --oneline")
	if err := s.git(ctx, "show", "--stat", "--oneline"); err != nil {
		return err
	}
	if err := s.shown(ctx, 0, "plan"); err != nil {
		return err
	}
	s.say("The plan is what sync does:")
	if err := s.sync(ctx, outcome{"changed", counts{Changed: 1, Pruned: 1}}); err != nil {
		return err
	}
	return s.gone(ctx, "/api/v1/namespaces/shop/configmaps/winter-sale")
}

const (
	deployment = "/apis/apps/v1/namespaces/shop/deployments/storefront"
	service    = "/api/v1/namespaces/shop/services/storefront"
)

func (s *story) drift(ctx context.Context) error {
	s.command("kubectl -n shop scale deployment storefront --replicas=9")
	if _, err := s.cluster.Patch(ctx, deployment+"?fieldManager=kubectl", []byte(`{"spec":{"replicas":9}}`)); err != nil {
		return err
	}
	s.command("kubectl -n shop delete service storefront")
	if err := s.cluster.Delete(ctx, service); err != nil {
		return err
	}
	s.say("(The same requests, sent without kubectl.) The revision stands still, and the\nnext run finds both:")
	if err := s.shown(ctx, 2, "plan", "--detailed-exitcode"); err != nil {
		return err
	}
	s.say("Exit code 2: there is something to do. It is put back:")
	if err := s.sync(ctx, outcome{"changed", counts{Created: 1, Changed: 1, Drifted: 2}}); err != nil {
		return err
	}
	live, err := s.cluster.Get(ctx, deployment)
	if err != nil {
		return err
	}
	if !strings.Contains(string(live), `"replicas":3`) {
		return fmt.Errorf("the Deployment was not put back: %s", live)
	}
	_, err = s.cluster.Get(ctx, service)
	return err
}

func (s *story) audit(ctx context.Context) error {
	if err := s.shown(ctx, 0, "history"); err != nil {
		return err
	}
	if err := s.shown(ctx, 0, "audit", "show", strconv.Itoa(s.syncs)); err != nil {
		return err
	}
	s.say("The records are chained by hash, so that a changed or missing one shows:")
	return s.shown(ctx, 0, "audit", "verify")
}

// end says what to do next.
func (s *story) end(took time.Duration) {
	fmt.Fprintf(s.out, "\n%s\n", s.as(bold, fmt.Sprintf("That was all, in %.0f s. Nothing is left running.", took.Seconds())))
	s.say("Three commands to try next, on your own things:")
	own := "--repo URL --path DIR"
	cluster := " \\\n    --state file://$HOME/tidemark-state --context CONTEXT"
	s.command("bin/tidemark plan --app NAME " + own + cluster)
	s.say("    shows what a sync would do, and writes nothing")
	s.command("make run REPO=URL APP_PATH=DIR STATE=file://$HOME/tidemark-state \\\n    KUBECONFIG=$HOME/.kube/config CONTEXT=CONTEXT")
	s.say("    does it, once")
	s.command("bin/tidemark history --state file://$HOME/tidemark-state")
	s.say("    lists what was done")
}

// stop ends what runs.
func (s *story) stop() error {
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Stop()
}

// gone wants the object not to be there.
func (s *story) gone(ctx context.Context, path string) error {
	status, answer, err := s.cluster.Do(ctx, "GET", path, "", nil)
	if err == nil && status != 404 {
		err = fmt.Errorf("%s is still there: %d %s", path, status, answer)
	}
	return err
}

// git shows what git prints.
func (s *story) git(ctx context.Context, args ...string) error {
	text, err := s.repo.Git(ctx, args...)
	if err == nil {
		fmt.Fprintln(s.out, text)
	}
	return err
}

// sample is the application's files, by their path in the repository.
func sample() (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(shop, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := shop.ReadFile(path)
		files[path] = string(content)
		return err
	})
	return files, err
}
