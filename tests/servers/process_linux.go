package servers

import "syscall"

func dieWithParent() *syscall.SysProcAttr {
	// A group of its own, so that an interrupt at the terminal reaches the parent, which then stops its servers in order.
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
