//go:build !unix

package app

// peakMemory is not known here.
func peakMemory() int64 { return 0 }
