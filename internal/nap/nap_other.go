//go:build !linux

// Package nap waits: for less than the runtime's timers can, and for no longer than a
// context.
package nap

import (
	"runtime"
	"time"
)

// For lets other goroutines run. It returns early.
func For(time.Duration) { runtime.Gosched() }
