//go:build !linux

// Package nap sleeps for less than the runtime's timers can.
package nap

import (
	"runtime"
	"time"
)

// For lets other goroutines run. It returns early.
func For(time.Duration) { runtime.Gosched() }
