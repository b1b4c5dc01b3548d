// Command install builds the real servers that Tidemark's tests and demo run against, and shows how far it is:
//
//	go run ./tests/servers/install [apiserver] [controlplane] [s3] [gcs] [nodes] [ssh] [kubelet]
//
// With no argument it installs all of them but kubelet, which only make e2e needs; apiserver is the part of controlplane that takes less time. What is there already costs nothing, and two of these commands may run at
// the same time. Package assets says where the programs go; ssh is the system's own sshd, from the distribution's package.
package main

import (
	"fmt"
	"os"

	"tidemark.dev/tidemark/tests/servers/assets"
)

func main() {
	names := os.Args[1:]
	if len(names) == 0 {
		names = []string{"controlplane", "s3", "gcs", "nodes", "ssh"}
	}
	for _, name := range names {
		if err := install(name); err != nil {
			fmt.Fprintf(os.Stderr, "install %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

func install(name string) error {
	var find func() (assets.Bundle, error)
	switch name {
	case "apiserver":
		find = assets.APIServer
	case "controlplane":
		find = assets.ControlPlane
	case "s3":
		find = assets.S3
	case "gcs":
		find = assets.GCS
	case "nodes":
		find = assets.Nodes
	case "kubelet":
		if err := installContainerd(); err != nil {
			return err
		}
		find = assets.Kubelet
	case "ssh":
		return installSSHD()
	default:
		return fmt.Errorf("unknown; it is one of apiserver, controlplane, s3, gcs, nodes, ssh, kubelet")
	}
	bundle, err := find()
	if err != nil {
		return err
	}
	if bundle.Given {
		// The user's folder need only hold what nothing works without; who needs more says so.
		if bundle, err = assets.APIServer(); err != nil {
			return err
		}
	}
	return ensure(bundle)
}
