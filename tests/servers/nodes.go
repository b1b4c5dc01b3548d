package servers

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tidemark.dev/tidemark/tests/servers/assets"
)

// NodeName is the one node that Nodes plays.
const NodeName = "pier"

// NodesOptions says whose nodes they are.
type NodesOptions struct {
	// Cluster is a control plane with a controller manager, which must outlive the nodes.
	Cluster *ControlPlane
}

// Nodes is a node that is not there: kwok plays its kubelet, and an admission policy puts every Pod on it, for no scheduler
// runs. What becomes of a Pod says the tag of its containers' images:
//
//	shop:broken   it crashes again and again, and says "cannot open the shop: no key" in its log; a Job's fails
//	shop:stuck    it never starts: its image cannot be pulled
//	shop:slow     it is ready after about three seconds; a Job's succeeds then
//	anything else it is ready at once; a Job's succeeds
type Nodes struct{ kwok *process }

var (
	//go:embed stages.yaml
	stages string
	//go:embed schedule.yaml
	schedule string
)

// BrokenLog is what the containers of broken Pods say.
const BrokenLog = "cannot open the shop: no key\n"

// StartNodes answers when Pods are put on the node and it is ready. A program that is not there is an
// *assets.MissingError.
func StartNodes(ctx context.Context, dir string, options NodesOptions) (_ *Nodes, err error) {
	bundle, err := assets.Nodes()
	if err != nil {
		return nil, err
	}
	program, err := bundle.Path("kwok")
	if err != nil {
		return nil, err
	}
	cluster := options.Cluster
	kubeconfig, config, logFile := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "stages.yaml"), filepath.Join(dir, "broken.log")
	stages := strings.ReplaceAll(stages, "$LOG", logFile)
	if err := errors.Join(
		cluster.Kubeconfig(kubeconfig, Admin),
		os.WriteFile(config, []byte(stages), 0o600),
		// As a container runtime writes it.
		os.WriteFile(logFile, []byte("2026-01-01T00:00:00.000000000Z stderr F "+BrokenLog), 0o600),
		applyAll(ctx, cluster, schedule),
	); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	ready := func(ctx context.Context) error {
		if err := cluster.answers(ctx, "/api/v1/nodes/"+NodeName); err != nil {
			return err
		}
		return errors.Join(isReady(ctx, cluster), isScheduled(ctx, cluster))
	}
	// Its workers fill one map of types at once, now and then, which ends it; one at a time they hardly do.
	oneByOne := []string{"GOMAXPROCS=1"}
	kwok, err := startProcess(ctx, dir, "kwok", oneByOne, []string{
		program, "--kubeconfig=" + kubeconfig, "--config=" + config, "--manage-all-nodes",
		"--node-ip=127.0.0.1", "--node-port=" + strconv.Itoa(port), "--server-address=127.0.0.1:" + strconv.Itoa(port),
		"--tls-cert-file=" + cluster.file("tls.crt"), "--tls-private-key-file=" + cluster.file("tls.key"),
	}, ready)
	return &Nodes{kwok: kwok}, err
}

// Stop ends the kubelet; the node stays, and is not ready after a while.
func (n *Nodes) Stop() error { return n.kwok.Kill() }

func isReady(ctx context.Context, cluster *ControlPlane) error {
	answer, err := cluster.Get(ctx, "/api/v1/nodes/"+NodeName)
	if err != nil {
		return err
	}
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if err := json.Unmarshal(answer, &node); err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			return nil
		}
	}
	return errors.New("the node is not ready")
}

// isScheduled asks without making one where a Pod would go: a policy takes a moment to be in force.
func isScheduled(ctx context.Context, cluster *ControlPlane) error {
	const pod = `{"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "probe", "image": "probe"}]}}`
	status, answer, err := cluster.Do(ctx, http.MethodPost, "/api/v1/namespaces/default/pods?dryRun=All", "", []byte(pod))
	if err != nil || status != http.StatusCreated || !strings.Contains(string(answer), `"nodeName":"`+NodeName+`"`) {
		return fmt.Errorf("a Pod is not put on the node: %d %s %w", status, answer, err)
	}
	return nil
}

// applyAll applies documents that begin with a comment which is their REST path.
func applyAll(ctx context.Context, cluster *ControlPlane, documents string) error {
	for document := range strings.SplitSeq(documents, "\n---\n") {
		path, object, _ := strings.Cut(strings.TrimPrefix(document, "# "), "\n")
		if _, err := cluster.Apply(ctx, path, UserAgent, []byte(object)); err != nil {
			return err
		}
	}
	return nil
}
