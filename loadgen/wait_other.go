//go:build !linux

package loadgen

import (
	"runtime"
	"time"
)

// waitFine lets other goroutines run. It returns early.
func waitFine(time.Duration) { runtime.Gosched() }
