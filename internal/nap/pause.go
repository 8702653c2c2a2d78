package nap

import (
	"context"
	"time"
)

// Pause waits for d, and reports whether it has passed: ctx may end before.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
