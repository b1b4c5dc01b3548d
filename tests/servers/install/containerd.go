package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// installContainerd puts the distribution's container runtime on the machine, without starting it now or at the next boot.
func installContainerd() error {
	if isThere("/usr/bin/containerd") && isThere("/usr/sbin/runc") && isThere("/usr/lib/cni/loopback") {
		return nil
	}
	const update = "apt-get update"
	const get = "apt-get install -y --no-install-recommends containerd runc containernetworking-plugins"
	if os.Geteuid() != 0 || !isThere("/usr/bin/apt-get") {
		return fmt.Errorf("no container runtime on this machine; install it as root, as on Debian: %s && %s", update, get)
	}
	fmt.Fprintln(os.Stderr, "kubelet: installing Debian's containerd and runc, not started")
	restore, err := denyServices()
	if err != nil {
		return err
	}
	for _, line := range []string{update, get} {
		args := strings.Fields(line)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("%s: %w\n%s", line, err, out), restore())
		}
	}
	if systemctl, err := exec.LookPath("systemctl"); err == nil {
		_ = exec.Command(systemctl, "disable", "containerd.service").Run()
	}
	return restore()
}
