//go:build unix

package app

import (
	"runtime"
	"syscall"
)

// peakMemory gives the most memory that this process had, in bytes.
func peakMemory() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(usage.Maxrss) //nolint:unconvert // Its type differs between systems.
	}
	return int64(usage.Maxrss) * 1024 //nolint:unconvert // Its type differs between systems.
}
