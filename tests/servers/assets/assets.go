// Package assets knows where the programs lie that tests and the demo start: the Kubernetes control plane, the S3 and
// GCS servers. It finds them; the command tests/servers/install builds them.
//
// They lie outside the repository, one folder a Bundle, each named for what it was built from, so that folders of
// several checkouts live side by side and a changed source is a new folder:
//
//	$TIDEMARK_CACHE, else the user's cache folder + /tidemark
//	└── servers/
//	    ├── kubernetes-v1.37.2-linux-amd64-<hash of tests/controlplane>/   kube-apiserver, etcd, …
//	    ├── kubelet-v1.37.2-linux-amd64-<hash of tests/kubelet>/            kubelet
//	    ├── versitygw-v1.8.0-linux-amd64/                                   versitygw
//	    ├── fake-gcs-server-v1.56.1-linux-amd64/                            fake-gcs-server
//	    └── kwok-v0.8.0-linux-amd64/                                        kwok
package assets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// Bundle is a group of programs that are built and found together.
type Bundle struct {
	// Name is what the install command calls it.
	Name string
	// Version is the exact version of what it holds.
	Version string
	// Dir holds the programs.
	Dir string
	// Source is the folder of the module to build, or empty for one that Package names.
	Source string
	// Package is the Go package to install at Version.
	Package string
	// Programs are the file names in Dir.
	Programs []string
	// Given says that Dir is the user's own (KUBEBUILDER_ASSETS) and must not be built into.
	Given bool
}

// MissingError says that a program is not where it should be, and what to do about it.
type MissingError struct {
	Programs []string
	Dir      string
	Hint     string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s not found in %s: %s", strings.Join(e.Programs, ", "), e.Dir, e.Hint)
}

// Path is where the program lies; the error is a *MissingError when it is not there.
func (b Bundle) Path(program string) (string, error) {
	path := filepath.Join(b.Dir, program)
	if !isProgram(path) {
		return "", b.missing(program)
	}
	return path, nil
}

// Check answers nil when every program is there, else a *MissingError that names those that are not.
func (b Bundle) Check() error {
	if lost := b.Lost(); len(lost) > 0 {
		return b.missing(lost...)
	}
	return nil
}

// Lost names the programs that are not there.
func (b Bundle) Lost() []string {
	var lost []string
	for _, p := range b.Programs {
		if !isProgram(filepath.Join(b.Dir, p)) {
			lost = append(lost, p)
		}
	}
	return lost
}

func (b Bundle) missing(programs ...string) error {
	hint := "build it with: go run ./tests/servers/install " + b.Name
	if b.Given {
		hint = "this folder is named by KUBEBUILDER_ASSETS; put them there or unset the variable"
	}
	return &MissingError{Programs: programs, Dir: b.Dir, Hint: hint}
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// APIServer is kube-apiserver and etcd, the least that a cluster is. When KUBEBUILDER_ASSETS is set, they are looked for
// in that folder. Otherwise it must be called from inside the repository.
func APIServer() (Bundle, error) { return kubernetes("apiserver", "kube-apiserver", "etcd") }

// ControlPlane is what APIServer is, in the same folder, and kube-controller-manager and kubectl of the same version.
func ControlPlane() (Bundle, error) {
	return kubernetes("controlplane", "kube-apiserver", "etcd", "kube-controller-manager", "kubectl")
}

func kubernetes(name string, programs ...string) (Bundle, error) {
	b := Bundle{Name: name, Programs: programs}
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		b.Dir, b.Given, b.Version = dir, true, "from KUBEBUILDER_ASSETS"
		return b, nil
	}
	return source("kubernetes", "controlplane", b)
}

// Kubelet is the agent of a real node, of the control plane's version.
func Kubelet() (Bundle, error) {
	return source("kubelet", "kubelet", Bundle{Name: "kubelet", Programs: []string{"kubelet"}})
}

// source completes a bundle that is built from a module of tests.
func source(name, module string, b Bundle) (Bundle, error) {
	source, err := sourceOf(module)
	if err != nil {
		return Bundle{}, err
	}
	version, digest, err := identify(source)
	if err != nil {
		return Bundle{}, fmt.Errorf("read %s: %w", source, err)
	}
	dir, err := cacheDir(name, version, digest)
	if err != nil {
		return Bundle{}, err
	}
	b.Version, b.Dir, b.Source = version, dir, source
	return b, nil
}

// S3 is versitygw, an S3 server that honours conditional writes.
func S3() (Bundle, error) {
	return module("s3", "v1.8.0", "github.com/versity/versitygw/cmd/versitygw", "versitygw")
}

// GCS is fake-gcs-server, an emulator of Google's object storage.
func GCS() (Bundle, error) {
	return module("gcs", "v1.56.1", "github.com/fsouza/fake-gcs-server", "fake-gcs-server")
}

// Nodes is kwok, which plays the kubelets of nodes that are not there.
func Nodes() (Bundle, error) {
	return module("nodes", "v0.8.0", "sigs.k8s.io/kwok/cmd/kwok", "kwok")
}

func module(name, version, pkg, program string) (Bundle, error) {
	dir, err := cacheDir(program, version)
	return Bundle{
		Name: name, Version: version, Package: pkg, Dir: dir,
		Programs: []string{program},
	}, err
}

// Cache is the folder outside the repository that keeps what is built once: $TIDEMARK_CACHE, else tidemark in the
// user's cache folder.
func Cache() (string, error) {
	root := os.Getenv("TIDEMARK_CACHE")
	if root == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder (or set TIDEMARK_CACHE): %w", err)
		}
		root = filepath.Join(user, "tidemark")
	}
	return filepath.Abs(root)
}

func cacheDir(name, version string, more ...string) (string, error) {
	root, err := Cache()
	parts := append([]string{name, version, runtime.GOOS, runtime.GOARCH}, more...)
	return filepath.Join(root, "servers", strings.Join(parts, "-")), err
}

// sourceOf looks for a module of tests upwards from the working folder, which for a test is its package's.
func sourceOf(module string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		source := filepath.Join(dir, "tests", module)
		if _, err := os.Stat(filepath.Join(source, "go.mod")); err == nil {
			return source, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find tests/%s: not inside Tidemark's repository (or set KUBEBUILDER_ASSETS)", module)
		}
		dir = parent
	}
}

// identify reads the Kubernetes version and digests every file that decides what is built.
func identify(source string) (version, digest string, err error) {
	sum := sha256.New()
	err = filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		if filepath.Ext(name) != ".go" && name != "go.mod" && name != "go.sum" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.ToSlash(name), len(content))
		sum.Write(content)
		if name == "go.mod" {
			found := regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v\S+)`).FindSubmatch(content)
			if found == nil {
				return errors.New("go.mod names no version of k8s.io/kubernetes")
			}
			version = string(found[1])
		}
		return nil
	})
	return version, hex.EncodeToString(sum.Sum(nil))[:12], err
}
