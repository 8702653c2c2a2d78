package loadgen

import (
	"time"

	"golang.org/x/sys/unix"
)

// waitFine sleeps for d, with the precision of the kernel's timers. It may
// return early.
func waitFine(d time.Duration) {
	spec := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&spec, nil)
}
