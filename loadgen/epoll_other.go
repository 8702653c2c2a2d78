//go:build !linux

package loadgen

const epollServes = false

// newEpollEngine is never called.
func newEpollEngine() engine { return nil }
