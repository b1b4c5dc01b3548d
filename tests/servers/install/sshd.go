package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

const (
	sshd       = "/usr/sbin/sshd"
	policyFile = "/usr/sbin/policy-rc.d"
)

// installSSHD puts the distribution's sshd on the machine, without starting it now or at the next boot. It changes the
// system only as root; others are told the command.
func installSSHD() error {
	if isThere(sshd) {
		return nil
	}
	const update = "apt-get update"
	const get = "apt-get install -y --no-install-recommends openssh-server"
	if os.Geteuid() != 0 || !isThere("/usr/bin/apt-get") {
		return fmt.Errorf("no %s on this machine; install it as root, as on Debian: %s && %s", sshd, update, get)
	}
	fmt.Fprintln(os.Stderr, "ssh: installing Debian's openssh-server, not started")
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
		// Only links are removed; a machine without a running systemd has nothing more to say to this.
		_ = exec.Command(systemctl, "disable", "ssh.service").Run()
	}
	return restore()
}

// denyServices makes packages leave their services stopped while they are installed (Debian policy, invoke-rc.d).
func denyServices() (restore func() error, err error) {
	file, err := os.OpenFile(policyFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() error { return nil }, nil // The machine has a policy of its own.
	}
	if err != nil {
		return nil, err
	}
	restore = func() error { return os.Remove(policyFile) }
	if _, err := file.WriteString("#!/bin/sh\nexit 101\n"); err != nil {
		return nil, errors.Join(err, file.Close(), restore())
	}
	return restore, file.Close()
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
