// Package nap waits: for less than the runtime's timers can, and for no longer than a
// context.
package nap

import (
	"time"

	"golang.org/x/sys/unix"
)

// For sleeps for d, with the precision of the kernel's timers. It may return
// early, and holds its thread.
func For(d time.Duration) {
	spec := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&spec, nil)
}
