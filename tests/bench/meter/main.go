// Command meter runs a program and writes what it took to a file, as JSON:
//
//	meter FILE PROGRAM ARGS...
//
// It exists because it is small: what the kernel tells of a program's peak memory begins with that of the process which
// started it, and the bench itself is large.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Reading is what one run of a program took.
type Reading struct {
	Exit    int     `json:"exit"`
	Seconds float64 `json:"seconds"`
	// CPU is that of the program and all its children, in seconds.
	CPU float64 `json:"cpu"`
	// PeakKiB is the resident memory at its highest.
	PeakKiB int64 `json:"peakKiB"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("meter wants a file and a command")
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	err := cmd.Run()
	reading := Reading{Seconds: time.Since(began).Seconds()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	reading.Exit = cmd.ProcessState.ExitCode()
	reading.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		reading.PeakKiB = usage.Maxrss
	}
	text, err := json.Marshal(reading)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], text, 0o600)
}
