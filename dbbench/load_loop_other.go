//go:build !linux

package dbbench

import (
	"context"
	"net"
	"sync"
)

// runLoops returns false: each client runs by itself.
func (r *loadRun) runLoops(context.Context, *sync.WaitGroup) bool { return false }

// dialDirect opens a connection as usual.
func dialDirect(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// isDirect returns false: no connection can be used by a loop.
func isDirect(net.Conn) bool { return false }
