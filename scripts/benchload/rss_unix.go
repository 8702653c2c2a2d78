//go:build unix

package main

import (
	"os"
	"syscall"
)

// maxRSS is the most memory that an ended process held, in bytes.
func maxRSS(state *os.ProcessState) int64 {
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		return int64(u.Maxrss) * 1024
	}
	return 0
}
