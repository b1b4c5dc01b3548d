package servers

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"tidemark.dev/tidemark/tests/servers/assets"
)

// RealNodeOptions says whose node it is.
type RealNodeOptions struct {
	// Cluster is a control plane with a controller manager, which must outlive the node.
	Cluster *ControlPlane
	// Images are docker archives that the node is given, since it pulls none.
	Images []string
}

// RealNode is a node of this machine, called NodeName: kubelet, Debian's containerd and runc. It wants root. An admission
// policy puts every Pod on it. Pods live in the machine's network (hostNetwork), for the API server listens on the
// loopback address only; what reaches it there is in the environment that PodEnvironment gives.
type RealNode struct {
	// Logs holds the logs of containers: NAMESPACE_POD_UID/CONTAINER/0.log.
	Logs string

	cluster    *ControlPlane
	socket     string
	containerd *process
	kubelet    *process
}

// StartRealNode answers when the node is ready. A program that is not there is an *assets.MissingError.
func StartRealNode(ctx context.Context, dir string, options RealNodeOptions) (_ *RealNode, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("only root can run a kubelet")
	}
	bundle, err := assets.Kubelet()
	if err != nil {
		return nil, err
	}
	program, err := bundle.Path("kubelet")
	if err != nil {
		return nil, err
	}
	n := &RealNode{Logs: filepath.Join(dir, "pods"), cluster: options.Cluster, socket: filepath.Join(dir, "c.sock")}
	defer func() {
		if err != nil {
			_ = n.Stop()
		}
	}()
	pause, err := pauseImage(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := n.startContainerd(ctx, dir, append([]string{pause}, options.Images...)); err != nil {
		return nil, err
	}
	if err := applyAll(ctx, n.cluster, schedule); err != nil {
		return nil, err
	}
	return n, n.startKubelet(ctx, dir, program)
}

// PodEnvironment tells a Pod in the machine's network where the API server is.
func (n *RealNode) PodEnvironment() map[string]string {
	host, port, _ := strings.Cut(strings.TrimPrefix(n.cluster.URL, "https://"), ":")
	return map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
}

// Processes gives the processes of the containers that run.
func (n *RealNode) Processes(ctx context.Context) ([]int, error) {
	out, err := n.ctr(ctx, "task", "ls")
	if err != nil {
		return nil, err
	}
	var pids []int
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if pid, err := strconv.Atoi(fields[min(1, len(fields)-1)]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Stop ends the kubelet, every container and containerd.
func (n *RealNode) Stop() error {
	errs := []error{n.kubelet.Kill()}
	ctx := context.Background()
	if out, err := n.ctr(ctx, "task", "ls", "-q"); err == nil {
		for task := range strings.FieldsSeq(out) {
			_, err := n.ctr(ctx, "task", "rm", "-f", task)
			errs = append(errs, err)
		}
	}
	errs = append(errs, n.containerd.Stop())
	// What the kubelet mounted would outlive it.
	if mounts, err := os.ReadFile("/proc/self/mounts"); err == nil {
		root := filepath.Dir(n.socket)
		for line := range strings.Lines(string(mounts)) {
			if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], root+"/") {
				_ = exec.Command("umount", "-l", fields[1]).Run()
			}
		}
	}
	return errors.Join(errs...)
}

func (n *RealNode) ctr(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "ctr", append([]string{"--address", n.socket, "--namespace", "k8s.io"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ctr %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out), nil
}

const containerdConfig = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "tidemark.test/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$DIR/cni"
`

func (n *RealNode) startContainerd(ctx context.Context, dir string, images []string) error {
	program, err := exec.LookPath("containerd")
	if err != nil {
		return &assets.MissingError{Programs: []string{"containerd"}, Dir: "PATH", Hint: "install it with: go run ./tests/servers/install kubelet"}
	}
	config := filepath.Join(dir, "containerd.toml")
	if err := errors.Join(
		os.WriteFile(config, []byte(strings.ReplaceAll(containerdConfig, "$DIR", dir)), 0o600),
		os.Mkdir(filepath.Join(dir, "cni"), 0o755),
		// The node is ready only where there is a network, even if no Pod uses it.
		os.WriteFile(filepath.Join(dir, "cni", "10-loopback.conflist"), []byte(`{"cniVersion":"1.0.0","name":"loopback","plugins":[{"type":"loopback"}]}`), 0o600),
	); err != nil {
		return err
	}
	n.containerd, err = startProcess(ctx, dir, "containerd", nil, []string{
		program, "--config", config, "--root", filepath.Join(dir, "containerd"), "--state", filepath.Join(dir, "run"), "--address", n.socket,
	}, func(ctx context.Context) error {
		_, err := n.ctr(ctx, "version")
		return err
	})
	if err != nil {
		return err
	}
	for _, image := range images {
		if _, err := n.ctr(ctx, "image", "import", "--snapshotter", "native", image); err != nil {
			return err
		}
	}
	return nil
}

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /
containerRuntimeEndpoint: unix://$DIR/c.sock
localStorageCapacityIsolation: false
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
failSwapOn: false
resolvConf: ""
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "1Mi", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
address: 127.0.0.1
port: $PORT
healthzPort: 0
tlsCertFile: $TLS/tls.crt
tlsPrivateKeyFile: $TLS/tls.key
podLogsDir: $DIR/pods
volumePluginDir: $DIR/volumeplugins
`

func (n *RealNode) startKubelet(ctx context.Context, dir, program string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	text := strings.NewReplacer("$DIR", dir, "$PORT", strconv.Itoa(port), "$TLS", n.cluster.Dir).Replace(kubeletConfig)
	config, kubeconfig := filepath.Join(dir, "kubelet.yaml"), filepath.Join(dir, "kubelet.kubeconfig")
	if err := errors.Join(os.WriteFile(config, []byte(text), 0o600), n.cluster.Kubeconfig(kubeconfig, Admin)); err != nil {
		return err
	}
	n.kubelet, err = startProcess(ctx, dir, "kubelet", nil, []string{
		program, "--config=" + config, "--kubeconfig=" + kubeconfig, "--hostname-override=" + NodeName,
		"--root-dir=" + filepath.Join(dir, "kubelet"), "--cert-dir=" + filepath.Join(dir, "pki"),
	}, func(ctx context.Context) error {
		return errors.Join(isReady(ctx, n.cluster), isScheduled(ctx, n.cluster))
	})
	return err
}

// pauseProgram holds a Pod's namespaces and reaps what is orphaned there.
const pauseProgram = `package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
`

// pauseImage makes a docker archive of the image that every Pod needs.
func pauseImage(ctx context.Context, dir string) (string, error) {
	source, program := filepath.Join(dir, "pause.go"), filepath.Join(dir, "pause")
	if err := os.WriteFile(source, []byte(pauseProgram), 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GO111MODULE=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build pause: %w\n%s", err, out)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	layer, err := archive(entry{"pause", 0o755, content})
	if err != nil {
		return "", err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": []string{"/pause"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		return "", err
	}
	image, err := archive(
		entry{"config.json", 0o644, config}, entry{"layer.tar", 0o644, layer},
		entry{"manifest.json", 0o644, []byte(`[{"Config":"config.json","RepoTags":["tidemark.test/pause:1"],"Layers":["layer.tar"]}]`)},
	)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "pause.tar")
	return path, os.WriteFile(path, image, 0o600)
}

type entry struct {
	name    string
	mode    int64
	content []byte
}

func archive(entries ...entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: tar.TypeReg}); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}
